#include "supervisor/load_plan.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <utility>
#include <variant>

#include "conf/spec_text.hpp"
#include "core/graph.hpp"
#include "supervisor/requirements.hpp"
#include "supervisor/sockets.hpp"
#include "supervisor/state_file.hpp"
#include "wire/table.hpp"

namespace cluster::supervisor {
namespace {

std::vector<ctl::PlannedChange> changes_between(const core::WorkerSpec& before,
                                                const core::WorkerSpec& after) {
    std::vector<ctl::PlannedChange> changes;
    for (conf::KeyChange& change : conf::changes_between(before, after)) {
        changes.push_back(
            {std::move(change.key), std::move(change.before), std::move(change.after)});
    }
    return changes;
}

void keep_path(core::WorkerSpec& spec, const core::WorkerSpec& existing) {
    std::string path = std::exchange(spec.launch.base_path, existing.launch.base_path);
    if (spec != existing) spec.launch.base_path = std::move(path);
}

/// It ended or gave up; a start is the only way up for it.
bool has_ended(const core::Instance& instance) {
    return std::holds_alternative<core::Exited>(instance.state) ||
           std::holds_alternative<core::Fatal>(instance.state);
}

bool is_to_be_started(const core::Instance& instance, const core::WorkerSpec& spec, Scope scope,
                      bool is_changed) {
    const bool is_wanted = instance.desired == core::Desired::up;
    if (scope == Scope::exact) return is_changed && is_wanted && has_ended(instance);
    const bool has_just_run = scope == Scope::add_after_restore && is_wanted && has_ended(instance);
    if (has_just_run && !is_changed) return false;
    // What is on its way up already is started once more: nothing happens to it, but the answer
    // then waits for it.
    const auto* running = std::get_if<core::Running>(&instance.state);
    return spec.autostart && (running == nullptr || !running->is_good);
}

/// The plan for a worker that is there.
ctl::PlannedWorker plan_update(const core::Fleet& fleet, const core::Worker& existing,
                               const core::WorkerSpec& spec, Scope scope, LoadPlan& plan) {
    ctl::PlannedWorker planned{spec.name, "unchanged", spec.instances,
                               changes_between(existing.spec, spec)};
    const bool is_changed = !planned.changes.empty();
    bool is_any_reloaded = false;
    bool is_any_started = false;
    for (std::size_t i = 0; i < existing.slots.size() && i < spec.instances; ++i) {
        const core::Place* place = fleet.find(existing.slots[i]);
        if (place == nullptr) continue;
        const core::Instance& instance = place->instance;
        const bool is_up = instance.desired == core::Desired::up && !has_ended(instance);
        // Also what an earlier reload has left behind.
        if (is_up && core::needs_new_run(fleet.spec_of(*place), spec)) is_any_reloaded = true;
        if (!is_to_be_started(instance, spec, scope, is_changed)) continue;
        const bool is_on_its_way = core::is_occupied(instance.state) ||
                                   std::holds_alternative<core::Waiting>(instance.state);
        is_any_started = is_any_started || !is_on_its_way;
        plan.started.push_back(place->slot);
    }
    if (is_any_reloaded) {
        planned.action = "reload";
    } else if (is_any_started) {
        planned.action = "start";
    } else if (is_changed) {
        planned.action = "change";
    }
    return planned;
}

const core::WorkerSpec* find_spec(const core::Config& config, const std::string& name) {
    const auto found =
        std::find_if(config.workers.begin(), config.workers.end(),
                     [&name](const core::WorkerSpec& spec) { return spec.name == name; });
    return found == config.workers.end() ? nullptr : &*found;
}

ctl::RpcError refused(std::string message) {
    return {.code = ctl::ErrorCode::refused, .message = std::move(message), .diagnostics = {}};
}

/// Who will require whom when the plan was carried out.
std::optional<std::string> requirement_mistake(const core::Fleet& fleet, const LoadPlan& plan) {
    core::RequirementGraph graph;
    core::RequirementGraph order;
    for (const core::Worker* worker : fleet.workers()) {
        const bool goes = std::find(plan.removed.begin(), plan.removed.end(), worker->index) !=
                          plan.removed.end();
        if (goes) continue;
        graph[worker->spec.name] = worker->spec.requirements;
        order[worker->spec.name] = core::predecessors_of(worker->spec);
    }
    for (const core::WorkerSpec& spec : plan.config.workers) {
        graph[spec.name] = spec.requirements;
        order[spec.name] = core::predecessors_of(spec);
    }
    for (const auto& [name, requirements] : graph) {
        for (const std::string& required : requirements) {
            if (graph.contains(required)) continue;
            return fleet.find_worker(required) != nullptr
                       ? fmt::format("worker {} requires {}, which is gone from the file", name,
                                     required)
                       : fmt::format("worker {} requires {}, and there is no such worker", name,
                                     required);
        }
    }
    const std::vector<std::string> cycle = core::find_cycle(order);
    if (cycle.empty()) return std::nullopt;
    return fmt::format("these workers would wait for one another: {}", core::cycle_text(cycle));
}

std::optional<std::string> mistake_about_sockets(const core::Fleet& fleet, const LoadPlan& plan) {
    std::vector<const core::WorkerSpec*> after;
    for (const core::WorkerSpec& spec : plan.config.workers) after.push_back(&spec);
    for (const core::Worker* worker : fleet.workers()) {
        const bool goes = std::find(plan.removed.begin(), plan.removed.end(), worker->index) !=
                          plan.removed.end();
        const bool is_replaced = find_spec(plan.config, worker->spec.name) != nullptr;
        if (!goes && !is_replaced) after.push_back(&worker->spec);
    }
    return socket_mistake(after);
}

}  // namespace

LoadPlan plan_load(const core::Fleet& fleet, core::Config config, const std::string& path,
                   Scope scope) {
    LoadPlan plan;
    for (core::WorkerSpec& spec : config.workers) {
        const core::Worker* existing = fleet.find_worker(spec.name);
        if (existing == nullptr) {
            plan.workers.push_back({spec.name, "add", spec.instances, {}});
            continue;
        }
        keep_path(spec, existing->spec);
        plan.workers.push_back(plan_update(fleet, *existing, spec, scope, plan));
    }
    plan.config = std::move(config);
    if (scope != Scope::exact) return plan;
    for (const core::Worker* worker : fleet.workers()) {
        const bool is_of_file = !path.empty() && worker->spec.source == path;
        if (!is_of_file || find_spec(plan.config, worker->spec.name) != nullptr) continue;
        plan.workers.push_back({worker->spec.name, "delete", 0, {}});
        plan.removed.push_back(worker->index);
    }
    return plan;
}

std::optional<ctl::RpcError> check_plan(const core::Fleet& fleet, const LoadPlan& plan) {
    std::uint64_t slots = 0;
    std::uint32_t workers = 0;
    for (const core::WorkerSpec& spec : plan.config.workers) {
        const core::Worker* existing = fleet.find_worker(spec.name);
        const std::size_t present = existing == nullptr ? 0 : existing->slots.size();
        slots += spec.instances - std::min<std::size_t>(spec.instances, present);
        workers += existing == nullptr ? 1U : 0U;
    }
    // What the plan stops is not gone before it has stopped.
    const core::Fleet::Bounds room = fleet.room_without(plan.removed);
    if (slots > room.slots) {
        return refused(
            fmt::format("too many instances: the file needs {} more, and there is room "
                        "for {} (of {})",
                        slots, room.slots, wire::kMaxSlots));
    }
    if (workers > room.workers) {
        return refused(
            fmt::format("too many workers: the file has {} new ones, and there is room "
                        "for {} (of {})",
                        workers, room.workers, kMaxWorkers));
    }
    auto mistake = requirement_mistake(fleet, plan);
    if (!mistake) mistake = mistake_about_sockets(fleet, plan);
    if (mistake) {
        return ctl::RpcError{
            .code = ctl::ErrorCode::bad_config, .message = std::move(*mistake), .diagnostics = {}};
    }
    return std::nullopt;
}

std::optional<std::string> carry_out(core::Fleet& fleet, const LoadPlan& plan, Instant now) {
    fleet.begin_operation();
    fleet.remove(plan.removed, now);
    // All are there before the first one is started, and what requires another leaves before it.
    std::vector<Slot> down = plan.started;
    for (const core::WorkerSpec& spec : plan.config.workers) {
        if (fleet.find_worker(spec.name) != nullptr) continue;
        if (fleet.add_stopped(spec) != core::Refusal::none) return spec.name;
        if (!spec.autostart) continue;
        const std::vector<Slot>& slots = fleet.find_worker(spec.name)->slots;
        down.insert(down.end(), slots.begin(), slots.end());
    }
    for (const core::WorkerSpec* spec : dependents_first(plan.config.workers)) {
        if (fleet.update(*spec, now) != core::Refusal::none) return spec->name;
    }
    fleet.start(down, now);
    return std::nullopt;
}

}  // namespace cluster::supervisor
