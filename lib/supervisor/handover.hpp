// What runs are handed beside their sockets, and how a process of theirs gets it again: the store,
// and the attach socket. One place for the turn of the supervisor, as RunWatch is for what runs
// say.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/fleet.hpp"
#include "supervisor/attach_sockets.hpp"
#include "supervisor/inheritance.hpp"
#include "supervisor/store_sweep.hpp"
#include "supervisor/stores.hpp"

namespace cluster::supervisor {

class Handover {
public:
    Handover(ev::Loop& loop, KeeperLink& keeper, Jobs& jobs, Records& records,
             const core::Fleet& fleet, const std::string& runtime_dir,
             AttachSockets::ChannelFor channel_for)
        : keeper_(keeper),
          fleet_(fleet),
          stores_(keeper, jobs, records),
          attach_(loop, keeper, runtime_dir + "/attach", std::move(channel_for)) {}

    /// Before a spawn: adds the store that the worker gets, if any, and where to ask for it and for
    /// the channel again. Errors: as Stores::open.
    [[nodiscard]] Status prepare(const core::Place& place, const core::WorkerSpec& spec,
                                 Inheritance& inheritance);
    /// The run never came to be.
    void close(Run run) { attach_.close(run); }
    /// The leader of a run is dead. Before its exit is told to the fleet.
    void on_exit(const wire::SlotRecord& record) {
        stores_.on_exit(record.pid, record.start_ticks);
    }
    /// Takes segments and attach sockets out of what a predecessor held. Requires: the fleet was
    /// restored.
    void resume(std::vector<HeldDescriptor>& held);

    /// The state of these slots was stored.
    void follow(const std::vector<Slot>& slots);
    void on_time(Instant now);
    [[nodiscard]] std::optional<Instant> next_deadline() const {
        return earliest(earliest(stores_.next_deadline(), sweep_.next_deadline()),
                        attach_.next_deadline());
    }

    [[nodiscard]] Stores& stores() { return stores_; }

private:
    KeeperLink& keeper_;
    const core::Fleet& fleet_;
    Stores stores_;
    StoreSweep sweep_;  // goes before what it sweeps
    AttachSockets attach_;
    bool is_without_socket_told_ = false;
};

}  // namespace cluster::supervisor
