// Order among workers: who starts and stops before whom, and who waits for whom.
#include <doctest/doctest.h>

#include <cerrno>

#include "unit/core/fleet_fixture.hpp"

namespace cluster::core::test {
namespace {

/// api (slot 1) requires db (slot 0); both ready when they say so.
struct Pair : World {
    WorkerSpec db = worker_spec("db", 1);
    WorkerSpec api = worker_spec("api", 1);
    Pair() {
        db.policy.ready.kind = Readiness::Kind::notify;
        api.policy.ready.kind = Readiness::Kind::notify;
        api.requirements = {"db"};
        REQUIRE(fleet.add_stopped(db) == Refusal::none);
        REQUIRE(fleet.add_stopped(api) == Refusal::none);
    }
    void ready(std::uint32_t slot) {
        fleet.on_event(Slot{slot}, event::BecameReady{generation(slot)}, now);
        fleet.on_time(now);
    }
    void dies(std::uint32_t slot, int code = 1) {
        exits(slot, code);
        fleet.on_time(now);
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
    void restart(const std::vector<Slot>& slots) {
        fleet.begin_operation();
        fleet.restart(slots, now);
        fleet.on_time(now);
    }
    /// Both up and good.
    void come_up() {
        start({Slot{1}});
        spawned(0);
        ready(0);
        spawned(1);
        ready(1);
        pass(1s);
        static_cast<void>(fleet.take_actions());
    }
    [[nodiscard]] const Instance& instance(std::uint32_t slot) const {
        return fleet.find(Slot{slot})->instance;
    }
    [[nodiscard]] WaitsFor waits(std::uint32_t slot) const {
        return fleet.waits_for(*fleet.find(Slot{slot}));
    }
};

TEST_CASE("core/requires: a start also starts what is required, and waits until it is ready") {
    Pair world;
    world.start({Slot{1}});
    CHECK(world.actions() == "spawn 0#1");
    CHECK(std::holds_alternative<Waiting>(world.instance(1).state));
    CHECK(world.state(1) == "starting");
    CHECK(world.waits(1).workers == std::vector<std::string>{"db"});
    world.spawned(0);
    world.pass(20s);
    CHECK(world.actions().empty());
    world.ready(0);
    CHECK(world.actions() == "spawn 1#1");
    // start_timeout counts only from here: it is 30 s, and 20 s have passed already.
    CHECK(world.fleet.find(Slot{1})->instance.outcome == Outcome::pending);
    world.spawned(1);
    world.pass(20s);
    CHECK(world.state(1) == "running");
    world.ready(1);
    world.pass(1s);
    CHECK(world.fleet.progress(world.fleet.last_epoch()).done == 2);
}

TEST_CASE("core/requires: start_timeout of what is required fails the waiting one, which stays") {
    Pair world;
    world.start({Slot{1}});
    world.spawned(0);
    world.pass(30s);
    CHECK(world.instance(0).outcome == Outcome::failed);
    CHECK(world.state(0) == "stopping");
    CHECK(world.instance(1).outcome == Outcome::pending);
    world.dies(0);
    CHECK(world.state(0) == "backoff");
    CHECK(world.instance(1).outcome == Outcome::failed);
    CHECK(world.waits(1).failed == "db");
    CHECK(world.state(1) == "starting");
    static_cast<void>(world.fleet.take_actions());
    world.pass(1s);
    CHECK(world.actions() == "spawn 0#2");
    world.spawned(0);
    world.ready(0);
    CHECK(world.actions() == "spawn 1#1");
}

TEST_CASE("core/requires: a stop takes those along that require it, and comes after them") {
    Pair world;
    world.come_up();
    world.stop({Slot{0}});
    CHECK(world.actions() == "signal 1#1:15");
    CHECK(world.state(0) == "running");
    CHECK(world.instance(0).hold == Hold::stop);
    CHECK(world.waits(0).workers == std::vector<std::string>{"api"});
    world.pass(5s);
    CHECK(world.actions().empty());
    world.dies(1, 0);
    CHECK(world.actions() == "release 1#1 signal 0#1:15");
    world.dies(0, 0);
    CHECK(world.fleet.progress(world.fleet.last_epoch()).done == 2);
    CHECK(world.fleet.is_idle());
}

TEST_CASE("core/requires: what dies while its stop is held is stopped, and does not come back") {
    Pair world;
    world.come_up();
    world.stop({Slot{0}, Slot{1}});
    static_cast<void>(world.fleet.take_actions());
    world.dies(0);
    CHECK(world.actions() == "release 0#1");
    CHECK(world.state(0) == "stopped");
    CHECK(world.instance(0).outcome == Outcome::done);
}

TEST_CASE("core/requires: a start takes a held stop back, and nothing is signalled") {
    Pair world;
    world.come_up();
    world.stop({Slot{0}});
    static_cast<void>(world.fleet.take_actions());
    world.start({Slot{0}});
    CHECK(world.instance(0).hold == Hold::none);
    CHECK(world.instance(0).outcome == Outcome::done);
    world.dies(1, 0);
    CHECK(world.actions() == "release 1#1");
    CHECK(world.state(0) == "running");
    CHECK(world.state(1) == "stopped");
}

TEST_CASE("core/requires: a restart of both goes down in reverse and comes up in order") {
    Pair world;
    world.come_up();
    world.restart({Slot{0}, Slot{1}});
    CHECK(world.actions() == "signal 1#1:15");
    world.dies(1, 0);
    CHECK(world.actions() == "release 1#1 signal 0#1:15");
    CHECK(world.state(1) == "starting");
    world.dies(0, 0);
    CHECK(world.actions() == "release 0#1 spawn 0#2");
    world.spawned(0);
    CHECK(world.actions().empty());
    world.ready(0);
    CHECK(world.actions() == "spawn 1#2");
}

TEST_CASE("core/requires: a restart of the required one alone leaves the others alone") {
    Pair world;
    world.come_up();
    world.restart({Slot{0}});
    CHECK(world.actions() == "signal 0#1:15");
    CHECK(world.state(1) == "running");
}

TEST_CASE("core/requires: an automatic restart waits for nobody") {
    Pair world;
    world.come_up();
    world.dies(0);
    static_cast<void>(world.fleet.take_actions());
    world.dies(1);
    world.pass(1s);
    CHECK(world.actions() == "release 1#1 spawn 0#2 spawn 1#2");
}

TEST_CASE("core/requires: a job that ended well is as good as one that is ready") {
    Pair world;
    world.db.policy.ready.kind = Readiness::Kind::exec;
    world.db.policy.restart = RestartPolicy::never;
    REQUIRE(world.fleet.update(world.db, world.now) == Refusal::none);
    world.start({Slot{1}});
    CHECK(world.actions() == "spawn 0#1");
    world.spawned(0);
    world.dies(0, 0);
    CHECK(world.state(0) == "exited");
    CHECK(world.actions() == "release 0#1 spawn 1#1");
}

TEST_CASE("core/requires: one stopped instance of several does not take those along") {
    Pair world;
    world.come_up();
    REQUIRE(world.scale("db", 2) == Refusal::none);
    static_cast<void>(world.fleet.take_actions());
    world.stop({Slot{0}});
    CHECK(world.actions() == "signal 0#1:15");
    CHECK(world.instance(1).desired == Desired::up);
    world.stop({Slot{2}});
    CHECK(world.actions() == "signal 1#1:15");
    CHECK(world.instance(2).hold == Hold::stop);
}

TEST_CASE("core/requires: what is not there, or not to run, fails the wait and does not end it") {
    World world;
    WorkerSpec api = worker_spec("api", 1);
    api.requirements = {"db"};
    REQUIRE(world.add(api) == Refusal::none);
    world.pass(0s);
    CHECK(world.fleet.find(Slot{0})->instance.outcome == Outcome::failed);
    CHECK(world.fleet.waits_for(*world.fleet.find(Slot{0})).failed == "db");
    REQUIRE(world.add(worker_spec("db", 1)) == Refusal::none);
    world.spawned(1);
    static_cast<void>(world.fleet.take_actions());
    world.pass(0s);
    CHECK(world.actions() == "spawn 0#1");
}

TEST_CASE("core/requires: a name is waited for, whoever has it by then") {
    Pair w;
    w.come_up();
    w.remove("db");
    w.dies(0);
    w.restart({Slot{1}});
    w.dies(1);
    CHECK(w.waits(1).failed == "db");
    REQUIRE(w.add(w.db) == Refusal::none);  // another one of that name, in another place
    w.fleet.on_time(w.now);
    CHECK(w.waits(1).workers == std::vector<std::string>{"db"});
    CHECK(w.waits(1).failed.empty());
    w.spawned(0);
    w.ready(0);
    CHECK(w.waits(1).is_nothing());
    w.api.requirements.clear();
    w.fleet.begin_operation();
    REQUIRE(w.fleet.update(w.api, w.now) == Refusal::none);
    CHECK(w.fleet.followers_of("db").empty());
    static_cast<void>(w.actions());
    w.stop({Slot{0}});
    CHECK(w.actions() == "signal 0#2:15");
}

TEST_CASE("core/requires: parallel_starts lets so many start at a time, in order") {
    World world;
    world.fleet.set_parallel_starts(2);
    WorkerSpec spec = worker_spec("api", 5);
    spec.policy.ready.kind = Readiness::Kind::probe;
    REQUIRE(world.add(spec) == Refusal::none);
    CHECK(world.actions() == "spawn 0#1 spawn 1#1");
    CHECK(world.fleet.waits_for(*world.fleet.find(Slot{4})).for_room);
    world.spawned(0);
    world.spawned(1);
    world.pass(0s);
    CHECK(world.actions().empty());
    world.fleet.on_event(Slot{1}, event::BecameReady{world.generation(1)}, world.now);
    world.pass(0s);
    CHECK(world.actions() == "spawn 2#1");
    world.exits(0, 1);
    world.pass(0s);
    CHECK(world.actions() == "release 0#1 spawn 3#1");
    // Its restart is due, and waits for its turn like any start.
    world.pass(1s);
    CHECK(world.state(0) == "starting");
    CHECK(world.actions().empty());
    world.fleet.on_event(Slot{2}, event::BecameReady{world.generation(2)}, world.now);
    world.pass(0s);
    CHECK(world.actions() == "spawn 0#2");
    CHECK(world.fleet.find(Slot{0})->instance.history.restarts == 1);
}

TEST_CASE("core/requires: a stop of everything ends those that wait at once") {
    Pair world;
    world.start({Slot{1}});
    world.spawned(0);
    static_cast<void>(world.fleet.take_actions());
    world.stop({Slot{0}, Slot{1}});
    CHECK(world.state(1) == "stopped");
    CHECK(world.actions() == "signal 0#1:15");
}

TEST_CASE("core/requires: the state of a fleet that waits survives its supervisor") {
    Pair world;
    world.start({Slot{1}});
    world.spawned(0);
    Fleet successor{{8, 4}, 2};
    for (const Worker* worker : world.fleet.workers()) successor.restore_worker(*worker);
    for (const Place* place : world.fleet.places()) successor.restore_place(*place);
    successor.on_event(Slot{0}, event::BecameReady{Generation{1}}, world.now);
    successor.on_time(world.now);
    const std::vector<SlotAction> actions = successor.take_actions();
    REQUIRE(actions.size() == 1);
    CHECK(actions.front().slot == Slot{1});
    CHECK(std::holds_alternative<action::Spawn>(actions.front().action));
}

}  // namespace
}  // namespace cluster::core::test
