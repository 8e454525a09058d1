// `requires`, `wants` and `after`: the keys of one worker, and what only the whole file can tell
// about them.
#include "conf/requirements.hpp"

#include <algorithm>
#include <utility>

#include "conf/nearest.hpp"
#include "conf/worker.hpp"
#include "core/graph.hpp"
#include "core/selector.hpp"

namespace cluster::conf {
namespace {

struct OrderKey {
    std::string_view name;
    std::vector<std::string> core::WorkerSpec::*names;
};
constexpr OrderKey kKeys[] = {{"requires", &core::WorkerSpec::requirements},
                              {"wants", &core::WorkerSpec::wants},
                              {"after", &core::WorkerSpec::after}};

constexpr std::string_view kExpected =
    "the name of a worker, or an array of them such as [\"db\", \"cache\"]";

constexpr std::size_t kMaxRequirements = 256;
/// So many cycles are shown; each shown one is taken apart before the next is looked for.
constexpr int kMaxCycles = 20;

void read_name(const WorkerDraft& draft, std::vector<std::string>& names, const Field& field,
               const Node& item) {
    if (item.kind != Node::Kind::string) {
        field.refuse_at(item.at, "expected " + std::string(kExpected) + "; got " + describe(item));
        return;
    }
    if (item.text == draft.spec.name) {
        field.refuse_at(item.at, field.key() == "requires" ? "a worker cannot require itself"
                                                           : "a worker cannot wait for itself");
    } else if (!core::is_valid_worker_name(item.text)) {
        field.refuse_at(item.at, in_quotes(item.text) + " is not the name of a worker");
    } else if (std::find(names.begin(), names.end(), item.text) != names.end()) {
        field.refuse_at(item.at, in_quotes(item.text) + " stands twice");
    } else {
        names.push_back(item.text);
    }
}

/// The member of a worker's table with that key; null: it has none.
const Member* find_key(const Node& worker, std::string_view key) {
    for (const Member& member : worker.members) {
        if (member.key == key) return &member;
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

bool has_name(const Node& value, const std::string& name) {
    return value.text == name || std::any_of(value.items.begin(), value.items.end(),
                                             [&](const Node& item) { return item.text == name; });
}

const Member* find_worker(const Node& workers, const std::string& name) {
    for (const Member& member : workers.members) {
        if (member.key == name) return &member;
    }
    return nullptr;
}

}  // namespace

namespace {

void read_names(const WorkerDraft& draft, std::vector<std::string>& names, const Field& field) {
    if (!field.is(Node::Kind::array)) return read_name(draft, names, field, field.value());
    if (field.value().items.size() > kMaxRequirements) {
        field.refuse("has more than " + std::to_string(kMaxRequirements) + " names");
        return;
    }
    for (const Node& item : field.value().items) read_name(draft, names, field, item);
}

/// Reports each cycle that `names_of` makes of the specs, where the first of it names the second.
template <class NamesOf>
bool report_cycles(const std::vector<core::WorkerSpec>& specs, const Field& workers,
                   const NamesOf& names_of, const std::string& what) {
    core::RequirementGraph graph;
    for (const core::WorkerSpec& spec : specs) graph[spec.name] = names_of(spec);
    bool has_any = false;
    for (int i = 0; i < kMaxCycles; ++i) {
        const std::vector<std::string> cycle = core::find_cycle(graph);
        const Member* worker =
            cycle.empty() ? nullptr : find_worker(workers.value(), cycle.front());
        if (worker == nullptr) return has_any;
        has_any = true;
        for (const OrderKey& key : kKeys) {
            const Member* member = find_key(worker->value, key.name);
            if (member == nullptr || !has_name(member->value, cycle[1])) continue;
            workers.inner(*worker).inner(*member).refuse_at(place_of(member->value, cycle[1]),
                                                            what + core::cycle_text(cycle));
            break;
        }
        std::vector<std::string>& names = graph[cycle.front()];
        names.erase(std::remove(names.begin(), names.end(), cycle[1]), names.end());
    }
    return has_any;
}

}  // namespace

void read_requires(WorkerDraft& draft, const Field& field) {
    read_names(draft, draft.spec.requirements, field);
}

void read_wants(WorkerDraft& draft, const Field& field) {
    read_names(draft, draft.spec.wants, field);
}

void read_after(WorkerDraft& draft, const Field& field) {
    read_names(draft, draft.spec.after, field);
}

void check_known(const std::vector<core::WorkerSpec>& specs, const Field& workers,
                 const std::vector<std::string>& others) {
    std::vector<std::string_view> known{others.begin(), others.end()};
    for (const Member& member : workers.value().members) known.push_back(member.key);
    for (const core::WorkerSpec& spec : specs) {
        const Member* worker = find_worker(workers.value(), spec.name);
        if (worker == nullptr) continue;
        for (const OrderKey& key : kKeys) {
            const Member* member = find_key(worker->value, key.name);
            if (member == nullptr) continue;
            const Field field = workers.inner(*worker).inner(*member);
            for (const std::string& name : spec.*key.names) {
                if (std::find(known.begin(), known.end(), name) != known.end()) continue;
                field.refuse_at(place_of(member->value, name),
                                "there is no worker " + in_quotes(name) + suggestion(name, known));
            }
        }
    }
}

void check_cycles(const std::vector<core::WorkerSpec>& specs, const Field& workers) {
    const auto required = [](const core::WorkerSpec& spec) { return spec.requirements; };
    if (report_cycles(specs, workers, required, "these workers require one another: ")) return;
    report_cycles(specs, workers, core::predecessors_of,
                  "these workers wait for one another (requires, wants, after): ");
}

}  // namespace cluster::conf
