// Readiness, leaving, more time, and too much memory, as one instance sees them.
#include <doctest/doctest.h>

#include "unit/core/subject.hpp"

namespace cluster::core::test {
namespace {

Subject notifying() {
    Subject subject;
    subject.policy.ready.kind = Readiness::Kind::notify;
    subject.start();
    subject.spawned();
    return subject;
}

TEST_CASE("core/ready: exec alone is not enough where readiness comes later") {
    Subject subject = notifying();
    CHECK_FALSE(is_ready(subject.instance));
    subject.pass(5s);
    CHECK(subject.instance.outcome == Outcome::pending);
    subject.send(event::BecameReady{subject.instance.generation});
    CHECK(is_ready(subject.instance));
    subject.pass(1s);
    CHECK(subject.instance.outcome == Outcome::done);
}

TEST_CASE("core/ready: a run that speaks was executed, whatever order the news come in") {
    Subject subject;
    subject.policy.ready.kind = Readiness::Kind::notify;
    subject.start();
    subject.send(event::BecameReady{subject.instance.generation});
    CHECK(is_ready(subject.instance));
    subject.spawned();
    CHECK(is_ready(subject.instance));
}

TEST_CASE("core/ready: start_timeout is a failure, and never a success") {
    Subject subject = notifying();
    subject.pass(30s);
    CHECK(subject.did(subject.signal(15)));
    CHECK(subject.instance.outcome == Outcome::failed);
    subject.exits(exit_code(0));
    CHECK(subject.state() == std::string{"backoff"});
    CHECK(subject.instance.history.last_exit->reason == ExitReason::start_timeout);
}

TEST_CASE("core/ready: more time counts past the usual limit only, and must be asked for again") {
    Subject subject = notifying();
    subject.send(event::ExtendTimeout{subject.instance.generation, 5s});
    subject.pass(29s);
    CHECK(subject.did_nothing());
    subject.send(event::ExtendTimeout{subject.instance.generation, 5s});
    subject.pass(4s);
    CHECK(subject.did_nothing());
    subject.pass(1s);
    CHECK(subject.did(subject.signal(15)));
}

TEST_CASE("core/ready: who leaves is not ready any more, and is ended when it takes too long") {
    Subject subject;
    subject.run();
    subject.send(event::Leaving{subject.instance.generation});
    CHECK_FALSE(is_ready(subject.instance));
    CHECK(subject.did_nothing());
    subject.pass(9s);
    CHECK(subject.did_nothing());
    subject.pass(1s);
    CHECK(subject.did(subject.signal(15)));
    subject.exits(exit_code(0));
    CHECK(subject.state() == std::string{"backoff"});
}

TEST_CASE("core/ready: who leaves in time is judged by its exit") {
    Subject subject;
    subject.policy.restart = RestartPolicy::on_failure;
    subject.run();
    subject.send(event::Leaving{subject.instance.generation});
    subject.exits(exit_code(0));
    CHECK(subject.state() == std::string{"exited"});
}

TEST_CASE("core/ready: too much memory ends the run by its stop signal, and it comes back") {
    Subject subject;
    subject.run();
    subject.pass(31s);
    subject.send(event::OverMemory{subject.instance.generation});
    CHECK(subject.did(subject.signal(15)));
    subject.send(event::OverMemory{subject.instance.generation});
    CHECK(subject.did_nothing());
    subject.exits(exit_code(0));
    CHECK(subject.instance.history.last_exit->reason == ExitReason::max_memory);
    CHECK(subject.state() == std::string{"backoff"});
    CHECK(subject.deadline() == subject.now + 1s);
    CHECK(subject.instance.outcome == Outcome::done);
}

TEST_CASE("core/ready: with restart = never, too much memory ends it for good") {
    Subject subject;
    subject.policy.restart = RestartPolicy::never;
    subject.run();
    subject.send(event::OverMemory{subject.instance.generation});
    subject.exits(exit_code(0));
    CHECK(subject.state() == std::string{"exited"});
}

TEST_CASE("core/ready: a run whose watchdog ran out gets SIGABRT, and comes back") {
    Subject subject;
    subject.policy.restart = RestartPolicy::on_failure;
    subject.run();
    subject.send(event::Hung{subject.instance.generation, ExitReason::watchdog});
    CHECK(subject.did(subject.signal(6)));
    subject.exits(exit_code(0));
    CHECK(subject.instance.history.last_exit->reason == ExitReason::watchdog);
    CHECK(subject.state() == std::string{"backoff"});
}

TEST_CASE("core/ready: a run that failed its liveness probe gets its stop signal") {
    Subject subject;
    subject.run();
    subject.send(event::Hung{subject.instance.generation, ExitReason::liveness});
    CHECK(subject.did(subject.signal(15)));
    subject.send(event::Hung{subject.instance.generation, ExitReason::liveness});
    CHECK(subject.did_nothing());
    subject.exits(exit_code(0));
    CHECK(subject.instance.history.last_exit->reason == ExitReason::liveness);
}

TEST_CASE("core/ready: who ended with the channel that we closed has failed, whatever its code") {
    Subject subject;
    subject.policy.restart = RestartPolicy::on_failure;
    subject.run();
    subject.send(event::Hung{subject.instance.generation, ExitReason::channel});
    subject.exits(exit_code(0));
    CHECK(subject.instance.history.last_exit->reason == ExitReason::channel);
    CHECK(subject.state() == std::string{"backoff"});
}

}  // namespace
}  // namespace cluster::core::test
