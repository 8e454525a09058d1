#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "core/backoff.hpp"
#include "core/limits.hpp"
#include "unit/core/subject.hpp"

namespace cluster::core::test {

TEST_CASE("core/restart: delays grow by the factor up to the cap") {
    Subject s;
    s.start();
    for (const Duration expected : {1s, 2s, 4s, 8s, 16s, 32s, 60s, 60s}) {
        s.spawned();
        s.exits(exit_code(1));
        REQUIRE(s.state() == std::string{"backoff"});
        CHECK(s.deadline() - s.now == expected);
        s.now = s.deadline();
        s.tick();
        CHECK(s.did(s.spawn()));
    }
    CHECK(s.instance.history.restarts == 8);
}

TEST_CASE("core/restart: nothing happens before the delay is over") {
    Subject s;
    s.run();
    s.exits(exit_code(1));
    s.pass(999ms);
    CHECK(s.did_nothing());
    s.pass(1ms);
    CHECK(s.did(s.spawn()));
}

TEST_CASE("core/restart: a run that lived long enough starts the series again") {
    Subject s;
    s.start();
    for (int i = 0; i < 3; ++i) {
        s.spawned();
        s.exits(exit_code(1));
        s.now = s.deadline();
        s.tick();
    }
    s.spawned();
    s.pass(30s);
    s.exits(exit_code(1));
    CHECK(s.deadline() - s.now == 1s);
    s.now = s.deadline();
    s.tick();
    s.spawned();
    s.pass(29s);
    s.exits(exit_code(1));
    CHECK(s.deadline() - s.now == 2s);
}

TEST_CASE("core/restart: jitter stays within its fraction and is not constant") {
    const Backoff backoff{1s, 2.0, 60s, 0.25, 30s};
    Prng prng{42};
    Duration least = 1h;
    Duration most = 0s;
    for (int i = 0; i < 1000; ++i) {
        const Duration delay = backoff_delay(backoff, 1, prng);
        least = std::min(least, delay);
        most = std::max(most, delay);
    }
    CHECK(least >= 1500ms);
    CHECK(most <= 2500ms);
    CHECK(least < 1550ms);
    CHECK(most > 2450ms);
}

TEST_CASE("core/restart: no number of failures makes the delay overflow") {
    Prng prng{1};
    CHECK(backoff_delay({1s, 2.0, 60s, 0.0, 30s}, ~0U, prng) == 60s);
    CHECK(backoff_delay({1s, 1.0, 60s, 0.0, 30s}, ~0U, prng) == 1s);
    CHECK(backoff_delay({0s, 2.0, 60s, 0.0, 30s}, ~0U, prng) == 0s);
    CHECK(backoff_delay({2s, 2.0, 1s, 0.0, 30s}, 0, prng) == 1s);
}

TEST_CASE("core/restart: without a delay the next run is spawned in the same step") {
    Subject s;
    s.policy.backoff.initial = 0s;
    s.start();
    s.spawn_fails(2);
    REQUIRE(s.actions.size() == 2);
    CHECK(s.actions[1] == s.spawn());
    CHECK(s.state() == std::string{"starting"});
}

TEST_CASE("core/restart: more than count in the window is fatal until somebody starts it") {
    Subject s;
    s.policy.backoff.initial = 0s;
    s.policy.restart_limit = {3, 10s, RestartLimit::Then::fatal};
    s.start();
    for (int i = 0; i < 3; ++i) {
        s.spawned();
        s.exits(exit_code(1));
        CHECK(s.state() == std::string{"starting"});
    }
    s.spawned();
    s.exits(exit_code(1));
    CHECK(s.state() == std::string{"fatal"});
    CHECK(s.did(s.release()));
    s.start();
    CHECK(s.instance.history.restarts == 0);
    s.spawned();
    s.exits(exit_code(1));
    CHECK(s.state() == std::string{"starting"});
}

TEST_CASE("core/restart: the window slides") {
    Subject s;
    s.policy.backoff.initial = 0s;
    s.policy.restart_limit = {2, 10s, RestartLimit::Then::fatal};
    s.start();
    for (int i = 0; i < 50; ++i) {
        s.spawned();
        s.now += 5s;
        s.exits(exit_code(1));
        REQUIRE(s.state() == std::string{"starting"});
    }
    s.spawned();
    s.exits(exit_code(1));
    CHECK(s.state() == std::string{"fatal"});
}

TEST_CASE("core/restart: slow keeps trying at backoff.max and says so") {
    Subject s;
    s.policy.backoff.initial = 0s;
    s.policy.restart_limit = {1, 100s, RestartLimit::Then::slow};
    s.run();
    s.exits(exit_code(1));
    s.spawned();
    s.exits(exit_code(1));
    REQUIRE(s.state() == std::string{"backoff"});
    CHECK(std::get<BackingOff>(s.instance.state).is_limited);
    CHECK(s.deadline() - s.now == 60s);
    s.pass(60s);
    CHECK(s.did(s.spawn()));
}

TEST_CASE("core/restart: a full ring of restart times keeps counting") {
    const RestartLimit limit{kMaxRestartLimitCount, 1000s, RestartLimit::Then::fatal};
    History history;
    Instant at = from_ns(0);
    for (std::uint32_t i = 0; i < 3 * kMaxRestartLimitCount; ++i) {
        at += 40s;
        CHECK_FALSE(would_exceed(limit, history, at));
        note_restart(history, at);
    }
    CHECK(history.restarts == 3 * kMaxRestartLimitCount);
    for (std::uint32_t i = 0; i < kMaxRestartLimitCount; ++i) note_restart(history, at);
    CHECK(would_exceed(limit, history, at + 999s));
    CHECK_FALSE(would_exceed(limit, history, at + 1000s));
}

}  // namespace cluster::core::test
