// Order without necessity: wants (tried) and after (order only).
#include <doctest/doctest.h>

#include "unit/core/fleet_fixture.hpp"

namespace cluster::core::test {
namespace {

/// db (slot 0) and api (slot 1), which comes after it in one way or the other; both ready when they
/// say so.
struct Ordered : World {
    explicit Ordered(std::vector<std::string> WorkerSpec::*order) {
        WorkerSpec db = worker_spec("db", 1);
        WorkerSpec api = worker_spec("api", 1);
        db.policy.ready.kind = Readiness::Kind::notify;
        db.policy.backoff.initial = std::chrono::minutes{1};
        db.policy.backoff.max = std::chrono::minutes{1};
        api.policy.ready.kind = Readiness::Kind::notify;
        api.*order = {"db", "nobody"};
        REQUIRE(fleet.add_stopped(db) == Refusal::none);
        REQUIRE(fleet.add_stopped(api) == Refusal::none);
    }
    void start(const std::vector<Slot>& slots) {
        fleet.begin_operation();
        fleet.start(slots, now);
        fleet.on_time(now);
    }
    void stop(const std::vector<Slot>& slots) {
        fleet.begin_operation();
        fleet.stop(slots, now);
        fleet.on_time(now);
    }
    void ready(std::uint32_t slot) {
        fleet.on_event(Slot{slot}, event::BecameReady{generation(slot)}, now);
        fleet.on_time(now);
    }
    void dies(std::uint32_t slot) {
        exits(slot, 1);
        fleet.on_time(now);
    }
    [[nodiscard]] std::vector<std::string> waits(std::uint32_t slot) const {
        return fleet.waits_for(*fleet.find(Slot{slot})).workers;
    }
};

using Names = std::vector<std::string>;

TEST_CASE("core/wants: what is wanted is started, too, and waited for until it is ready") {
    Ordered world(&WorkerSpec::wants);
    world.start({Slot{1}});
    CHECK(world.actions() == "spawn 0#1");
    CHECK(world.waits(1) == Names{"db"});
    world.spawned(0);
    CHECK(world.actions().empty());
    world.ready(0);
    CHECK(world.actions() == "spawn 1#1");
    CHECK(world.waits(1).empty());
}

TEST_CASE("core/wants: what is wanted and fails was tried, and nobody else fails of it") {
    Ordered world(&WorkerSpec::wants);
    world.start({Slot{1}});
    static_cast<void>(world.actions());
    world.spawned(0);
    world.dies(0);
    CHECK(world.state(0) == "backoff");
    CHECK(world.actions().find("spawn 1#1") != std::string::npos);
    world.spawned(1);
    world.ready(1);
    world.pass(2s);
    CHECK(world.fleet.find(Slot{1})->instance.outcome == Outcome::done);
    CHECK(world.fleet.find(Slot{0})->instance.outcome == Outcome::failed);
}

TEST_CASE("core/wants: a stop of what is wanted is nobody else's matter") {
    for (const auto order : {&WorkerSpec::wants, &WorkerSpec::after}) {
        Ordered world(order);
        world.start({Slot{0}, Slot{1}});
        world.spawned(0);
        world.ready(0);
        world.spawned(1);
        world.ready(1);
        static_cast<void>(world.actions());
        world.stop({Slot{0}});
        CHECK(world.actions() == "signal 0#1:15");
        CHECK(world.state(1) == "running");
    }
}

TEST_CASE("core/wants: of those that stop together the later one leaves first") {
    for (const auto order : {&WorkerSpec::wants, &WorkerSpec::after}) {
        Ordered world(order);
        world.start({Slot{0}, Slot{1}});
        world.spawned(0);
        world.ready(0);
        world.spawned(1);
        world.ready(1);
        static_cast<void>(world.actions());
        world.stop({Slot{0}, Slot{1}});
        CHECK(world.actions() == "signal 1#1:15");
        CHECK(world.waits(0) == Names{"api"});
        world.dies(1);
        CHECK(world.actions().find("signal 0#1:15") != std::string::npos);
    }
}

TEST_CASE(
    "core/after: nothing is started because of an order, and what is down is not waited for") {
    Ordered world(&WorkerSpec::after);
    world.start({Slot{1}});
    CHECK(world.actions() == "spawn 1#1");
    CHECK(world.state(0) == "stopped");
}

TEST_CASE("core/after: what is on its way as well goes first, whatever the order of the command") {
    Ordered world(&WorkerSpec::after);
    world.start({Slot{1}, Slot{0}});
    CHECK(world.actions() == "spawn 0#1");
    CHECK(world.waits(1) == Names{"db"});
    world.spawned(0);
    world.dies(0);
    CHECK(world.actions().find("spawn 1#1") != std::string::npos);
}

TEST_CASE("core/after: one that waits goes on when the other is stopped") {
    Ordered world(&WorkerSpec::after);
    world.start({Slot{0}, Slot{1}});
    world.spawned(0);
    static_cast<void>(world.actions());
    world.stop({Slot{0}});
    CHECK(world.actions().find("spawn 1#1") != std::string::npos);
}

}  // namespace
}  // namespace cluster::core::test
