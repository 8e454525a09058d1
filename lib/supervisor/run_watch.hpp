// What runs say about themselves, and what is found out about them: notify sockets, notification
// descriptors, main processes, stored descriptors, watchdogs, probes, memory. One place for the turn of the supervisor: events come out
// before the fleet's step, and whatever the step changed is followed after it was stored.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/fleet.hpp"
#include "supervisor/environment.hpp"
#include "supervisor/inheritance.hpp"
#include "supervisor/main_processes.hpp"
#include "supervisor/memory_watch.hpp"
#include "supervisor/notification_fds.hpp"
#include "supervisor/notify_sockets.hpp"
#include "supervisor/probes.hpp"
#include "supervisor/stored_fds.hpp"
#include "supervisor/watchdogs.hpp"

namespace cluster::supervisor {

class RunWatch {
public:
    RunWatch(ev::Loop& loop, KeeperLink& keeper, Jobs& jobs, const core::Fleet& fleet,
             const Variables& safe_base, const std::string& runtime_dir);

    /// Before a spawn: adds what the run shall speak through. Errors: {notify_socket, errno},
    /// {pipe, errno}.
    [[nodiscard]] Status prepare(const core::Place& place, const core::WorkerSpec& spec,
                                 Inheritance& inheritance);
    /// The run never came to be.
    void close(Run run) {
        sockets_.close(run);
        pipes_.close(run);
        mains_.close(run);
    }
    /// Before its exit is told to the fleet: what it had said by then comes out first.
    void drain(Run run) {
        sockets_.drain(run);
        pipes_.drain(run);
    }
    /// Takes what belongs here out of what a predecessor held.
    void resume(std::vector<HeldDescriptor>& held);

    /// Begins and ends what is due, and gives everything that the fleet has to know to `tell`.
    using Tell = std::function<void(Slot, const core::Event&)>;
    void on_time(Instant now, const Tell& tell);
    /// What was heard goes to `tell` at once.
    void tell_heard(const Tell& tell);
    /// The state of these slots was stored.
    void follow(const std::vector<Slot>& slots, Instant now);
    [[nodiscard]] std::optional<Instant> next_deadline() const;

    /// Slots of runs whose main process has ended since the last call.
    [[nodiscard]] std::vector<Run> take_ended() { return mains_.take_ended(); }
    /// Runs that have asked since the last call for their restarts to be forgotten.
    [[nodiscard]] std::vector<Run> take_forgiven() { return sockets_.take_forgiven(); }
    /// The main process, where it is another one than was spawned and the run goes on without that.
    [[nodiscard]] const MainProcesses& mains() const { return mains_; }
    [[nodiscard]] MainProcesses& mains() { return mains_; }
    /// Names of what the instance has stored.
    [[nodiscard]] std::vector<std::string> stored(const core::Place& place) const;

    /// What the run said of itself, if it has a notify socket.
    [[nodiscard]] const NotifySockets::Said* said(Run run) const { return sockets_.said(run); }
    /// Why a run that is not ready is not, as far as can be told; "" when it cannot.
    [[nodiscard]] std::string why_not_ready(Run run) const;
    /// Why the last liveness probe failed; "" when there was none, or it did not.
    [[nodiscard]] std::string liveness_failure(Run run) const {
        return probes_.last_failure(run, ready::Probe::Purpose::liveness);
    }

private:
    [[nodiscard]] std::string id_of(Run run) const;
    [[nodiscard]] StoredFds::Owner owner_of(const core::Place& place) const;
    [[nodiscard]] std::string store(Run run, const ready::Notification& notification,
                                    std::span<sys::UniqueFd> fds);
    [[nodiscard]] bool counts(const NotifySockets::Heard& heard) const;

    KeeperLink& keeper_;
    const core::Fleet& fleet_;
    const Variables& safe_base_;
    MainProcesses mains_;
    StoredFds stored_;
    NotifySockets sockets_;
    NotificationFds pipes_;
    Watchdogs watchdogs_;
    Probes probes_;
    MemoryWatch memory_;
};

}  // namespace cluster::supervisor
