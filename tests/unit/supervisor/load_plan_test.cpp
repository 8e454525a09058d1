#include <doctest/doctest.h>

#include <random>
#include <string>
#include <vector>

#include "supervisor/load_plan.hpp"
#include "unit/core/fleet_fixture.hpp"

namespace core = cluster::core;
namespace sup = cluster::supervisor;
using core::test::World;
using sup::Scope;

namespace {

const std::string kFile = "/etc/site.toml";

core::WorkerSpec spec_of(const std::string& name, std::uint32_t instances = 1) {
    core::WorkerSpec spec = core::test::worker_spec(name, instances);
    spec.source = kFile;
    return spec;
}

core::Config config_of(std::vector<core::WorkerSpec> workers) {
    return {.daemon = {}, .stores = {}, .channel = {}, .workers = std::move(workers)};
}

std::string text(const sup::LoadPlan& plan) {
    std::string result;
    for (const auto& worker : plan.workers) {
        result += (result.empty() ? "" : "; ") + worker.worker + " " + worker.action;
        for (const auto& change : worker.changes) result += " " + change.key;
    }
    return result;
}

std::string plan_text(const World& world, std::vector<core::WorkerSpec> workers, Scope scope) {
    return text(sup::plan_load(world.fleet, config_of(std::move(workers)), kFile, scope));
}

/// a and b of the file run, c is of the command line.
World running_world() {
    World world;
    core::WorkerSpec ad_hoc = core::test::worker_spec("c", 1);
    REQUIRE(world.add(spec_of("a")) == core::Refusal::none);
    REQUIRE(world.add(spec_of("b")) == core::Refusal::none);
    REQUIRE(world.add(ad_hoc) == core::Refusal::none);
    world.settle();
    return world;
}

}  // namespace

TEST_CASE("supervisor/load_plan: what is new, unchanged, changed in place, and reloaded") {
    const World world = running_world();
    core::WorkerSpec a = spec_of("a");
    core::WorkerSpec b = spec_of("b");
    CHECK(plan_text(world, {a, b, spec_of("d")}, Scope::add) == "a unchanged; b unchanged; d add");
    a.policy.stop_timeout = std::chrono::seconds{99};
    b.launch.env["X"] = "1";
    CHECK(plan_text(world, {a, b}, Scope::add) == "a change stop_timeout; b reload env.X");
    a = spec_of("a", 3);
    CHECK(plan_text(world, {a}, Scope::exact) == "a change instances; b delete");
}

TEST_CASE("supervisor/load_plan: only an exact set deletes, and only what came from the file") {
    const World world = running_world();
    CHECK(plan_text(world, {spec_of("a")}, Scope::add) == "a unchanged");
    const sup::LoadPlan plan =
        sup::plan_load(world.fleet, config_of({spec_of("a")}), kFile, Scope::exact);
    CHECK(text(plan) == "a unchanged; b delete");
    REQUIRE(plan.removed.size() == 1);
    CHECK(world.fleet.worker(plan.removed[0])->spec.name == "b");
    CHECK(text(sup::plan_load(world.fleet, config_of({}), "/other.toml", Scope::exact)).empty());
}

TEST_CASE("supervisor/load_plan: the PATH of whoever loads the file is no change by itself") {
    const World world = running_world();
    core::WorkerSpec a = spec_of("a");
    a.launch.base_path = "/elsewhere";
    const sup::LoadPlan plan = sup::plan_load(world.fleet, config_of({a}), kFile, Scope::add);
    CHECK(text(plan) == "a unchanged");
    CHECK(plan.config.workers[0].launch.base_path == spec_of("a").launch.base_path);
    a.launch.env["X"] = "1";
    CHECK(plan_text(world, {a}, Scope::add) == "a reload env.X PATH");
}

TEST_CASE(
    "supervisor/load_plan: what a restore ran to its end does not run again by the same start") {
    World world = running_world();
    core::WorkerSpec once = spec_of("a");
    once.policy.restart = core::RestartPolicy::never;
    REQUIRE(world.fleet.update(once, world.now) == core::Refusal::none);
    world.exits(0, 0);
    REQUIRE(world.state(0) == "exited");
    CHECK(plan_text(world, {once}, Scope::add_after_restore) == "a unchanged");
    CHECK(plan_text(world, {once}, Scope::add) == "a start");
    once.launch.env["X"] = "1";
    CHECK(plan_text(world, {once}, Scope::add_after_restore) == "a start env.X");
}

