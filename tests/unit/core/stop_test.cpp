#include <doctest/doctest.h>

#include <cerrno>
#include <string>

#include "unit/core/subject.hpp"

namespace cluster::core::test {

TEST_CASE("core/stop: signal, exit, stopped, done") {
    Subject s;
    s.policy.stop_signal = 3;
    s.run();
    s.stop();
    CHECK(s.did(s.signal(3)));
    CHECK(s.state() == std::string{"stopping"});
    CHECK(s.instance.outcome == Outcome::pending);
    CHECK(s.deadline() == s.now + 10s);
    s.exits({ExitStatus::Kind::signal, 3, Op::none, false});
    CHECK(s.did(s.release()));
    CHECK(s.state() == std::string{"stopped"});
    CHECK(s.instance.outcome == Outcome::done);
    CHECK(s.instance.history.last_exit->reason == ExitReason::stopped);
}

TEST_CASE("core/stop: it has not ended while anybody of the group lives, and KILL comes for them") {
    Subject s;
    s.run();
    s.stop();
    s.exits(exit_code(0), true);
    CHECK(s.state() == std::string{"stopping"});
    CHECK(s.did_nothing());
    s.pass(10s);
    CHECK(s.did(s.signal(9)));
    s.group_empties();
    CHECK(s.did(s.release()));
    CHECK(s.state() == std::string{"stopped"});
    CHECK(s.instance.history.last_exit->reason == ExitReason::stopped);
}

TEST_CASE("core/stop: an exit told again after a recovery may bring that the group is empty") {
    Subject s;
    s.run();
    s.stop();
    s.exits(exit_code(5), true);
    s.exits(exit_code(5), false);
    CHECK(s.state() == std::string{"stopped"});
}

TEST_CASE("core/stop: a group cannot be empty before its leader has been reaped") {
    Subject s;
    s.run();
    s.stop();
    s.group_empties();
    CHECK(s.state() == std::string{"stopping"});
}

TEST_CASE("core/stop: KILL is sent at the timeout and again at a bounded interval") {
    Subject s;
    s.run();
    s.stop();
    s.pass(9999ms);
    CHECK(s.did_nothing());
    s.pass(1ms);
    CHECK(s.did(s.signal(9)));
    CHECK(s.deadline() == s.now + kKillInterval);
    s.tick();
    CHECK(s.did_nothing());
    s.pass(kKillInterval);
    CHECK(s.did(s.signal(9)));
    s.exits({ExitStatus::Kind::signal, 9, Op::none, false});
    CHECK(s.instance.history.last_exit->reason == ExitReason::killed);
}

TEST_CASE("core/stop: it may come before exec was confirmed, and a failed spawn then ends it") {
    Subject s;
    s.start();
    s.stop();
    CHECK(s.did(s.signal(15)));
    s.spawned();
    CHECK(s.state() == std::string{"stopping"});
    Subject failing;
    failing.start();
    failing.stop();
    failing.spawn_fails(ENOENT);
    CHECK(failing.did(failing.release()));
    CHECK(failing.state() == std::string{"stopped"});
    CHECK(failing.instance.outcome == Outcome::done);
}

TEST_CASE("core/stop: a second stop takes the operation over but wins no time") {
    Subject s;
    s.run();
    s.stop();
    const Instant kill_at = s.deadline();
    s.pass(5s);
    s.stop();
    CHECK(s.did_nothing());
    CHECK(s.deadline() == kill_at);
    CHECK(s.instance.epoch == Epoch{3});
    CHECK(s.instance.outcome == Outcome::pending);
}

TEST_CASE("core/stop: it beats a restart that is waiting or under way") {
    Subject waiting;
    waiting.run();
    waiting.exits(exit_code(1));
    waiting.stop();
    CHECK(waiting.state() == std::string{"stopped"});
    CHECK(waiting.instance.outcome == Outcome::done);
    waiting.pass(1h);
    CHECK(waiting.did_nothing());
    Subject restarting;
    restarting.run();
    restarting.restart();
    restarting.stop();
    restarting.exits(exit_code(0));
    CHECK(restarting.state() == std::string{"stopped"});
}

TEST_CASE("core/stop: a start during it starts again after it") {
    Subject s;
    s.run();
    s.stop();
    s.start();
    CHECK(s.did_nothing());
    CHECK(s.state() == std::string{"stopping"});
    s.exits(exit_code(0));
    REQUIRE(s.actions.size() == 2);
    CHECK(s.actions[1] == s.spawn());
    CHECK(s.instance.outcome == Outcome::pending);
    s.spawned();
    s.pass(1s);
    CHECK(s.instance.outcome == Outcome::done);
}

TEST_CASE("core/stop: stopping what is down is done at once") {
    Subject s;
    s.stop();
    CHECK(s.instance.outcome == Outcome::done);
    Subject finished;
    finished.policy.restart = RestartPolicy::never;
    finished.run();
    finished.exits(exit_code(0));
    finished.stop();
    CHECK(finished.state() == std::string{"stopped"});
    CHECK(finished.did_nothing());
}

TEST_CASE("core/stop: a restart gives a new run that is not an automatic restart") {
    Subject s;
    s.run();
    s.exits(exit_code(1));
    s.pass(1s);
    s.spawned();
    CHECK(s.instance.history.restarts == 1);
    s.restart();
    CHECK(s.did(s.signal(15)));
    const Generation old = s.instance.generation;
    s.exits(exit_code(0));
    REQUIRE(s.actions.size() == 2);
    CHECK(s.actions[0] == Action{action::Release{old}});
    CHECK(s.actions[1] == s.spawn());
    CHECK(s.instance.history.restarts == 0);
}

TEST_CASE("core/stop: a restart of what is down or waiting starts it at once") {
    Subject s;
    s.restart();
    CHECK(s.did(s.spawn()));
    s.spawned();
    s.exits(exit_code(1));
    s.restart();
    CHECK(s.did(s.spawn()));
    CHECK(s.instance.history.failures_in_row == 0);
}

}  // namespace cluster::core::test
