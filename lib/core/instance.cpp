// The state machine of one instance: a function per state, and in it a case per event.
//
// The functions take their state by value: they replace instance.state while they read the old one.
#include "core/instance.hpp"

#include <algorithm>
#include <cerrno>
#include <limits>

#include "base/assert.hpp"
#include "base/overloaded.hpp"
#include "core/backoff.hpp"
#include "core/limits.hpp"

namespace cluster::core {

namespace {

constexpr int kSigkill = 9;  // the same on every Linux architecture

/// What one step reads, and what it changes.
struct Turn {
    const Policy& policy;
    Instance& instance;
    Actions& actions;
    Instant now;
    Prng& prng;
};

// --- parts of a step ---

void want(Turn& turn, Desired desired, Epoch epoch) {
    turn.instance.desired = desired;
    turn.instance.epoch = epoch;
    turn.instance.outcome = Outcome::pending;
}

/// The first decision stands; what happens later is no longer part of the operation.
void settle(Turn& turn, Outcome outcome) {
    if (turn.instance.outcome == Outcome::pending) turn.instance.outcome = outcome;
}

void spawn(Turn& turn) {
    ++turn.instance.generation.value;
    turn.actions.add(action::Spawn{turn.instance.generation});
    turn.instance.state = Starting{turn.now};
}

void start_by_hand(Turn& turn, Epoch epoch) {
    want(turn, Desired::up, epoch);
    forget_restarts(turn.instance.history);
    spawn(turn);
}

void restart_automatically(Turn& turn) {
    note_restart(turn.instance.history, turn.now);
    spawn(turn);
}

void release(Turn& turn) {
    turn.actions.add(action::Release{turn.instance.generation});
}

void become_stopped(Turn& turn) {
    turn.instance.state = Stopped{};
    settle(turn, Outcome::done);
}

void begin_stopping(Turn& turn, ExitReason reason) {
    turn.actions.add(action::Signal{turn.instance.generation, turn.policy.stop_signal});
    Stopping stopping;
    stopping.since = turn.now;
    stopping.kill_at = turn.now + turn.policy.stop_timeout;
    stopping.reason = reason;
    stopping.is_failure = reason == ExitReason::start_timeout;
    turn.instance.state = stopping;
}

void note_exit(Turn& turn, const ExitStatus& status, ExitReason reason) {
    turn.instance.history.last_exit = LastExit{status, reason, turn.now};
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

/// The run is over and nobody asked for its end: the restart policy decides.
void follow_policy(Turn& turn, bool was_success) {
    switch (turn.policy.restart) {
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

void end_unexpectedly(Turn& turn, const event::ProcessExited& exit) {
    note_exit(turn, exit.status, ExitReason::exited);
    release(turn);  // whatever is left of the group never delays the restart
    follow_policy(turn, is_success(turn.policy, exit.status));
}

/// The machine, not the worker, is at fault, and it passes: never a reason to give up.
bool is_shortage(int code) {
    return code == EAGAIN || code == ENOMEM || code == EMFILE || code == ENFILE;
}

void note_spawn_failure(Turn& turn, const event::SpawnFailed& failure) {
    const ExitStatus status{ExitStatus::Kind::spawn_failed, failure.code, failure.op, false};
    note_exit(turn, status, ExitReason::spawn_failed);
}

void fail_to_spawn(Turn& turn, const event::SpawnFailed& failure) {
    note_spawn_failure(turn, failure);
    release(turn);
    settle(turn, Outcome::failed);
    if (is_shortage(failure.code)) {
        back_off(turn, RestartLimit::Then::slow);
    } else if (turn.policy.restart == RestartPolicy::never) {
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
    if (running.ready_at && turn.now - *running.ready_at >= turn.policy.min_uptime) {
        running.is_good = true;
        settle(turn, Outcome::done);
    }
    turn.instance.state = running;
}

void become_running(Turn& turn) {
    become_good_if_due(turn, Running{turn.now, turn.now, false});
}

/// Nothing of the run is left.
void finish_stopping(Turn& turn, const Stopping& stopping) {
    release(turn);
    if (turn.instance.desired == Desired::down) {
        become_stopped(turn);
    } else if (stopping.is_failure) {
        follow_policy(turn, false);
    } else {
        spawn(turn);
    }
}

/// A command reaches an instance that is being stopped: it changes what follows, not the stop.
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

/// Commands and reports where nothing of a run is alive: what the keeper still says is of the past.
struct AtRest {
    Turn& turn;
    void operator()(const event::Start& e) const { start_by_hand(turn, e.epoch); }
    void operator()(const event::Restart& e) const { start_by_hand(turn, e.epoch); }
    void operator()(const event::Stop& e) const {
        want(turn, Desired::down, e.epoch);
        become_stopped(turn);
    }
    void operator()(const event::SpawnSucceeded&) const {}
    void operator()(const event::SpawnFailed&) const {}
    void operator()(const event::ProcessExited&) const {}
    void operator()(const event::GroupEmptied&) const {}
    void operator()(const event::BecameReady&) const {}
};

// --- one function per state ---

void on_stopped(Turn& turn, const Event& event) {
    std::visit(Overloaded{AtRest{turn}, [](const event::Tick&) {}}, event);
}

void on_starting(Turn& turn, Starting starting, const Event& event) {
    std::visit(
        Overloaded{
            [&](const event::Start& e) { want(turn, Desired::up, e.epoch); },
            [&](const event::Restart& e) {
                want(turn, Desired::up, e.epoch);
                forget_restarts(turn.instance.history);
                begin_stopping(turn, ExitReason::stopped);
            },
            [&](const event::Stop& e) {
                want(turn, Desired::down, e.epoch);
                begin_stopping(turn, ExitReason::stopped);
            },
            [&](const event::SpawnSucceeded&) { become_running(turn); },
            [&](const event::SpawnFailed& e) { fail_to_spawn(turn, e); },
            [&](const event::ProcessExited& e) { end_unexpectedly(turn, e); },
            [](const event::GroupEmptied&) {},
            // It cannot be ready without having been executed; the report of that is merely late.
            [&](const event::BecameReady&) { become_running(turn); },
            [&](const event::Tick&) {
                if (turn.now - starting.since >= turn.policy.start_timeout) {
                    time_out_start(turn);
                }
            },
        },
        event);
}

void on_running(Turn& turn, Running running, const Event& event) {
    std::visit(
        Overloaded{
            [&](const event::Start& e) {
                want(turn, Desired::up, e.epoch);
                if (running.is_good) settle(turn, Outcome::done);
            },
            [&](const event::Restart& e) {
                want(turn, Desired::up, e.epoch);
                forget_restarts(turn.instance.history);
                begin_stopping(turn, ExitReason::stopped);
            },
            [&](const event::Stop& e) {
                want(turn, Desired::down, e.epoch);
                begin_stopping(turn, ExitReason::stopped);
            },
            [](const event::SpawnSucceeded&) {},
            [](const event::SpawnFailed&) {},
            [&](const event::ProcessExited& e) {
                if (running.ready_at &&
                    turn.now - *running.ready_at >= turn.policy.backoff.reset_after) {
                    turn.instance.history.failures_in_row = 0;
                }
                // A death that overtakes a due Tick must not deny what the run had earned.
                become_good_if_due(turn, running);
                end_unexpectedly(turn, e);
            },
            [](const event::GroupEmptied&) {},
            [&](const event::BecameReady&) {
                if (!running.ready_at) running.ready_at = turn.now;
                become_good_if_due(turn, running);
            },
            [&](const event::Tick&) {
                if (!running.ready_at && turn.now - running.since >= turn.policy.start_timeout) {
                    time_out_start(turn);
                } else {
                    become_good_if_due(turn, running);
                }
            },
        },
        event);
}

void on_backing_off(Turn& turn, BackingOff backing_off, const Event& event) {
    std::visit(Overloaded{AtRest{turn},
                          [&](const event::Tick&) {
                              if (turn.now >= backing_off.until) restart_automatically(turn);
                          }},
               event);
}

void on_stopping(Turn& turn, Stopping stopping, const Event& event) {
    std::visit(
        Overloaded{
            [&](const event::Start& e) { redirect_stopping(turn, stopping, Desired::up, e.epoch); },
            [&](const event::Restart& e) {
                redirect_stopping(turn, stopping, Desired::up, e.epoch);
            },
            [&](const event::Stop& e) {
                redirect_stopping(turn, stopping, Desired::down, e.epoch);
            },
            [](const event::SpawnSucceeded&) {},
            [&](const event::SpawnFailed& e) {
                if (stopping.leader_gone) return;
                if (stopping.is_failure) {
                    fail_to_spawn(turn, e);
                } else {
                    note_spawn_failure(turn, e);
                    finish_stopping(turn, stopping);
                }
            },
            [&](const event::ProcessExited& e) {
                // Told again, it may still bring the news that the group has emptied since.
                if (!stopping.leader_gone) note_exit(turn, e.status, stopping.reason);
                stopping.leader_gone = true;
                turn.instance.state = stopping;
                if (!e.group_alive) finish_stopping(turn, stopping);
            },
            [&](const event::GroupEmptied&) {
                if (stopping.leader_gone) finish_stopping(turn, stopping);
            },
            [](const event::BecameReady&) {},
            [&](const event::Tick&) { kill_if_due(turn, stopping); },
        },
        event);
}

void on_exited(Turn& turn, const Event& event) {
    std::visit(Overloaded{AtRest{turn}, [](const event::Tick&) {}}, event);
}

void on_fatal(Turn& turn, const Event& event) {
    std::visit(Overloaded{AtRest{turn}, [](const event::Tick&) {}}, event);
}

bool is_of_another_run(const Instance& instance, const Event& event) {
    return std::visit(
        [&](const auto& e) {
            if constexpr (requires { e.generation; }) {
                return e.generation != instance.generation;
            } else {
                return false;
            }
        },
        event);
}

}  // namespace

void Actions::add(Action action) {
    CLUSTER_ASSERT(size_ < kCapacity);
    items_[size_] = action;
    ++size_;
}

Transition step(const Policy& policy, Instance instance, const Event& event, Instant now,
                Prng& prng) {
    Transition result{instance, {}};
    if (is_of_another_run(instance, event)) return result;
    Turn turn{policy, result.instance, result.actions, now, prng};
    std::visit(Overloaded{
                   [&](const Stopped&) { on_stopped(turn, event); },
                   [&](const Starting& state) { on_starting(turn, state, event); },
                   [&](const Running& state) { on_running(turn, state, event); },
                   [&](const BackingOff& state) { on_backing_off(turn, state, event); },
                   [&](const Stopping& state) { on_stopping(turn, state, event); },
                   [&](const Exited&) { on_exited(turn, event); },
                   [&](const Fatal&) { on_fatal(turn, event); },
               },
               instance.state);
    return result;
}

std::optional<Instant> next_deadline(const Policy& policy, const Instance& instance) {
    using Deadline = std::optional<Instant>;
    return std::visit(
        Overloaded{
            [](const Stopped&) { return Deadline{}; },
            [&](const Starting& state) { return Deadline{state.since + policy.start_timeout}; },
            [&](const Running& state) {
                if (!state.ready_at) return Deadline{state.since + policy.start_timeout};
                if (!state.is_good) return Deadline{*state.ready_at + policy.min_uptime};
                return Deadline{};
            },
            [](const BackingOff& state) { return Deadline{state.until}; },
            [](const Stopping& state) { return Deadline{state.kill_at}; },
            [](const Exited&) { return Deadline{}; },
            [](const Fatal&) { return Deadline{}; },
        },
        instance.state);
}

const char* state_name(const State& state) {
    return std::visit(Overloaded{
                          [](const Stopped&) { return "stopped"; },
                          [](const Starting&) { return "starting"; },
                          [](const Running&) { return "running"; },
                          [](const BackingOff&) { return "backoff"; },
                          [](const Stopping&) { return "stopping"; },
                          [](const Exited&) { return "exited"; },
                          [](const Fatal&) { return "fatal"; },
                      },
                      state);
}

bool is_occupied(const State& state) {
    return std::visit(Overloaded{
                          [](const Stopped&) { return false; },
                          [](const Starting&) { return true; },
                          [](const Running&) { return true; },
                          [](const BackingOff&) { return false; },
                          [](const Stopping&) { return true; },
                          [](const Exited&) { return false; },
                          [](const Fatal&) { return false; },
                      },
                      state);
}

bool is_success(const Policy& policy, const ExitStatus& status) {
    switch (status.kind) {
        case ExitStatus::Kind::code:
            return status.value >= 0 && status.value < 256 &&
                   policy.success_exit_codes[static_cast<std::size_t>(status.value)];
        case ExitStatus::Kind::signal:
            return false;
        case ExitStatus::Kind::spawn_failed:
            return false;
        case ExitStatus::Kind::unknown:
            return false;
    }
    return false;
}

}  // namespace cluster::core