TEST_CASE("supervisor/load_plan: what somebody stopped starts by start, and not by apply") {
    World world = running_world();
    world.fleet.begin_operation();
    world.fleet.stop(cluster::Slot{0}, world.now);
    world.exits(0, 0);
    REQUIRE(world.state(0) == "stopped");
    CHECK(plan_text(world, {spec_of("a")}, Scope::add) == "a start");
    core::WorkerSpec manual = spec_of("a");
    manual.autostart = false;
    CHECK(plan_text(world, {manual}, Scope::add) == "a change autostart");
    CHECK(plan_text(world, {spec_of("a"), spec_of("b")}, Scope::exact) ==
          "a unchanged; b unchanged");
    core::WorkerSpec changed = spec_of("a");
    changed.launch.env["X"] = "1";
    CHECK(plan_text(world, {changed, spec_of("b")}, Scope::exact) == "a change env.X; b unchanged");
}

TEST_CASE("supervisor/load_plan: what was given up is tried again when its table changed") {
    World world;
    core::WorkerSpec a = spec_of("a");
    a.policy.restart = core::RestartPolicy::never;
    REQUIRE(world.add(a) == core::Refusal::none);
    world.spawned(0);
    world.exits(0, 3);
    REQUIRE(world.state(0) == "exited");
    CHECK(plan_text(world, {a}, Scope::exact) == "a unchanged");
    a.launch.env["X"] = "1";
    CHECK(plan_text(world, {a}, Scope::exact) == "a start env.X");
    CHECK(sup::plan_load(world.fleet, config_of({a}), kFile, Scope::exact).started.size() == 1);
}

TEST_CASE("supervisor/load_plan: refused whole where there is no room") {
    const World world = running_world();  // 8 slots and 4 workers, three of each taken
    const auto check = [&world](std::vector<core::WorkerSpec> workers, Scope scope = Scope::add) {
        const auto error = sup::check_plan(
            world.fleet, sup::plan_load(world.fleet, config_of(std::move(workers)), kFile, scope));
        return error ? error->message : std::string("fine");
    };
    CHECK(check({spec_of("d", 5)}) == "fine");
    CHECK(check({spec_of("d", 6)}).find("too many instances: the file needs 6 more") == 0);
    CHECK(check({spec_of("a", 6)}) == "fine");
    CHECK(check({spec_of("a", 7)}).find("too many instances") == 0);
    CHECK(check({spec_of("d"), spec_of("e")}).find("too many workers: the file has 2 new") == 0);
    // What the plan stops is not gone yet.
    CHECK(check({spec_of("d"), spec_of("e")}, Scope::exact).find("too many workers") == 0);
}

namespace {

/// Plans, checks and does it; "" when it was done, else why not.
std::string apply(World& world, std::vector<core::WorkerSpec> workers) {
    const sup::LoadPlan plan =
        sup::plan_load(world.fleet, config_of(std::move(workers)), kFile, Scope::exact);
    if (const auto error = sup::check_plan(world.fleet, plan)) return error->message;
    const auto surprise = sup::carry_out(world.fleet, plan, world.now);
    return surprise ? "SURPRISE " + *surprise : "";
}

/// Every process that was told to stop has ended.
void end_stopping(World& world) {
    for (std::uint32_t slot = 0; slot < 8; ++slot) {
        if (world.state(slot) == "stopping") world.exits(slot, 0);
    }
}

}  // namespace

