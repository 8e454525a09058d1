// The parts that the steps of an instance are made of. Private to core: instance.cpp puts them
// together.
#pragma once

#include "core/instance.hpp"

namespace cluster::core {

/// What one step reads, and what it changes.
struct Turn {
    const Policy& policy;
    Instance& instance;
    Actions& actions;
    Instant now;
    Prng& prng;
    Gate gate;
};

void want(Turn& turn, Desired desired, Epoch epoch);
/// The first decision stands; what happens later is no longer part of the operation.
void settle(Turn& turn, Outcome outcome);
/// Somebody asked for this run.
void start_run(Turn& turn);
void start_by_hand(Turn& turn, Epoch epoch);
/// It ran before, with all that it requires: whatever became of that since is no reason to wait.
void restart_automatically(Turn& turn);
void become_stopped(Turn& turn);
void note_exit(Turn& turn, const ExitStatus& status, ExitReason reason);
void end_unexpectedly(Turn& turn, const event::ProcessExited& exit);
void note_spawn_failure(Turn& turn, const event::SpawnFailed& failure);
void fail_to_spawn(Turn& turn, const event::SpawnFailed& failure);
void time_out_start(Turn& turn);
void become_good_if_due(Turn& turn, Running running);
void become_running(Turn& turn);
/// A long run that failed begins a new series of failures.
void note_lifetime(Turn& turn, const Running& running);
/// We end a run that nobody asked to end.
void end_failed(Turn& turn, const Running& running, ExitReason reason);
/// It had announced its end and did not come to it.
void end_leaving(Turn& turn);
void restart_by_hand(Turn& turn, const event::Restart& restart);
void stop_by_hand(Turn& turn, const event::Stop& stop);
void carry_out_hold(Turn& turn);
/// Nothing of the run is left.
void finish_stopping(Turn& turn, const Stopping& stopping);
/// A command reaches an instance that is being stopped: it changes what follows, not the stop.
void redirect_stopping(Turn& turn, Stopping stopping, Desired desired, Epoch epoch);
void kill_if_due(Turn& turn, Stopping stopping);

}  // namespace cluster::core
