#include "core/fleet.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "unit/core/fleet_fixture.hpp"

namespace cluster::core::test {

TEST_CASE("core/fleet: a new worker takes the lowest slots and starts if autostart says so") {
    World w;
    CHECK(w.add(worker_spec("api", 2)) == Refusal::none);
    WorkerSpec lazy = worker_spec("lazy", 1);
    lazy.autostart = false;
    CHECK(w.add(lazy) == Refusal::none);
    CHECK(w.layout() == "api.0@0 api.1@1 lazy.0@2");
    CHECK(w.actions() == "spawn 0#1 spawn 1#1");
    CHECK(w.state(2) == "stopped");
    CHECK(w.fleet.find_worker("api")->slots == std::vector<Slot>{Slot{0}, Slot{1}});
    CHECK_FALSE(w.fleet.is_idle());
}

TEST_CASE("core/fleet: add refuses a taken name, too many workers and too many instances") {
    World w;
    CHECK(w.add(worker_spec("a", 1)) == Refusal::none);
    CHECK(w.add(worker_spec("a", 1)) == Refusal::name_taken);
    CHECK(w.add(worker_spec("b", 8)) == Refusal::too_many_instances);
    CHECK(w.add(worker_spec("b", kMaxInstancesPerWorker + 1)) == Refusal::too_many_instances);
    CHECK(w.add(worker_spec("b", 7)) == Refusal::none);
    CHECK(w.add(worker_spec("c", 0)) == Refusal::none);
    CHECK(w.add(worker_spec("d", 0)) == Refusal::none);
    CHECK(w.add(worker_spec("e", 0)) == Refusal::too_many_workers);
    CHECK(w.scale("c", 1) == Refusal::too_many_instances);
    CHECK(w.layout() == "a.0@0 b.0@1 b.1@2 b.2@3 b.3@4 b.4@5 b.5@6 b.6@7");
}

TEST_CASE("core/fleet: the progress of an operation counts what it started until it is settled") {
    World w;
    w.add(worker_spec("api", 3));
    const Epoch epoch = w.fleet.last_epoch();
    CHECK(w.fleet.progress(epoch).pending == 3);
    w.spawned(0);
    w.spawned(1);
    w.exits(1, 1);
    w.pass(1s);
    Progress progress = w.fleet.progress(epoch);
    CHECK(progress.done == 1);
    CHECK(progress.failed_slots == std::vector<Slot>{Slot{1}});
    CHECK(progress.pending_slots == std::vector<Slot>{Slot{2}});
    w.fleet.begin_operation();
    w.fleet.stop(Slot{2}, w.now);
    progress = w.fleet.progress(epoch);
    CHECK(progress.is_settled());
    CHECK(w.fleet.progress(w.fleet.last_epoch()).pending == 1);
}

TEST_CASE("core/fleet: scaling down stops the highest numbers and forgets them when they ended") {
    World w;
    w.add(worker_spec("api", 3));
    w.settle();
    CHECK(w.scale("api", 1) == Refusal::none);
    CHECK(w.actions() == "signal 2#1:15 signal 1#1:15");
    CHECK(w.layout() == "api.0@0 -api.1@1 -api.2@2");
    CHECK(w.fleet.find_worker("api")->spec.instances == 1);
    static_cast<void>(w.fleet.take_dirty_slots());
    w.exits(2, 0);
    CHECK(w.actions() == "release 2#1");
    CHECK(w.fleet.find(Slot{2}) == nullptr);
    CHECK(w.fleet.take_dirty_slots() == std::vector<Slot>{Slot{2}});
    CHECK(w.layout() == "api.0@0 -api.1@1");
}

TEST_CASE("core/fleet: scaling up again never touches what is still being stopped") {
    World w;
    w.add(worker_spec("api", 2));
    w.settle();
    w.scale("api", 1);
    CHECK(w.actions() == "signal 1#1:15");
    w.scale("api", 3);
    CHECK(w.actions() == "spawn 2#1 spawn 3#1");
    CHECK(w.layout() == "api.0@0 api.1@2 -api.1@1 api.2@3");
    w.exits(1, 0);
    CHECK(w.layout() == "api.0@0 api.1@2 api.2@3");
    CHECK(w.actions() == "release 1#1");
}

TEST_CASE("core/fleet: generations of a slot go on when it passes to another instance") {
    World w;
    w.add(worker_spec("a", 1));
    w.settle();
    w.remove("a");
    w.exits(0, 0);
    w.add(worker_spec("b", 1));
    static_cast<void>(w.fleet.take_dirty_slots());
    CHECK(w.layout() == "b.0@0");
    CHECK(w.generation(0) == Generation{2});
    w.fleet.on_event(Slot{0}, event::ProcessExited{Generation{1}, exit_code(0), false}, w.now);
    CHECK(w.state(0) == "starting");
}

TEST_CASE(
    "core/fleet: a deleted worker is gone from sight at once and vanishes after its last stop") {
    World w;
    w.add(worker_spec("a", 2));
    w.settle();
    const std::uint32_t old = w.index("a");
    w.scale("a", 1);
    w.remove("a");
    CHECK(w.fleet.find_worker("a") == nullptr);
    CHECK(w.fleet.workers().empty());
    CHECK(w.fleet.worker(old)->is_deleted);
    CHECK(w.fleet.progress(w.fleet.last_epoch()).pending == 2);
    static_cast<void>(w.fleet.take_dirty_workers());
    CHECK(w.add(worker_spec("a", 1)) == Refusal::none);
    CHECK(w.index("a") != old);
    w.exits(0, 0);
    CHECK(w.fleet.worker(old) != nullptr);
    w.exits(1, 0);
    CHECK(w.fleet.worker(old) == nullptr);
    CHECK(w.fleet.take_dirty_workers() == std::vector<std::uint32_t>{w.index("a"), old});
    CHECK(w.layout() == "a.0@2");
}

TEST_CASE("core/fleet: deleting a worker that is down forgets it in the same call") {
    World w;
    WorkerSpec spec = worker_spec("a", 3);
    spec.autostart = false;
    w.add(spec);
    w.remove("a");
    CHECK(w.fleet.worker(0) == nullptr);
    CHECK(w.fleet.places().empty());
    CHECK(w.add(worker_spec("none", 0)) == Refusal::none);
    w.remove("none");
    CHECK(w.fleet.worker(0) == nullptr);
}

TEST_CASE("core/fleet: a retired instance cannot be started again") {
    World w;
    w.add(worker_spec("a", 1));
    w.settle();
    w.scale("a", 0);
    w.fleet.begin_operation();
    w.fleet.start(Slot{0}, w.now);
    w.fleet.restart(Slot{0}, w.now);
    w.exits(0, 0);
    CHECK(w.fleet.find(Slot{0}) == nullptr);
}

TEST_CASE("core/fleet: update reloads what is up only if the launch differs") {
    World w;
    w.add(worker_spec("a", 3));
    w.settle();
    w.fleet.begin_operation();
    w.fleet.stop(Slot{2}, w.now);
    w.exits(2, 0);
    static_cast<void>(w.fleet.take_actions());
    WorkerSpec spec = worker_spec("a", 3);
    spec.policy.stop_signal = 2;
    spec.group = "site";
    spec.source = "/etc/x.toml";
    CHECK(w.fleet.update(spec, w.now) == Refusal::none);
    CHECK(w.actions().empty());
    CHECK(w.fleet.find_worker("a")->revision == 2);
    spec.launch.command.push_back("-v");
    w.fleet.begin_operation();
    CHECK(w.fleet.update(spec, w.now) == Refusal::none);
    w.pass(0s);
    CHECK(w.actions() == "signal 0#1:2");
    w.exits(0, 0);
    CHECK(w.actions() == "release 0#1 spawn 0#2");
    CHECK(w.fleet.update(worker_spec("b", 1), w.now) == Refusal::no_such_worker);
}

TEST_CASE("core/fleet: update adjusts the count, and new instances follow the others") {
    World w;
    w.add(worker_spec("a", 1));
    static_cast<void>(w.fleet.take_actions());
    w.fleet.update(worker_spec("a", 2), w.now);
    CHECK(w.actions() == "spawn 1#1");
    w.fleet.stop(Slot{0}, w.now);
    w.fleet.stop(Slot{1}, w.now);
    static_cast<void>(w.fleet.take_actions());
    w.fleet.update(worker_spec("a", 3), w.now);
    CHECK(w.actions().empty());
    CHECK(w.state(2) == "stopped");
    w.fleet.update(worker_spec("a", 2), w.now);
    CHECK(w.fleet.find(Slot{2}) == nullptr);
}

TEST_CASE("core/fleet: a shorter timeout holds at once for what waits already") {
    World w;
    w.add(worker_spec("a", 1));
    w.spawned(0);
    w.exits(0, 1);
    w.add(worker_spec("b", 1));
    WorkerSpec spec = worker_spec("b", 1);
    spec.policy.start_timeout = 500ms;
    w.fleet.update(spec, w.now);
    CHECK(w.fleet.next_deadline() == w.now + 500ms);
    w.pass(500ms);
    CHECK(w.state(1) == "stopping");
    CHECK(w.fleet.next_deadline() == w.now + 500ms);
}

TEST_CASE("core/fleet: a busy slot is not given away") {
    World w;
    w.fleet.set_slot_busy(Slot{0}, true);
    w.add(worker_spec("a", 1));
    w.fleet.set_slot_busy(Slot{0}, false);
    w.add(worker_spec("b", 1));
    CHECK(w.layout() == "a.0@1 b.0@0");
}

TEST_CASE("core/fleet: time reaches exactly those whose deadline is due") {
    World w;
    w.add(worker_spec("a", 3));
    static_cast<void>(w.fleet.take_actions());
    w.exits(0, 1);
    w.now += 500ms;
    w.exits(2, 1);
    CHECK(w.actions() == "release 0#1 release 2#1");
    CHECK(w.fleet.next_deadline() == w.now + 500ms);
    w.pass(500ms);
    CHECK(w.actions() == "spawn 0#2");
    w.pass(500ms);
    CHECK(w.actions() == "spawn 2#2");
}

TEST_CASE("core/fleet: it is idle when nothing of any run can be alive") {
    World w;
    CHECK(w.fleet.is_idle());
    w.add(worker_spec("a", 1));
    CHECK_FALSE(w.fleet.is_idle());
    w.fleet.stop(Slot{0}, w.now);
    CHECK_FALSE(w.fleet.is_idle());
    w.exits(0, 0);
    CHECK(w.fleet.is_idle());
}

TEST_CASE("core/fleet: what changed is listed once, and nothing else") {
    World w;
    w.add(worker_spec("a", 2));
    CHECK(w.fleet.take_dirty_slots() == std::vector<Slot>{Slot{0}, Slot{1}});
    CHECK(w.fleet.take_dirty_workers() == std::vector<std::uint32_t>{0});
    w.fleet.on_event(Slot{1}, event::GroupEmptied{Generation{1}}, w.now);
    w.fleet.on_event(Slot{7}, event::GroupEmptied{Generation{1}}, w.now);
    w.fleet.on_event(Slot{99}, event::GroupEmptied{Generation{1}}, w.now);
    CHECK(w.fleet.take_dirty_slots().empty());
    w.spawned(1);
    w.exits(1, 1);
    CHECK(w.fleet.take_dirty_slots() == std::vector<Slot>{Slot{1}});
}

}  // namespace cluster::core::test
