// The state machine of one instance: a function per state, and in it a case per event.
//
// The functions take their state by value: they replace instance.state while they read the old one.
#include "core/instance.hpp"

#include <algorithm>
#include <optional>

#include "base/assert.hpp"
#include "base/overloaded.hpp"
#include "core/turn.hpp"

namespace cluster::core {

namespace {

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
    void operator()(const event::Leaving&) const {}
    void operator()(const event::ExtendTimeout&) const {}
    void operator()(const event::OverMemory&) const {}
    void operator()(const event::Hung&) const {}
    void operator()(const event::Reloading&) const {}
};

/// News for those who wait for others.
struct NotWaiting {
    void operator()(const event::Proceed&) const {}
    void operator()(const event::RequirementFailed&) const {}
};

// --- one function per state ---

void on_stopped(Turn& turn, const Event& event) {
    std::visit(Overloaded{AtRest{turn}, NotWaiting{}, [](const event::Tick&) {}}, event);
}

void become_running_and_hear(Turn& turn, const Event& event);

void on_starting(Turn& turn, Starting starting, const Event& event) {
    std::visit(Overloaded{
                   [&](const event::Start& e) { want(turn, Desired::up, e.epoch); },
                   [&](const event::Restart& e) { restart_by_hand(turn, e); },
                   [&](const event::Stop& e) { stop_by_hand(turn, e); },
                   [&](const event::Proceed&) { carry_out_hold(turn); },
                   [](const event::RequirementFailed&) {},
                   [&](const event::SpawnSucceeded&) { become_running(turn); },
                   [&](const event::SpawnFailed& e) { fail_to_spawn(turn, e); },
                   [&](const event::ProcessExited& e) { end_unexpectedly(turn, e); },
                   [](const event::GroupEmptied&) {},
                   [&](const event::BecameReady&) { become_running_and_hear(turn, event); },
                   [&](const event::Leaving&) { become_running_and_hear(turn, event); },
                   [&](const event::ExtendTimeout&) { become_running_and_hear(turn, event); },
                   [](const event::OverMemory&) {},
                   [&](const event::Hung&) { become_running_and_hear(turn, event); },
                   [&](const event::Reloading&) { become_running_and_hear(turn, event); },
                   [&](const event::Tick&) {
                       const bool is_held = turn.instance.hold != Hold::none;
                       if (!is_held && turn.now - starting.since >= turn.policy.start_timeout) {
                           time_out_start(turn);
                       }
                   },
               },
               event);
}

void extend(Turn& turn, Running running, Duration by) {
    const Instant until = turn.now + by;
    if (running.is_leaving) {
        running.limit = std::max(running.limit.value_or(until), until);
    } else if (!running.ready_at) {
        running.limit = until;
    }
    turn.instance.state = running;
}

void leave(Turn& turn, Running running) {
    if (running.is_leaving) return;
    running.is_leaving = true;
    running.limit = turn.now + turn.policy.stop_timeout;
    turn.instance.state = running;
}

void tick_running(Turn& turn, const Running& running) {
    if (turn.instance.hold != Hold::none) return;
    if (running.is_leaving) {
        if (turn.now >= running.limit.value_or(turn.now)) end_leaving(turn);
    } else if (!running.ready_at && turn.now >= start_deadline(turn.policy, running)) {
        time_out_start(turn);
    } else {
        become_good_if_due(turn, running);
    }
}

void on_running(Turn& turn, Running running, const Event& event) {
    std::visit(
        Overloaded{
            [&](const event::Start& e) {
                want(turn, Desired::up, e.epoch);
                if (running.is_good && !running.is_leaving) settle(turn, Outcome::done);
            },
            [&](const event::Restart& e) { restart_by_hand(turn, e); },
            [&](const event::Stop& e) { stop_by_hand(turn, e); },
            [&](const event::Proceed&) { carry_out_hold(turn); },
            [](const event::RequirementFailed&) {},
            [](const event::SpawnSucceeded&) {},
            [](const event::SpawnFailed&) {},
            [&](const event::ProcessExited& e) {
                note_lifetime(turn, running);
                // A death that overtakes a due Tick must not deny what the run had earned.
                become_good_if_due(turn, running);
                end_unexpectedly(turn, e);
            },
            [](const event::GroupEmptied&) {},
            [&](const event::BecameReady&) {
                if (running.is_leaving) return;
                if (!running.ready_at) running.ready_at = turn.now;
                running.limit.reset();
                running.is_reloading = false;
                become_good_if_due(turn, running);
            },
            [&](const event::Leaving&) { leave(turn, running); },
            [&](const event::ExtendTimeout& e) { extend(turn, running, e.by); },
            [&](const event::OverMemory&) { end_failed(turn, running, ExitReason::max_memory); },
            [&](const event::Hung& e) { end_failed(turn, running, e.reason); },
            [&](const event::Reloading&) {
                running.is_reloading = running.ready_at && !running.is_leaving;
                turn.instance.state = running;
            },
            [&](const event::Tick&) { tick_running(turn, running); },
        },
        event);
}

/// It speaks, so it was executed; the report of that is merely late.
void become_running_and_hear(Turn& turn, const Event& event) {
    become_running(turn);
    on_running(turn, std::get<Running>(turn.instance.state), event);
}

void on_backing_off(Turn& turn, BackingOff backing_off, const Event& event) {
    std::visit(Overloaded{AtRest{turn}, NotWaiting{},
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
            [](const event::Proceed&) {},
            [](const event::RequirementFailed&) {},
            [](const event::Leaving&) {},
            [&](const event::ExtendTimeout& e) {
                if (stopping.kill_sent) return;
                stopping.kill_at = std::max(stopping.kill_at, turn.now + e.by);
                turn.instance.state = stopping;
            },
            [](const event::OverMemory&) {},
            [](const event::Hung&) {},
            [](const event::Reloading&) {},
            [&](const event::Tick&) { kill_if_due(turn, stopping); },
        },
        event);
}

void on_exited(Turn& turn, const Event& event) {
    std::visit(Overloaded{AtRest{turn}, NotWaiting{}, [](const event::Tick&) {}}, event);
}

void on_fatal(Turn& turn, const Event& event) {
    std::visit(Overloaded{AtRest{turn}, NotWaiting{}, [](const event::Tick&) {}}, event);
}

void on_waiting(Turn& turn, Waiting waiting, const Event& event) {
    std::visit(Overloaded{AtRest{turn}, [](const event::Tick&) {},
                          [&](const event::Proceed&) {
                              waiting.is_automatic ? restart_automatically(turn) : start_run(turn);
                          },
                          [&](const event::RequirementFailed&) { settle(turn, Outcome::failed); }},
               event);
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

Transition step(const Policy& policy, const Instance& instance, const Event& event, Instant now,
                Prng& prng, Gate gate) {
    Transition result{instance, {}};
    if (is_of_another_run(instance, event)) return result;
    Turn turn{policy, result.instance, result.actions, now, prng, gate};
    std::visit(Overloaded{
                   [&](const Stopped&) { on_stopped(turn, event); },
                   [&](const Starting& state) { on_starting(turn, state, event); },
                   [&](const Running& state) { on_running(turn, state, event); },
                   [&](const BackingOff& state) { on_backing_off(turn, state, event); },
                   [&](const Stopping& state) { on_stopping(turn, state, event); },
                   [&](const Exited&) { on_exited(turn, event); },
                   [&](const Fatal&) { on_fatal(turn, event); },
                   [&](const Waiting& state) { on_waiting(turn, state, event); },
               },
               instance.state);
    return result;
}

}  // namespace cluster::core