TEST_CASE("supervisor/load_plan: workers are replaced while the old ones are still stopping") {
    World world;  // 8 slots
    REQUIRE(apply(world, {spec_of("a", 4)}).empty());
    world.settle();
    // The four of a keep their slots until they have stopped; b gets the other four.
    REQUIRE(apply(world, {spec_of("b", 4)}).empty());
    CHECK(world.layout() == "-a.0@0 -a.1@1 -a.2@2 -a.3@3 b.0@4 b.1@5 b.2@6 b.3@7");
    CHECK(world.fleet.room().slots == 0);
    world.settle();
    // Now every slot has a process: another replacement has to wait, and changes nothing.
    CHECK(apply(world, {spec_of("c", 4)}).find("too many instances: the file needs 4 more") == 0);
    CHECK(world.state(4) == "running");
    world.exits(0, 0);
    world.exits(1, 0);
    CHECK(apply(world, {spec_of("c", 3)}).find("too many instances") == 0);
    REQUIRE(apply(world, {spec_of("c", 2)}).empty());
    CHECK(world.layout() == "-a.2@2 -a.3@3 -b.0@4 -b.1@5 -b.2@6 -b.3@7 c.0@0 c.1@1");
    end_stopping(world);
    CHECK(world.layout() == "c.0@0 c.1@1");
    CHECK(apply(world, {spec_of("c", 8)}).empty());
}

TEST_CASE("supervisor/load_plan: what has stopped already makes room at once") {
    World world;
    std::vector<core::WorkerSpec> full{spec_of("a", 2), spec_of("b", 2), spec_of("c", 2),
                                       spec_of("d", 2)};
    REQUIRE(apply(world, full).empty());
    world.settle();
    CHECK(apply(world, {spec_of("e", 1)}).find("too many") == 0);
    world.fleet.begin_operation();
    for (std::uint32_t slot = 0; slot < 4; ++slot) world.fleet.stop(cluster::Slot{slot}, world.now);
    end_stopping(world);
    // a and b are down, so they give back two workers and four slots, less one whose output is
    // still being written.
    world.fleet.set_slot_busy(cluster::Slot{3}, true);
    CHECK(apply(world, {spec_of("e", 4), full[2], full[3]}).find("too many instances") == 0);
    REQUIRE(apply(world, {spec_of("e", 2), spec_of("f", 1), full[2], full[3]}).empty());
    CHECK(world.layout() == "c.0@4 c.1@5 d.0@6 d.1@7 e.0@0 e.1@1 f.0@2");
}

TEST_CASE("supervisor/load_plan: a plan that was checked is never refused by the fleet") {
    for (std::uint32_t seed = 1; seed <= 300; ++seed) {
        CAPTURE(seed);
        std::mt19937 random(seed);
        const auto below = [&random](std::uint32_t limit) {
            return std::uniform_int_distribution<std::uint32_t>(0, limit - 1)(random);
        };
        World world;
        for (int round = 0; round < 40; ++round) {
            std::vector<core::WorkerSpec> workers;
            for (const char* name : {"a", "b", "c", "d", "e"}) {
                if (below(2) == 0) workers.push_back(spec_of(name, 1 + below(4)));
            }
            const std::string refusal = apply(world, std::move(workers));
            CHECK_MESSAGE(refusal.find("SURPRISE") != 0, refusal);
            for (std::uint32_t slot = 0; slot < 8; ++slot) {
                if (world.state(slot) == "starting") world.spawned(slot);
                if (world.state(slot) == "stopping" && below(2) == 0) world.exits(slot, 0);
                world.fleet.set_slot_busy(cluster::Slot{slot}, below(8) == 0);
            }
        }
    }
}

TEST_CASE("supervisor/load_plan: nobody may require what goes, or one another") {
    World world = running_world();
    const auto check = [&world](std::vector<core::WorkerSpec> workers, Scope scope) {
        const auto error = sup::check_plan(
            world.fleet, sup::plan_load(world.fleet, config_of(std::move(workers)), kFile, scope));
        return error ? error->message : std::string("fine");
    };
    core::WorkerSpec a = spec_of("a");
    a.requirements = {"b"};
    CHECK(check({a}, Scope::add) == "fine");
    CHECK(check({a}, Scope::exact) == "worker a requires b, which is gone from the file");
    CHECK(check({a, spec_of("b")}, Scope::exact) == "fine");
    a.requirements = {"nobody"};
    CHECK(check({a}, Scope::add) == "worker a requires nobody, and there is no such worker");
    a.requirements = {"b"};
    core::WorkerSpec b = spec_of("b");
    b.requirements = {"a"};
    CHECK(check({a, b}, Scope::add) == "these workers would wait for one another: a → b → a");
}
