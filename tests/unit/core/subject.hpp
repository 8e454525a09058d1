// One instance under test: holds what a shell would hold, and speaks to step() in short sentences.
#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <variant>
#include <vector>

#include "core/instance.hpp"

namespace cluster::core::test {

using std::chrono_literals::operator""h;
using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

/// Plain numbers: no jitter, 1 s · 2^n up to 60 s.
inline Policy plain_policy() {
    Policy policy;
    policy.backoff = {1s, 2.0, 60s, 0.0, 30s};
    policy.restart_limit = {32, 1s, RestartLimit::Then::slow};
    policy.stop_timeout = 10s;
    policy.min_uptime = 1s;
    policy.start_timeout = 30s;
    return policy;
}

inline ExitStatus exit_code(int code) {
    return {ExitStatus::Kind::code, code, Op::none, false};
}

struct Subject {
    Policy policy = plain_policy();
    Instance instance;
    Instant now = from_ns(1'000'000'000'000);
    Prng prng{1};
    std::vector<Action> actions;  // of the last step
    std::uint64_t epoch = 0;

    void send(const Event& event) {
        const Transition next = step(policy, instance, event, now, prng);
        instance = next.instance;
        actions.assign(next.actions.begin(), next.actions.end());
    }
    void start() { send(event::Start{Epoch{++epoch}}); }
    void stop() { send(event::Stop{Epoch{++epoch}}); }
    void restart() { send(event::Restart{Epoch{++epoch}}); }
    void spawned() { send(event::SpawnSucceeded{instance.generation}); }
    void spawn_fails(int code) { send(event::SpawnFailed{instance.generation, Op::exec, code}); }
    void exits(ExitStatus status, bool group_alive = false) {
        send(event::ProcessExited{instance.generation, status, group_alive});
    }
    void group_empties() { send(event::GroupEmptied{instance.generation}); }
    void tick() { send(event::Tick{}); }
    void pass(Duration duration) {
        now += duration;
        tick();
    }
    /// Up, ready and good.
    void run() {
        start();
        spawned();
        pass(policy.min_uptime);
    }

    [[nodiscard]] const char* state() const { return state_name(instance.state); }
    [[nodiscard]] bool did(const Action& action) const {
        return actions.size() == 1 && actions.front() == action;
    }
    [[nodiscard]] bool did_nothing() const { return actions.empty(); }
    [[nodiscard]] Action spawn() const { return action::Spawn{instance.generation}; }
    [[nodiscard]] Action release() const { return action::Release{instance.generation}; }
    [[nodiscard]] Action signal(int number) const {
        return action::Signal{instance.generation, number};
    }
    [[nodiscard]] Instant deadline() const {
        return next_deadline(policy, instance).value_or(Instant::max());
    }
};

}  // namespace cluster::core::test
