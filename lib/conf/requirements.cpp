// `requires`: the key of one worker, and what only the whole file can tell about it.
#include "conf/requirements.hpp"

#include <algorithm>
#include <utility>

#include "conf/nearest.hpp"
#include "conf/worker.hpp"
#include "core/graph.hpp"
#include "core/selector.hpp"

namespace cluster::conf {
namespace {

constexpr std::string_view kKey = "requires";
constexpr std::string_view kExpected =
    "the name of a worker, or an array of them such as [\"db\", \"cache\"]";

constexpr std::size_t kMaxRequirements = 256;
/// So many cycles are shown; each shown one is taken apart before the next is looked for.
constexpr int kMaxCycles = 20;

void read_name(WorkerDraft& draft, const Field& field, const Node& item) {
    if (item.kind != Node::Kind::string) {
        field.refuse_at(item.at, "expected " + std::string(kExpected) + "; got " + describe(item));
        return;
    }
    std::vector<std::string>& names = draft.spec.requirements;
    if (item.text == draft.spec.name) {
        field.refuse_at(item.at, "a worker cannot require itself");
    } else if (!core::is_valid_worker_name(item.text)) {
        field.refuse_at(item.at, in_quotes(item.text) + " is not the name of a worker");
    } else if (std::find(names.begin(), names.end(), item.text) != names.end()) {
        field.refuse_at(item.at, in_quotes(item.text) + " stands twice");
    } else {
        names.push_back(item.text);
    }
}

/// The member `requires` of a worker's table; null: it has none.
const Member* find_key(const Node& worker) {
    for (const Member& member : worker.members) {
        if (member.key == kKey) return &member;
    }
    return nullptr;
}

/// Where a name stands in the value of the key.
Position place_of(const Node& value, const std::string& name) {
    for (const Node& item : value.items) {
        if (item.text == name) return item.at;
    }
    return value.at;
}

const Member* find_worker(const Node& workers, const std::string& name) {
    for (const Member& member : workers.members) {
        if (member.key == name) return &member;
    }
    return nullptr;
}

}  // namespace

void read_requires(WorkerDraft& draft, const Field& field) {
    if (!field.is(Node::Kind::array)) return read_name(draft, field, field.value());
    if (field.value().items.size() > kMaxRequirements) {
        field.refuse("has more than " + std::to_string(kMaxRequirements) + " names");
        return;
    }
    for (const Node& item : field.value().items) read_name(draft, field, item);
}

void check_known(const std::vector<core::WorkerSpec>& specs, const Field& workers,
                 const std::vector<std::string>& others) {
    std::vector<std::string_view> known{others.begin(), others.end()};
    for (const Member& member : workers.value().members) known.push_back(member.key);
    for (const core::WorkerSpec& spec : specs) {
        const Member* worker = find_worker(workers.value(), spec.name);
        const Member* key = worker == nullptr ? nullptr : find_key(worker->value);
        if (key == nullptr) continue;
        const Field field = workers.inner(*worker).inner(*key);
        for (const std::string& name : spec.requirements) {
            if (std::find(known.begin(), known.end(), name) != known.end()) continue;
            field.refuse_at(place_of(key->value, name),
                            "there is no worker " + in_quotes(name) + suggestion(name, known));
        }
    }
}

void check_cycles(const std::vector<core::WorkerSpec>& specs, const Field& workers) {
    core::RequirementGraph graph;
    for (const core::WorkerSpec& spec : specs) graph[spec.name] = spec.requirements;
    for (int i = 0; i < kMaxCycles; ++i) {
        const std::vector<std::string> cycle = core::find_cycle(graph);
        if (cycle.empty()) return;
        const Member* worker = find_worker(workers.value(), cycle.front());
        const Member* key = worker == nullptr ? nullptr : find_key(worker->value);
        if (key == nullptr) return;
        const Field field = workers.inner(*worker).inner(*key);
        field.refuse_at(place_of(key->value, cycle[1]),
                        "these workers require one another: " + core::cycle_text(cycle));
        std::vector<std::string>& names = graph[cycle.front()];
        names.erase(std::find(names.begin(), names.end(), cycle[1]));
    }
}

}  // namespace cluster::conf
