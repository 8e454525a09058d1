#include <doctest/doctest.h>

#include <cerrno>
#include <string>

#include "unit/core/subject.hpp"

namespace cluster::core::test {

TEST_CASE("core/instance: a start spawns the next generation and is done after min_uptime") {
    Subject s;
    s.instance.generation = Generation{7};
    s.start();
    CHECK(s.did(action::Spawn{Generation{8}}));
    CHECK(s.state() == std::string{"starting"});
    CHECK(s.instance.desired == Desired::up);
    s.spawned();
    CHECK(s.state() == std::string{"running"});
    CHECK(s.instance.outcome == Outcome::pending);
    CHECK(s.deadline() == s.now + 1s);
    s.pass(999ms);
    CHECK(s.instance.outcome == Outcome::pending);
    s.pass(1ms);
    CHECK(s.instance.outcome == Outcome::done);
    CHECK(std::get<Running>(s.instance.state).is_good);
    CHECK_FALSE(next_deadline(s.policy, s.instance).has_value());
}

TEST_CASE("core/instance: with min_uptime = 0 exec alone makes a start good") {
    Subject s;
    s.policy.min_uptime = 0s;
    s.start();
    s.spawned();
    CHECK(s.instance.outcome == Outcome::done);
}

TEST_CASE("core/instance: starting what is good already is done at once, what is not waits") {
    Subject s;
    s.run();
    s.start();
    CHECK(s.did_nothing());
    CHECK(s.instance.outcome == Outcome::done);
    CHECK(s.instance.epoch == Epoch{2});
    Subject young;
    young.start();
    young.spawned();
    young.start();
    CHECK(young.instance.outcome == Outcome::pending);
    young.pass(1s);
    CHECK(young.instance.outcome == Outcome::done);
}

TEST_CASE("core/instance: the first death decides the outcome and later luck does not change it") {
    Subject s;
    s.start();
    s.spawned();
    s.exits(exit_code(1));
    CHECK(s.instance.outcome == Outcome::failed);
    CHECK(s.state() == std::string{"backoff"});
    s.pass(1s);
    CHECK(s.did(s.spawn()));
    s.spawned();
    s.pass(1s);
    CHECK(std::get<Running>(s.instance.state).is_good);
    CHECK(s.instance.outcome == Outcome::failed);
    s.start();
    CHECK(s.instance.outcome == Outcome::done);
}

TEST_CASE("core/instance: a finished one-shot task is done, a failed one is not") {
    for (const RestartPolicy restart : {RestartPolicy::never, RestartPolicy::on_failure}) {
        Subject s;
        s.policy.restart = restart;
        s.start();
        s.spawned();
        s.exits(exit_code(0));
        CHECK(s.state() == std::string{"exited"});
        CHECK(s.instance.outcome == Outcome::done);
        CHECK(s.did(s.release()));
    }
    Subject s;
    s.policy.restart = RestartPolicy::never;
    s.start();
    s.spawned();
    s.exits(exit_code(3));
    CHECK(s.state() == std::string{"exited"});
    CHECK(s.instance.outcome == Outcome::failed);
    CHECK(s.instance.history.last_exit->status.value == 3);
}

TEST_CASE("core/instance: restart = always counts an early success as a failed start") {
    Subject s;
    s.start();
    s.spawned();
    s.exits(exit_code(0));
    CHECK(s.state() == std::string{"backoff"});
    CHECK(s.instance.outcome == Outcome::failed);
}

TEST_CASE("core/instance: success_exit_codes decide what on-failure restarts") {
    Subject s;
    s.policy.restart = RestartPolicy::on_failure;
    s.policy.success_exit_codes = {};
    s.policy.success_exit_codes.set(42);
    s.run();
    s.exits(exit_code(0));
    CHECK(s.state() == std::string{"backoff"});
    s.pass(1s);
    s.spawned();
    s.exits(exit_code(42));
    CHECK(s.state() == std::string{"exited"});
    CHECK_FALSE(is_success(s.policy, {ExitStatus::Kind::signal, 42, Op::none, false}));
    CHECK_FALSE(is_success(s.policy, {ExitStatus::Kind::unknown, 42, Op::none, false}));
}

TEST_CASE("core/instance: a grandchild that is left never delays a restart") {
    Subject s;
    s.policy.backoff.initial = 0s;
    s.run();
    const Generation old = s.instance.generation;
    s.exits(exit_code(1), true);
    REQUIRE(s.actions.size() == 2);
    CHECK(s.actions[0] == Action{action::Release{old}});
    CHECK(s.actions[1] == s.spawn());
    CHECK(s.instance.generation == Generation{old.value + 1});
    CHECK(s.instance.history.restarts == 1);
}

TEST_CASE("core/instance: a death that overtakes the due tick still counts as good") {
    Subject s;
    s.start();
    s.spawned();
    s.now += 5s;
    s.exits(exit_code(1));
    CHECK(s.instance.outcome == Outcome::done);
}

TEST_CASE("core/instance: a spawn failure is kept as the last exit and tried again") {
    Subject s;
    s.start();
    s.spawn_fails(EACCES);
    CHECK(s.state() == std::string{"backoff"});
    CHECK(s.instance.outcome == Outcome::failed);
    CHECK(s.did(s.release()));
    const LastExit last = s.instance.history.last_exit.value();
    CHECK(last.reason == ExitReason::spawn_failed);
    CHECK(last.status == ExitStatus{ExitStatus::Kind::spawn_failed, EACCES, Op::exec, false});
}

TEST_CASE("core/instance: restart = never gives up on a command that cannot be executed") {
    Subject s;
    s.policy.restart = RestartPolicy::never;
    s.start();
    s.spawn_fails(ENOENT);
    CHECK(s.state() == std::string{"fatal"});
    s.start();
    CHECK(s.did(s.spawn()));
}

TEST_CASE("core/instance: a shortage of the machine is always tried again") {
    for (const int code : {EAGAIN, ENOMEM, EMFILE, ENFILE}) {
        Subject s;
        s.policy.restart = RestartPolicy::never;
        s.policy.restart_limit = {1, 1h, RestartLimit::Then::fatal};
        s.start();
        for (int attempt = 0; attempt < 10; ++attempt) {
            s.spawn_fails(code);
            REQUIRE(s.state() == std::string{"backoff"});
            CHECK(std::get<BackingOff>(s.instance.state).is_limited == (attempt > 0));
            s.now = s.deadline();
            s.tick();
            CHECK(s.did(s.spawn()));
        }
    }
}

TEST_CASE("core/instance: what is not ready in time is ended, fails, and backs off after its end") {
    Subject s;
    s.start();
    s.pass(30s);
    CHECK(s.did(s.signal(15)));
    CHECK(s.state() == std::string{"stopping"});
    CHECK(s.instance.outcome == Outcome::failed);
    CHECK(s.instance.desired == Desired::up);
    s.exits(exit_code(0));
    CHECK(s.did(s.release()));
    CHECK(s.state() == std::string{"backoff"});
    CHECK(s.instance.history.last_exit->reason == ExitReason::start_timeout);
}

TEST_CASE("core/instance: an operator's start during the end of a late run spawns without delay") {
    Subject s;
    s.start();
    s.pass(30s);
    s.start();
    s.exits(exit_code(1));
    REQUIRE(s.actions.size() == 2);
    CHECK(s.actions[1] == s.spawn());
    CHECK(s.instance.outcome == Outcome::pending);
}

TEST_CASE("core/instance: readiness that overtakes the news of exec is not lost") {
    Subject s;
    s.start();
    s.send(event::BecameReady{s.instance.generation});
    CHECK(s.state() == std::string{"running"});
    s.spawned();
    s.pass(1s);
    CHECK(s.instance.outcome == Outcome::done);
}

TEST_CASE("core/instance: events of another run change nothing in any state") {
    Subject s;
    s.run();
    const Generation now = s.instance.generation;
    const Instance before = s.instance;
    for (const Generation other : {Generation{0}, Generation{now.value + 1}}) {
        s.send(event::ProcessExited{other, exit_code(1), false});
        s.send(event::SpawnFailed{other, Op::exec, ENOENT});
        s.send(event::GroupEmptied{other});
        s.send(event::SpawnSucceeded{other});
        s.send(event::BecameReady{other});
        CHECK(s.instance == before);
        CHECK(s.did_nothing());
    }
}

TEST_CASE("core/instance: an exit that is told again while backing off is of the past") {
    Subject s;
    s.run();
    s.exits(exit_code(1));
    const Instance before = s.instance;
    s.exits(exit_code(1));
    s.spawn_fails(EAGAIN);
    s.group_empties();
    CHECK(s.instance == before);
    CHECK(s.did_nothing());
}

}  // namespace cluster::core::test
