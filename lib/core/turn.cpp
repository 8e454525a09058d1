#include "core/turn.hpp"

#include <algorithm>
#include <cerrno>
#include <limits>
#include <utility>

#include "base/assert.hpp"
#include "core/backoff.hpp"
#include "core/limits.hpp"

namespace cluster::core {

namespace {

constexpr int kSigkill = 9;  // the same on every Linux architecture

void spawn(Turn& turn) {
    ++turn.instance.generation.value;
    turn.actions.add(action::Spawn{turn.instance.generation});
    turn.instance.state = Starting{turn.now};
}

void release(Turn& turn) {
    turn.actions.add(action::Release{turn.instance.generation});
}

/// Nobody asked for an end for this reason.
bool is_failure(ExitReason reason) {
    return reason == ExitReason::start_timeout || reason == ExitReason::max_memory ||
           reason == ExitReason::watchdog || reason == ExitReason::liveness ||
           reason == ExitReason::channel;
}

void begin_stopping(Turn& turn, ExitReason reason) {
    turn.actions.add(action::Signal{turn.instance.generation, end_signal(turn.policy, reason)});
    Stopping stopping;
    stopping.since = turn.now;
    stopping.kill_at = turn.now + turn.policy.stop_timeout;
    stopping.reason = reason;
    stopping.is_failure = is_failure(reason);
    turn.instance.state = stopping;
    turn.instance.hold = Hold::none;
}

/// It shall run again: at once, after a delay, or, past the restart limit, as `then` says.
void back_off(Turn& turn, RestartLimit::Then then) {
    const Backoff& backoff = turn.policy.backoff;
    History& history = turn.instance.history;
    Duration delay = backoff_delay(backoff, history.failures_in_row, turn.prng);
    if (history.failures_in_row < std::numeric_limits<std::uint32_t>::max()) {
        ++history.failures_in_row;
    }
    const bool is_limited = would_exceed(turn.policy.restart_limit, history, turn.now + delay);
    if (is_limited) {
        switch (then) {
            case RestartLimit::Then::slow:
                delay = std::max(delay, backoff.max);
                break;
            case RestartLimit::Then::fatal:
                turn.instance.state = Fatal{};
                return;
        }
    }
    if (delay > Duration::zero()) {
        turn.instance.state = BackingOff{turn.now + delay, is_limited};
    } else {
        restart_automatically(turn);
    }
}

RestartPolicy restart_policy(const Turn& turn) {
    return turn.gate.has_more_chances ? turn.policy.restart : RestartPolicy::never;
}

/// The run is over and nobody asked for its end: the restart policy decides.
void follow_policy(Turn& turn, bool was_success) {
    switch (restart_policy(turn)) {
        case RestartPolicy::always:
            settle(turn, Outcome::failed);
            back_off(turn, turn.policy.restart_limit.then);
            return;
        case RestartPolicy::on_failure:
            if (was_success) break;
            settle(turn, Outcome::failed);
            back_off(turn, turn.policy.restart_limit.then);
            return;
        case RestartPolicy::never:
            break;
    }
    // A task that ended well before min_uptime has done its work; nobody can ask for more.
    settle(turn, was_success ? Outcome::done : Outcome::failed);
    turn.instance.state = Exited{};
}

/// What follows the end of a run that a command is about.
void go_on_by_command(Turn& turn) {
    release(turn);
    if (turn.instance.desired == Desired::down) {
        become_stopped(turn);
    } else {
        start_run(turn);
    }
}

/// It ended before the end that it was waiting for: the command has what it wants but the group.
void end_while_held(Turn& turn, const event::ProcessExited& exit) {
    turn.instance.hold = Hold::none;
    if (!exit.group_alive) return go_on_by_command(turn);
    begin_stopping(turn, ExitReason::exited);
    std::get<Stopping>(turn.instance.state).leader_gone = true;
}

/// The machine, not the worker, is at fault, and it passes: never a reason to give up.
bool is_shortage(int code) {
    return code == EAGAIN || code == ENOMEM || code == EMFILE || code == ENFILE;
}

/// A run that is up is to be ended by a command: now, or when others have left.
void end_by_command(Turn& turn, Hold hold, bool is_held) {
    if (is_held) {
        turn.instance.hold = hold;
    } else {
        begin_stopping(turn, ExitReason::stopped);
    }
}

}  // namespace

void want(Turn& turn, Desired desired, Epoch epoch) {
    turn.instance.desired = desired;
    turn.instance.epoch = epoch;
    turn.instance.outcome = Outcome::pending;
    turn.instance.hold = Hold::none;
}

void settle(Turn& turn, Outcome outcome) {
    if (turn.instance.outcome == Outcome::pending) turn.instance.outcome = outcome;
}

void start_run(Turn& turn) {
    if (turn.gate.has_room && turn.gate.requirements_met) {
        spawn(turn);
    } else {
        turn.instance.state = Waiting{turn.now, false};
    }
}

void start_by_hand(Turn& turn, Epoch epoch) {
    want(turn, Desired::up, epoch);
    forget_restarts(turn.instance.history);
    start_run(turn);
}

void restart_automatically(Turn& turn) {
    if (turn.gate.has_room) {
        note_restart(turn.instance.history, turn.now);
        spawn(turn);
    } else {
        turn.instance.state = Waiting{turn.now, true};
    }
}

void become_stopped(Turn& turn) {
    turn.instance.state = Stopped{};
    settle(turn, Outcome::done);
}

void note_exit(Turn& turn, const ExitStatus& status, ExitReason reason) {
    turn.instance.history.last_exit = LastExit{status, reason, turn.now};
}

void end_unexpectedly(Turn& turn, const event::ProcessExited& exit) {
    note_exit(turn, exit.status, ExitReason::exited);
    if (turn.instance.hold != Hold::none) return end_while_held(turn, exit);
    release(turn);  // whatever is left of the group never delays the restart
    follow_policy(turn, is_success(turn.policy, exit.status));
}

void note_spawn_failure(Turn& turn, const event::SpawnFailed& failure) {
    const ExitStatus status{ExitStatus::Kind::spawn_failed, failure.code, failure.op, false};
    note_exit(turn, status, ExitReason::spawn_failed);
}

void fail_to_spawn(Turn& turn, const event::SpawnFailed& failure) {
    note_spawn_failure(turn, failure);
    if (std::exchange(turn.instance.hold, Hold::none) != Hold::none) return go_on_by_command(turn);
    release(turn);
    settle(turn, Outcome::failed);
    if (is_shortage(failure.code)) {
        back_off(turn, RestartLimit::Then::slow);
    } else if (restart_policy(turn) == RestartPolicy::never) {
        turn.instance.state = Fatal{};
    } else {
        back_off(turn, turn.policy.restart_limit.then);
    }
}

void time_out_start(Turn& turn) {
    settle(turn, Outcome::failed);
    begin_stopping(turn, ExitReason::start_timeout);
}

void become_good_if_due(Turn& turn, Running running) {
    const bool is_ending = running.is_leaving || turn.instance.hold != Hold::none;
    if (!is_ending && running.ready_at && turn.now - *running.ready_at >= turn.policy.min_uptime) {
        running.is_good = true;
        settle(turn, Outcome::done);
    }
    turn.instance.state = running;
}

void become_running(Turn& turn) {
    const bool is_ready = turn.policy.ready.kind == Readiness::Kind::exec;
    const auto ready_at = is_ready ? std::optional{turn.now} : std::nullopt;
    become_good_if_due(turn, Running{turn.now, ready_at, false});
}

void note_lifetime(Turn& turn, const Running& running) {
    if (running.ready_at && turn.now - *running.ready_at >= turn.policy.backoff.reset_after) {
        turn.instance.history.failures_in_row = 0;
    }
}

void end_failed(Turn& turn, const Running& running, ExitReason reason) {
    if (turn.instance.hold != Hold::none) return;
    note_lifetime(turn, running);
    settle(turn, Outcome::failed);
    begin_stopping(turn, reason);
}

void end_leaving(Turn& turn) {
    settle(turn, Outcome::failed);
    begin_stopping(turn, ExitReason::stopped);
    std::get<Stopping>(turn.instance.state).is_failure = true;
}

void restart_by_hand(Turn& turn, const event::Restart& restart) {
    want(turn, Desired::up, restart.epoch);
    forget_restarts(turn.instance.history);
    end_by_command(turn, Hold::restart, restart.is_held);
}

void stop_by_hand(Turn& turn, const event::Stop& stop) {
    want(turn, Desired::down, stop.epoch);
    end_by_command(turn, Hold::stop, stop.is_held);
}

void carry_out_hold(Turn& turn) {
    if (turn.instance.hold != Hold::none) begin_stopping(turn, ExitReason::stopped);
}

void finish_stopping(Turn& turn, const Stopping& stopping) {
    if (turn.instance.desired == Desired::up && stopping.is_failure) {
        release(turn);
        follow_policy(turn, false);
    } else {
        go_on_by_command(turn);
    }
}

void redirect_stopping(Turn& turn, Stopping stopping, Desired desired, Epoch epoch) {
    want(turn, desired, epoch);
    if (desired == Desired::up) forget_restarts(turn.instance.history);
    stopping.is_failure = false;
    turn.instance.state = stopping;
}

void kill_if_due(Turn& turn, Stopping stopping) {
    if (turn.now < stopping.kill_at) return;
    turn.actions.add(action::Signal{turn.instance.generation, kSigkill});
    stopping.kill_sent = true;
    stopping.kill_at = turn.now + kKillInterval;
    if (stopping.reason == ExitReason::stopped) stopping.reason = ExitReason::killed;
    turn.instance.state = stopping;
}

}  // namespace cluster::core
