#include "supervisor/requirements.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <variant>

#include "core/graph.hpp"
#include "core/selector.hpp"
#include "supervisor/wording.hpp"

namespace cluster::supervisor {
namespace {

/// So many requirements deep a failure is explained; the first cause is told by then.
constexpr int kMaxDepth = 8;

std::string joined(const std::vector<std::string>& names) {
    std::string text;
    for (std::size_t i = 0; i < names.size(); ++i) {
        text += (i == 0 ? "" : i + 1 == names.size() ? " and " : ", ") + names[i];
    }
    return text;
}

/// The instance because of which the worker counts as failed.
const core::Place* failed_instance(const core::Fleet& fleet, const core::Worker& worker) {
    const core::Place* found = nullptr;
    for (const Slot slot : worker.slots) {
        const core::Place* place = fleet.find(slot);
        if (place == nullptr || place->instance.desired == core::Desired::down) continue;
        if (core::is_ready(place->instance)) continue;
        if (found == nullptr || place->instance.outcome == core::Outcome::failed) found = place;
    }
    return found;
}

std::string requirement_failure(const core::Fleet& fleet, const std::string& name, int depth);

std::string failure_of(const core::Fleet& fleet, const core::Place& place, int depth) {
    const core::WaitsFor waits = fleet.waits_for(place);
    if (std::holds_alternative<core::Waiting>(place.instance.state)) {
        if (waits.failed.empty())
            return "what it requires had failed; it starts when that is ready";
        return requirement_failure(fleet, waits.failed, depth);
    }
    return failure_text(fleet.spec_of(place), place.instance);
}

std::string requirement_failure(const core::Fleet& fleet, const std::string& name, int depth) {
    const core::Worker* worker = fleet.find_worker(name);
    if (worker == nullptr) return fmt::format("requires {}, which does not exist", name);
    const core::Place* place = failed_instance(fleet, *worker);
    if (place == nullptr) return fmt::format("requires {}, which is not to run", name);
    if (depth == 0) return fmt::format("requires {}, which failed", name);
    return fmt::format("requires {}, which failed: {}", name, failure_of(fleet, *place, depth - 1));
}

}  // namespace

std::optional<std::string> requirement_mistake(const core::Fleet& fleet,
                                               const std::vector<core::WorkerSpec>& specs) {
    core::RequirementGraph graph;
    for (const core::Worker* worker : fleet.workers()) {
        graph[worker->spec.name] = core::predecessors_of(worker->spec);
    }
    for (const core::WorkerSpec& spec : specs) graph[spec.name] = core::predecessors_of(spec);
    for (const core::WorkerSpec& spec : specs) {
        for (const std::string& name : spec.requirements) {
            if (graph.contains(name)) continue;
            return fmt::format("worker {} requires {}, and there is no such worker", spec.name,
                               name);
        }
    }
    const std::vector<std::string> cycle = core::find_cycle(graph);
    if (cycle.empty()) return std::nullopt;
    return fmt::format("these workers would wait for one another: {}", core::cycle_text(cycle));
}

std::optional<std::string> deletion_mistake(const core::Fleet& fleet,
                                            const std::vector<std::uint32_t>& workers) {
    for (const std::uint32_t index : workers) {
        const std::string& name = fleet.worker(index)->spec.name;
        for (const core::Worker* dependent : fleet.dependents_of(name)) {
            const bool goes_too =
                std::find(workers.begin(), workers.end(), dependent->index) != workers.end();
            if (dependent->is_deleted || goes_too) continue;
            return fmt::format("{} requires {}: delete {} first, or both at once",
                               dependent->spec.name, name, dependent->spec.name);
        }
    }
    return std::nullopt;
}

std::vector<const core::WorkerSpec*> dependents_first(const std::vector<core::WorkerSpec>& specs) {
    core::RequirementGraph graph;
    for (const core::WorkerSpec& spec : specs) graph[spec.name] = core::predecessors_of(spec);
    std::vector<std::string> names = core::requirements_first(graph);
    std::vector<const core::WorkerSpec*> result;
    for (auto name = names.rbegin(); name != names.rend(); ++name) {
        const auto spec = std::find_if(specs.begin(), specs.end(),
                                       [&](const auto& s) { return s.name == *name; });
        if (spec != specs.end()) result.push_back(&*spec);
    }
    return result;
}

std::string failure_text(const core::Fleet& fleet, const core::Place& place) {
    return failure_of(fleet, place, kMaxDepth);
}

std::string pending_text(const core::Fleet& fleet, const core::Place& place, Instant now) {
    if (const auto waits = waits_for_text(fleet, place)) return "waiting for " + *waits;
    return pending_text(fleet.spec_of(place), place.instance, now);
}

std::optional<std::string> waits_for_text(const core::Fleet& fleet, const core::Place& place) {
    const core::WaitsFor waits = fleet.waits_for(place);
    if (waits.is_nothing()) return std::nullopt;
    if (place.instance.hold != core::Hold::none) return joined(waits.workers) + " to stop";
    if (!waits.workers.empty()) return joined(waits.workers) + " to be ready";
    return "others to be ready (parallel_starts)";
}

}  // namespace cluster::supervisor
