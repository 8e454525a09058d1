#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "unit/core/fleet_fixture.hpp"

namespace cluster::core::test {
namespace {

/// One worker "a" that is up and good, in slots 0 …
struct Site : World {
    WorkerSpec spec;

    explicit Site(std::uint32_t instances, ReloadSpec reload) : spec(worker_spec("a", instances)) {
        spec.reload = reload;
        REQUIRE(add(spec) == Refusal::none);
        settle();
    }
    Epoch reload(bool force = false) {
        const Epoch epoch = fleet.begin_operation();
        fleet.reload(fleet.find_worker("a")->slots, force, now);
        pass(0s);
        return epoch;
    }
    Epoch update() {
        const Epoch epoch = fleet.begin_operation();
        REQUIRE(fleet.update(spec, now) == Refusal::none);
        pass(0s);
        return epoch;
    }
    /// The run in the slot comes up and proves itself.
    void prove(std::uint32_t slot) {
        spawned(slot);
        pass(1s);
    }
    void leave(std::uint32_t slot) {
        exits(slot, 0);
        pass(0s);
    }
    [[nodiscard]] const Reload& reload_of(std::uint32_t slot) const {
        return fleet.find(Slot{slot})->reload;
    }
    [[nodiscard]] std::string told(Epoch epoch) const {
        const Progress progress = fleet.progress(epoch);
        return std::to_string(progress.done) + " done " + std::to_string(progress.failed) +
               " failed " + std::to_string(progress.pending) + " pending";
    }
};

ReloadSpec overlap(std::uint32_t batch = 1, std::uint32_t surge = 1) {
    ReloadSpec spec;
    spec.mode = ReloadSpec::Mode::overlap;
    spec.batch = batch;
    spec.surge = surge;
    return spec;
}

}  // namespace

TEST_CASE("core/reload: the old run is told to end when the new one has proved itself") {
    Site w{2, overlap()};
    const Epoch epoch = w.reload();
    CHECK(w.actions() == "spawn 2#1");
    CHECK(w.layout() == "a.0@0 +a.0@2 a.1@1");
    w.spawned(2);
    w.pass(999ms);
    CHECK(w.actions().empty());
    w.pass(1ms);
    CHECK(w.actions() == "signal 0#1:15");
    CHECK(w.layout() == "a.0@2 -a.0@0 a.1@1");
    CHECK(w.told(epoch) == "1 done 0 failed 2 pending");
    w.leave(0);
    CHECK(w.actions() == "release 0#1 spawn 0#2");
    CHECK(w.layout() == "a.0@2 a.1@1 +a.1@0");
    w.prove(0);
    CHECK(w.actions() == "signal 1#1:15");
    w.leave(1);
    CHECK(w.layout() == "a.0@2 a.1@0");
    CHECK(w.told(epoch) == "2 done 0 failed 0 pending");
    CHECK_FALSE(w.fleet.next_deadline());
}

TEST_CASE("core/reload: a new run that fails leaves every old one alone") {
    for (const std::string how : {"exec", "dies", "not ready", "ends well"}) {
        CAPTURE(how);
        ReloadSpec reload = overlap();
        Site w{2, reload};
        if (how == "not ready") w.spec.policy.ready.kind = Readiness::Kind::probe;
        w.update();
        w.prove(0);
        static_cast<void>(w.actions());
        // What changed for readiness has brought in new runs; begin from where they are.
        if (how == "not ready") {
            for (int i = 0; i < 4; ++i) {
                for (const Place* place : w.fleet.places()) {
                    w.fleet.on_event(place->slot, event::BecameReady{place->instance.generation},
                                     w.now);
                }
                w.pass(1s);
                for (std::uint32_t slot = 0; slot < 4; ++slot) {
                    if (w.state(slot) == "stopping") w.leave(slot);
                }
            }
            static_cast<void>(w.actions());
        }
        const std::string before = w.layout();
        const Epoch epoch = w.reload();
        const std::string begun = w.actions();
        REQUIRE(begun.substr(0, 6) == "spawn ");
        const auto slot = static_cast<std::uint32_t>(begun[6] - '0');
        if (how == "exec") {
            w.fleet.on_event(Slot{slot}, event::SpawnFailed{w.generation(slot), Op::exec, 2},
                             w.now);
        } else if (how == "dies") {
            w.spawned(slot);
            w.pass(900ms);
            w.exits(slot, 1);
        } else if (how == "ends well") {
            w.spawned(slot);
            w.exits(slot, 0);
        } else {
            w.spawned(slot);
            w.pass(30s);
            CHECK(w.state(slot) == "stopping");
            w.exits(slot, 0);
        }
        w.pass(0s);
        w.pass(0s);  // what has failed is shown for one turn more
        CHECK(w.layout() == before);
        CHECK(w.told(epoch) == "0 done 2 failed 0 pending");
        CHECK(w.actions().find("spawn") == std::string::npos);
        for (const Place* place : w.fleet.places()) CHECK(is_ready(place->instance));
        const Place* const first = w.fleet.find(w.fleet.find_worker("a")->slots[0]);
        REQUIRE(first->reload.exit);
        CHECK((first->reload.exit->reason == ExitReason::start_timeout) == (how == "not ready"));
    }
}

TEST_CASE("core/reload: a new run beside the old one gets one chance, whatever the backoff") {
    Site w{1, overlap()};
    w.spec.policy.backoff.initial = 0s;
    w.update();
    w.reload();
    w.spawned(1);
    static_cast<void>(w.actions());
    w.exits(1, 1);
    CHECK(w.actions() == "release 1#1");
}

TEST_CASE("core/reload: batch and surge bound what happens at a time") {
    Site w{4, overlap(2, 3)};
    w.reload();
    CHECK(w.actions() == "spawn 4#1 spawn 5#1");
    w.spawned(4);
    w.spawned(5);
    w.pass(1s);
    // Both old ones drain, and one more process may be there.
    CHECK(w.actions() == "signal 0#1:15 signal 1#1:15 spawn 6#1");
    w.leave(0);
    CHECK(w.actions() == "release 0#1 spawn 0#2");
}

TEST_CASE("core/reload: stop_first replaces one after the other in the same slot") {
    ReloadSpec reload;
    reload.mode = ReloadSpec::Mode::stop_first;
    Site w{2, reload};
    const Epoch epoch = w.reload();
    CHECK(w.actions() == "signal 0#1:15");
    w.leave(0);
    CHECK(w.actions() == "release 0#1 spawn 0#2");
    w.prove(0);
    CHECK(w.actions() == "signal 1#1:15");
    w.leave(1);
    w.prove(1);
    CHECK(w.told(epoch) == "2 done 0 failed 0 pending");
}

TEST_CASE("core/reload: stop_first goes no further than the first that fails") {
    Site w{3, ReloadSpec{}};
    const Epoch epoch = w.reload();
    w.leave(0);
    w.spawned(0);
    w.exits(0, 1);
    w.pass(0s);
    CHECK(w.told(epoch) == "0 done 3 failed 0 pending");
    CHECK(w.state(1) == "running");
    CHECK(w.state(2) == "running");
    CHECK(w.generation(2).value == 1);
}

TEST_CASE("core/reload: whom a failed one left down is replaced before anybody who serves") {
    Site w{2, ReloadSpec{}};
    w.reload();
    w.leave(0);
    w.prove(0);
    w.leave(1);
    w.spawned(1);
    w.exits(1, 1);
    w.pass(0s);
    REQUIRE(w.state(1) == "backoff");
    static_cast<void>(w.actions());
    const Epoch epoch = w.reload();
    CHECK(w.actions() == "spawn 1#3");
    CHECK(w.state(0) == "running");
    w.prove(1);
    CHECK(w.actions() == "signal 0#2:15");
    w.leave(0);
    w.prove(0);
    CHECK(w.told(epoch) == "2 done 0 failed 0 pending");
}

TEST_CASE("core/reload: a run that reloads itself is told to, and has to outlive it") {
    ReloadSpec reload;
    reload.signal = 1;
    Site w{2, reload};
    Epoch epoch = w.reload();
    CHECK(w.actions() == "tell 0#1:1");
    w.pass(999ms);
    CHECK(w.actions().empty());
    w.pass(1ms);
    CHECK(w.actions() == "tell 1#1:1");
    w.pass(1s);
    CHECK(w.told(epoch) == "2 done 0 failed 0 pending");
    CHECK_FALSE(w.fleet.next_deadline());

    epoch = w.reload();
    w.exits(0, 1);
    w.pass(0s);
    CHECK(w.told(epoch) == "0 done 2 failed 0 pending");
    CHECK(w.generation(1).value == 1);
}

TEST_CASE("core/reload: who says that it reloads itself is waited for, for start_timeout") {
    ReloadSpec reload;
    reload.signal = 1;
    Site w{2, reload};
    Epoch epoch = w.reload();
    CHECK(w.actions() == "tell 0#1:1");
    const auto say = [&](std::uint32_t slot, const Event& event) {
        w.fleet.on_event(Slot{slot}, event, w.now);
        w.pass(0s);
    };
    say(0, event::Reloading{Generation{1}, w.now});
    w.pass(20s);
    CHECK(w.actions().empty());
    say(0, event::BecameReady{Generation{1}});
    CHECK(w.actions() == "tell 1#1:1");
    // Of something that began before the signal: nobody waits for the end of that.
    say(1, event::Reloading{Generation{1}, w.now - 1ms});
    w.pass(1s);
    CHECK(w.told(epoch) == "2 done 0 failed 0 pending");

    epoch = w.reload();
    CHECK(w.actions() == "tell 0#1:1");
    say(0, event::Reloading{Generation{1}, {}});
    w.pass(30s - 1ms);
    CHECK(w.told(epoch) == "0 done 0 failed 2 pending");
    w.pass(1ms);
    CHECK(w.told(epoch) == "0 done 2 failed 0 pending");
    CHECK(w.actions().empty());
    CHECK(w.state(0) == "running");
    CHECK(w.reload_of(0).exit->reason == ExitReason::start_timeout);
    CHECK_FALSE(w.fleet.next_deadline());
}

TEST_CASE("core/reload: a changed command needs a new run, whatever signal it reloads itself on") {
    ReloadSpec reload = overlap();
    reload.signal = 1;
    Site w{1, reload};
    w.spec.launch.command = {"/bin/b"};
    w.update();
    CHECK(w.actions() == "spawn 1#1");
}

TEST_CASE("core/reload: auto overlaps where the instances inherit their sockets") {
    WorkerSpec spec = worker_spec("a", 1);
    CHECK(reload_mode(spec, spec) == ReloadMode::stop_first);
    spec.sockets.emplace_back();
    CHECK(reload_mode(spec, spec) == ReloadMode::overlap);
    spec.reload.mode = ReloadSpec::Mode::stop_first;
    CHECK(reload_mode(spec, spec) == ReloadMode::stop_first);
}

TEST_CASE("core/reload: who was not replaced goes on by the spec that he was started with") {
    Site w{1, overlap()};
    w.spec.launch.command = {"/bin/broken"};
    w.spec.policy.stop_signal = 2;
    w.update();
    w.spawned(1);
    w.exits(1, 1);
    w.pass(0s);
    CHECK(w.layout() == "a.0@0 -a.0@1");
    CHECK(w.fleet.next_deadline() == Instant{});
    w.pass(0s);
    CHECK(w.layout() == "a.0@0");
    const Place& place = *w.fleet.find(Slot{0});
    CHECK(w.fleet.is_behind(place));
    CHECK(w.fleet.spec_of(place).launch.command.front() == "/bin/a");
    static_cast<void>(w.actions());
    w.exits(0, 1);  // it crashes, and comes back as it was
    w.pass(1s);
    CHECK(w.actions() == "release 0#1 spawn 0#2");
    CHECK(w.fleet.spec_of(place).launch.command.front() == "/bin/a");
    w.spawned(0);
    w.pass(1s);
    // The same file again tries again; a restart by hand takes the newest.
    w.update();
    CHECK(w.actions() == "spawn 1#2");
    w.fleet.begin_operation();
    w.fleet.restart(Slot{0}, w.now);
    CHECK(w.actions() == "signal 1#2:2 signal 0#2:15");
    CHECK(w.fleet.spec_of(*w.fleet.find(Slot{0})).launch.command.front() == "/bin/broken");
}

TEST_CASE("core/reload: specs that nothing was started with are forgotten") {
    Site w{1, overlap()};
    w.spec.launch.command = {"/bin/b"};
    w.update();
    CHECK(w.fleet.find_worker("a")->older.size() == 1);
    w.prove(1);
    CHECK(w.fleet.find_worker("a")->older.size() == 1);  // the old run is still leaving
    w.leave(0);
    CHECK(w.fleet.find_worker("a")->older.empty());
}

TEST_CASE("core/reload: a second request waits for the first, a forced one takes its place") {
    Site w{2, overlap()};
    const Epoch first = w.reload();
    static_cast<void>(w.actions());
    const Epoch second = w.reload();
    CHECK(w.actions().empty());
    CHECK(w.told(first) == "0 done 0 failed 1 pending");
    CHECK(w.told(second) == "0 done 0 failed 2 pending");
    const Epoch third = w.reload(true);
    CHECK(w.actions() == "signal 2#1:15");
    CHECK(w.told(third) == "0 done 0 failed 3 pending");  // with the new run that goes
    w.leave(2);
    CHECK(w.actions() == "release 2#1 spawn 2#2");
}

TEST_CASE("core/reload: a forced one of who is down for a reload takes nobody else down with it") {
    ReloadSpec spec;
    spec.mode = ReloadSpec::Mode::stop_first;
    Site w{2, spec};
    w.reload();
    w.leave(0);
    w.prove(0);
    CHECK(w.actions() == "signal 0#1:15 release 0#1 spawn 0#2 signal 1#1:15");
    const Epoch forced = w.reload(true);
    CHECK(w.actions().empty());
    w.leave(1);
    w.prove(1);
    CHECK(w.actions() == "release 1#1 spawn 1#2 signal 0#2:15");
    w.leave(0);
    w.prove(0);
    CHECK(w.told(forced) == "2 done 0 failed 0 pending");
}

TEST_CASE("core/reload: a request that waits is carried out after the one before, good or bad") {
    for (const bool is_good : {true, false}) {
        Site w{1, overlap(1, 2)};
        const Epoch first = w.reload();
        const Epoch second = w.reload();
        static_cast<void>(w.actions());
        if (is_good) {
            w.prove(1);
        } else {
            w.spawned(1);
            w.exits(1, 3);
            w.pass(0s);
        }
        CHECK(w.actions().find("spawn") != std::string::npos);
        CHECK(w.fleet.progress(first).failed == (is_good ? 0 : 1));
        CHECK(w.fleet.progress(second).pending == 1);
    }
}

TEST_CASE("core/reload: stop, restart, delete and scale end the reload of what they are about") {
    for (const std::string how : {"stop", "restart", "delete", "scale"}) {
        CAPTURE(how);
        Site w{2, overlap(2, 2)};
        w.reload();
        CHECK(w.actions() == "spawn 2#1 spawn 3#1");
        w.fleet.begin_operation();
        if (how == "stop") w.fleet.stop(Slot{1}, w.now);
        if (how == "restart") w.fleet.restart(Slot{1}, w.now);
        if (how == "delete") w.fleet.remove(w.index("a"), w.now);
        if (how == "scale") CHECK(w.fleet.scale(w.index("a"), 1, w.now) == Refusal::none);
        w.pass(0s);
        const std::string all = "signal 2#1:15 signal 0#1:15 signal 3#1:15 signal 1#1:15";
        CHECK(w.actions() == (how == "delete" ? all : "signal 3#1:15 signal 1#1:15"));
        if (how == "delete") continue;
        // The other one goes on.
        w.prove(2);
        CHECK(w.actions() == "signal 0#1:15");
    }
}

TEST_CASE("core/reload: to scale up or down leaves the reload of the others alone") {
    Site w{2, overlap()};
    w.reload();
    CHECK(w.scale("a", 3) == Refusal::none);
    w.pass(0s);
    CHECK(w.layout() == "a.0@0 +a.0@2 a.1@1 a.2@3");
    CHECK(w.actions() == "spawn 2#1 spawn 3#1");
    CHECK(w.scale("a", 2) == Refusal::none);
    w.pass(0s);
    CHECK(w.actions() == "signal 3#1:15");
    CHECK(w.layout() == "a.0@0 +a.0@2 a.1@1 -a.2@3");
    CHECK(w.reload_of(0).phase == ReloadPhase::overlapping);
    CHECK(w.reload_of(1).phase == ReloadPhase::queued);
}

TEST_CASE("core/reload: what is stopped stays stopped, what is down is started") {
    Site w{2, overlap()};
    w.fleet.begin_operation();
    w.fleet.stop(Slot{0}, w.now);
    w.leave(0);
    w.exits(1, 1);
    static_cast<void>(w.actions());
    const Epoch epoch = w.reload();
    CHECK(w.actions() == "spawn 1#2");
    CHECK(w.told(epoch) == "0 done 0 failed 1 pending");
}

TEST_CASE("core/reload: an old run that crashes meanwhile is replaced all the same") {
    Site w{1, overlap()};
    const Epoch epoch = w.reload();
    w.spawned(1);
    w.pass(500ms);
    w.exits(0, 1);
    CHECK(w.state(0) == "backoff");
    w.pass(500ms);
    CHECK(w.layout() == "a.0@1");
    CHECK(w.told(epoch) == "1 done 0 failed 0 pending");
}

TEST_CASE("core/reload: who was the instance is stored before who is, also when it is gone") {
    Site w{2, overlap()};
    w.reload();
    w.spawned(2);
    w.pass(500ms);
    w.exits(0, 1);
    static_cast<void>(w.fleet.take_dirty_slots());
    w.pass(500ms);
    // The slot of the old run has gone on to the next one that comes in.
    CHECK(w.layout() == "a.0@2 a.1@1 +a.1@0");
    CHECK(w.fleet.take_dirty_slots() == std::vector<Slot>{Slot{0}, Slot{2}, Slot{1}});
    w.spawned(0);
    w.pass(500ms);
    w.exits(1, 1);
    static_cast<void>(w.fleet.take_dirty_slots());
    w.pass(500ms);
    CHECK(w.layout() == "a.0@2 a.1@0");
    CHECK(w.fleet.take_dirty_slots() == std::vector<Slot>{Slot{1}, Slot{0}});
}

TEST_CASE("core/reload: a run that is good and dies in the same turn replaces nobody") {
    Site w{1, overlap()};
    const Epoch epoch = w.reload();
    w.spawned(1);
    w.now += 1s;
    w.exits(1, 1);  // told before the tick that would have made it the instance
    w.pass(0s);
    w.pass(0s);
    CHECK(w.layout() == "a.0@0");
    CHECK(w.told(epoch) == "0 done 1 failed 0 pending");
}

TEST_CASE("core/reload: with no slot left the reload waits for one") {
    Site w{8, overlap()};
    w.reload();
    CHECK(w.actions().empty());
    CHECK(w.scale("a", 7) == Refusal::none);
    w.exits(7, 0);
    w.pass(0s);
    CHECK(w.actions() == "signal 7#1:15 release 7#1 spawn 7#2");
}

}  // namespace cluster::core::test
