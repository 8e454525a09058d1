// Runs that have promised to say WATCHDOG=1 within an interval, from the time that they are ready.
//
// The interval is the config's, or what the run has said since (WATCHDOG_USEC=): the keeper holds
// that, so that a successor of the supervisor does not take patience for a hang. Nothing is judged
// before all that the run has said was read.
#pragma once

#include <optional>
#include <unordered_map>
#include <vector>

#include "base/ids.hpp"
#include "base/time.hpp"
#include "core/fleet.hpp"
#include "ready/watchdog.hpp"
#include "supervisor/keeper_link.hpp"
#include "supervisor/notify_sockets.hpp"

namespace cluster::supervisor {

/// What was held under kHeldInterval; nothing when it is not understood.
[[nodiscard]] std::optional<Duration> read_interval(int fd);

class Watchdogs {
public:
    Watchdogs(KeeperLink& keeper, NotifySockets& sockets) : keeper_(keeper), sockets_(sockets) {}

    /// The instance may have changed: its run is watched while it is up, ready, and not leaving.
    void follow(const core::Place& place, const core::WorkerSpec& spec, Instant now);
    void forget(Slot slot);
    /// The interval that a run had asked for before this supervisor.
    void resume(Run run, Duration interval) { asked_[run.slot] = {run, interval}; }

    void on_time(Instant now);
    [[nodiscard]] std::optional<Instant> next_deadline() const;
    struct Hung {
        Run run;
        Duration silence;
    };
    /// Runs that were silent for too long since the last call.
    [[nodiscard]] std::vector<Hung> take_hung();

private:
    struct Entry {
        Run run;
        ready::Watchdog watchdog;
    };
    struct Asked {
        Run run;
        Duration interval;
    };

    void hear(Instant now);
    void ask(Run run, Duration interval);
    [[nodiscard]] Duration interval_of(Run run, const core::WorkerSpec& spec) const;

    KeeperLink& keeper_;
    NotifySockets& sockets_;
    std::unordered_map<Slot, Entry> entries_;
    std::unordered_map<Slot, Asked> asked_;  // by WATCHDOG_USEC=
    std::vector<Hung> hung_;
};

}  // namespace cluster::supervisor
