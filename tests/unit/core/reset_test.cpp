#include <doctest/doctest.h>

#include "unit/core/fleet_fixture.hpp"

using namespace std::chrono_literals;
namespace core = cluster::core;
using cluster::Slot;
using core::test::World;

namespace {

World failing_world(core::RestartLimit::Then then) {
    World world;
    core::WorkerSpec spec = core::test::worker_spec("a", 1);
    spec.policy.backoff.initial = 10s;
    spec.policy.restart_limit = {1, 1h, then};
    REQUIRE(world.add(spec) == core::Refusal::none);
    world.spawned(0);
    world.exits(0, 1);
    return world;
}

}  // namespace

TEST_CASE("core/reset: a backoff ends at once, and its series begins anew") {
    World world = failing_world(core::RestartLimit::Then::slow);
    REQUIRE(world.state(0) == "backoff");
    (void)world.actions();
    world.fleet.begin_operation();
    CHECK(world.fleet.reset(Slot{0}, world.now));
    CHECK(world.state(0) == "starting");
    CHECK(world.actions() == "spawn 0#2");
    CHECK(world.fleet.find(Slot{0})->instance.history.failures_in_row == 0);
    CHECK(world.fleet.find(Slot{0})->instance.history.last_exit.has_value());
}

TEST_CASE("core/reset: what was given up is tried again") {
    World world = failing_world(core::RestartLimit::Then::fatal);
    world.pass(10s);
    world.spawned(0);
    world.exits(0, 1);
    REQUIRE(world.state(0) == "fatal");
    world.fleet.begin_operation();
    CHECK(world.fleet.reset(Slot{0}, world.now));
    CHECK(world.state(0) == "starting");
    CHECK(world.fleet.find(Slot{0})->instance.history.restarts == 0);
}

TEST_CASE("core/reset: a run goes on, with its counters cleared; what is down stays down") {
    World world = failing_world(core::RestartLimit::Then::slow);
    world.pass(10s);
    world.settle();
    REQUIRE(world.state(0) == "running");
    REQUIRE(world.fleet.find(Slot{0})->instance.history.restarts == 1);
    (void)world.fleet.take_dirty_slots();
    CHECK_FALSE(world.fleet.reset(Slot{0}, world.now));
    CHECK(world.state(0) == "running");
    CHECK(world.actions().empty());
    CHECK(world.fleet.find(Slot{0})->instance.history.restarts == 0);
    CHECK(world.fleet.take_dirty_slots().size() == 1);

    world.fleet.stop(Slot{0}, world.now);
    world.exits(0, 0);
    (void)world.actions();
    CHECK_FALSE(world.fleet.reset(Slot{0}, world.now));
    CHECK(world.state(0) == "stopped");
    CHECK_FALSE(world.fleet.reset(Slot{7}, world.now));
}

TEST_CASE("core/room: free slots and workers are counted") {
    World world;
    CHECK(world.fleet.room().slots == 8);
    CHECK(world.fleet.room().workers == 4);
    REQUIRE(world.add(core::test::worker_spec("a", 3)) == core::Refusal::none);
    world.fleet.set_slot_busy(Slot{7}, true);
    CHECK(world.fleet.room().slots == 4);
    CHECK(world.fleet.room().workers == 3);
}
