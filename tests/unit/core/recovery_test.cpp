#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "unit/core/fleet_fixture.hpp"

namespace cluster::core::test {

namespace {

/// What a successor knows: copies of every worker and place.
World successor_of(const World& dead) {
    World w;
    w.now = dead.now;
    w.fleet.restore_epoch(dead.fleet.last_epoch());
    for (std::uint32_t index = 0; index < 4; ++index) {
        if (const Worker* worker = dead.fleet.worker(index)) w.fleet.restore_worker(*worker);
    }
    for (const Place* place : dead.fleet.places()) w.fleet.restore_place(*place);
    return w;
}

/// The same, of one that was killed when it had stored `fresh` of a turn and nothing else of it.
World successor_of(const World& before, const World& dead, const std::vector<Slot>& fresh) {
    World w;
    w.now = dead.now;
    w.fleet.restore_epoch(dead.fleet.last_epoch());
    w.fleet.restore_worker(*dead.fleet.worker(0));
    for (std::uint32_t slot = 0; slot < 8; ++slot) {
        const bool is_fresh = std::find(fresh.begin(), fresh.end(), Slot{slot}) != fresh.end();
        const Place* const place = (is_fresh ? dead : before).fleet.find(Slot{slot});
        if (place != nullptr) w.fleet.restore_place(*place);
    }
    w.fleet.complete_restored(w.now);
    return w;
}

/// "a" with two instances, good; its reload has begun with the first one.
World reloading(ReloadSpec::Mode mode) {
    World w;
    WorkerSpec spec = worker_spec("a", 2);
    spec.reload.mode = mode;
    w.add(spec);
    w.settle();
    w.fleet.begin_operation();
    w.fleet.reload(w.fleet.find_worker("a")->slots, false, w.now);
    w.pass(0s);
    return w;
}

}  // namespace

TEST_CASE("core/recovery: a successor sees the same fleet and goes on with its deadlines") {
    World old;
    old.add(worker_spec("a", 3));
    old.add(worker_spec("b", 2));
    old.settle();
    old.scale("a", 1);
    old.exits(3, 1);
    old.remove("b");
    World w = successor_of(old);
    CHECK(w.layout() == old.layout());
    CHECK(w.fleet.next_deadline() == old.fleet.next_deadline());
    CHECK(w.fleet.is_idle() == old.fleet.is_idle());
    CHECK(w.fleet.last_epoch() == old.fleet.last_epoch());
    CHECK(w.fleet.find_worker("b") == nullptr);
    for (const Place* place : old.fleet.places()) {
        CHECK(w.fleet.find(place->slot)->instance == place->instance);
    }
    w.pass(10s);
    CHECK(w.actions() == "signal 1#1:9 signal 2#1:9 signal 4#1:9");
    w.exits(4, 0);
    CHECK(w.fleet.worker(1) == nullptr);
}

TEST_CASE("core/recovery: generations go on above what the keeper has seen") {
    World old;
    WorkerSpec spec = worker_spec("a", 1);
    spec.autostart = false;
    old.add(spec);
    World w = successor_of(old);
    w.fleet.note_generation(Slot{0}, Generation{5});
    w.fleet.note_generation(Slot{1}, Generation{9});
    w.fleet.note_generation(Slot{1}, Generation{3});
    w.fleet.note_generation(Slot{1000}, Generation{3});
    w.fleet.start(Slot{0}, w.now);
    w.add(worker_spec("b", 1));
    CHECK(w.actions() == "spawn 0#6 spawn 1#10");

    World other;
    other.fleet.note_generation(Slot{0}, Generation{5});
    other.fleet.restore_worker(*old.fleet.worker(0));
    other.fleet.restore_place(*old.fleet.find(Slot{0}));
    other.fleet.start(Slot{0}, other.now);
    CHECK(other.actions() == "spawn 0#6");
}

TEST_CASE("core/recovery: what does not fit is left out and harms nothing") {
    World w;
    Worker worker;
    worker.spec = worker_spec("a", 2);
    worker.index = 99;
    w.fleet.restore_worker(worker);
    CHECK(w.fleet.workers().empty());
    worker.index = 1;
    w.fleet.restore_worker(worker);
    worker.index = 2;
    w.fleet.restore_worker(worker);
    CHECK(w.fleet.workers().size() == 1);
    Place place;
    place.worker = 1;
    place.number = 1;
    place.slot = Slot{3};
    w.fleet.restore_place(place);
    place.slot = Slot{4};
    w.fleet.restore_place(place);
    place.number = kMaxInstancesPerWorker;
    w.fleet.restore_place(place);
    place.slot = Slot{99};
    w.fleet.restore_place(place);
    place.slot = Slot{5};
    place.worker = 3;
    w.fleet.restore_place(place);
    CHECK(w.layout() == "a.1@3");
    // Instance 0 was lost; commands over the hole are harmless.
    CHECK(w.fleet.scale(1, 0, w.now) == Refusal::none);
    CHECK(w.layout().empty());
}

TEST_CASE(
    "core/recovery: a record that wants more instances than there is room for gets the rest") {
    World w;  // 8 slots
    Worker worker;
    worker.index = 0;
    worker.spec = worker_spec("a", 5);
    w.fleet.restore_worker(worker);
    worker.index = 1;
    worker.spec = worker_spec("b", 4000);
    w.fleet.restore_worker(worker);
    w.fleet.complete_restored(w.now);
    CHECK(w.layout() == "a.0@0 a.1@1 a.2@2 a.3@3 a.4@4 b.0@5 b.1@6 b.2@7");
}

TEST_CASE("core/recovery: a deleted worker goes, though its places were not stored as leaving") {
    World old;
    old.add(worker_spec("a", 3));
    old.settle();
    old.fleet.begin_operation();
    old.fleet.stop({Slot{0}, Slot{1}}, old.now);
    old.exits(0, 0);
    old.exits(1, 0);
    // Killed behind the record of the worker and before those of its places.
    World w;
    Worker worker = *old.fleet.find_worker("a");
    worker.is_deleted = true;
    w.fleet.restore_worker(worker);
    for (const Place* place : old.fleet.places()) w.fleet.restore_place(*place);
    w.fleet.complete_restored(w.now);
    CHECK(w.layout() == "-a.2@2");
    CHECK(w.state(2) == "stopping");
    w.exits(2, 0);
    CHECK(w.layout().empty());
    CHECK(w.fleet.worker(0) == nullptr);
}

TEST_CASE("core/recovery: the order of workers is that of their creation, before and after") {
    World old;
    old.add(worker_spec("a", 0));
    old.add(worker_spec("b", 0));
    old.remove("a");
    old.add(worker_spec("c", 0));
    World w = successor_of(old);
    for (const Fleet* fleet : {&old.fleet, &w.fleet}) {
        REQUIRE(fleet->workers().size() == 2);
        CHECK(fleet->workers()[0]->spec.name == "b");
        CHECK(fleet->workers()[1]->spec.name == "c");
    }
}

TEST_CASE("core/recovery: a kill in a promotion costs no request that waits for its end") {
    const auto begun = [] {
        World w = reloading(ReloadSpec::Mode::overlap);
        w.spawned(2);
        w.fleet.begin_operation();
        w.fleet.reload(w.fleet.find_worker("a")->slots, false, w.now);
        return w;
    };
    const World before = begun();
    World dead = begun();
    dead.pass(1s);
    CHECK(dead.layout() == "a.0@2 -a.0@0 a.1@1");
    World w = successor_of(before, dead, {Slot{0}});  // the old run, as retired
    CHECK(w.layout() == "a.0@2 -a.0@0 a.1@1");
    CHECK(w.fleet.progress(Epoch{3}).pending_slots == std::vector<Slot>{Slot{1}, Slot{2}});
    const Reload& reload = w.fleet.find(Slot{2})->reload;
    CHECK(reload.phase == ReloadPhase::queued);
    CHECK(reload.former == Epoch{2});
    CHECK(reload.former_outcome == Outcome::done);
}

TEST_CASE("core/recovery: a reload that has failed takes nobody down after a kill") {
    const auto begun = [] {
        World w = reloading(ReloadSpec::Mode::stop_first);
        w.exits(0, 0);
        return w;
    };
    const World before = begun();
    World dead = begun();
    dead.fleet.on_event(Slot{0}, event::SpawnFailed{dead.generation(0), Op::exec, 2}, dead.now);
    dead.pass(0s);
    World w = successor_of(before, dead, {Slot{0}});  // not that a.1 stays as it is
    static_cast<void>(w.actions());
    w.pass(0s);
    CHECK(w.actions().empty());
    CHECK(w.fleet.progress(Epoch{2}).failed == 2);
}

}  // namespace cluster::core::test
