// Which spec a place runs by. A worker has one spec; a run that is still there from before a change
// goes by the one that it was started with, until it is replaced: a new version that fails must not
// be what the old one is started with after a crash.
#include <algorithm>
#include <utility>

#include "core/fleet.hpp"

namespace cluster::core {

const WorkerSpec& Fleet::spec_of(const Place& place) const {
    const Worker& worker = entries_[place.worker]->worker;
    if (place.revision == worker.revision) return worker.spec;
    const auto found = worker.older.find(place.revision);
    return found == worker.older.end() ? worker.spec : found->second;
}

bool Fleet::is_behind(const Place& place) const {
    return place.revision != entries_[place.worker]->worker.revision;
}

void Fleet::replace_spec(Entry& entry, WorkerSpec spec) {
    Worker& worker = entry.worker;
    unlink(entry);
    worker.older.emplace(worker.revision, std::move(worker.spec));
    worker.spec = std::move(spec);
    worker.revision = ++last_revision_;
    link(entry);
    note_change(entry);
    adopt_spec(entry);
    forget_unused_specs(worker.index);
}

/// Whom the change does not concern before its next start, or not at all.
void Fleet::adopt_spec(Entry& entry) {
    const auto adopt = [&](Slot slot) {
        Place* const place = this->place(slot);
        if (place == nullptr) return;
        const State& state = place->instance.state;
        const bool is_at_rest = !is_occupied(state) && !std::holds_alternative<BackingOff>(state);
        if (is_at_rest || !needs_new_run(spec_of(*place), entry.worker.spec)) {
            take_newest_spec(*place);
        }
    };
    for (const Slot slot : entry.worker.slots) adopt(slot);
    for (const Slot slot : entry.incoming) adopt(slot);
    for (const Slot slot : entry.retired) adopt(slot);
}

void Fleet::take_newest_spec(Place& place) {
    if (!is_behind(place)) return;
    place.revision = entries_[place.worker]->worker.revision;
    note_change(place);
    refresh_deadline(place);
    forget_unused_specs(place.worker);
}

void Fleet::forget_unused_specs(std::uint32_t index) {
    if (!entries_[index] || entries_[index]->worker.older.empty()) return;
    Entry& entry = *entries_[index];
    const auto is_named = [&](std::uint64_t revision) {
        const auto names = [&](Slot slot) {
            const Place* const place = find(slot);
            return place != nullptr && place->revision == revision;
        };
        return std::any_of(entry.worker.slots.begin(), entry.worker.slots.end(), names) ||
               std::any_of(entry.incoming.begin(), entry.incoming.end(), names) ||
               std::any_of(entry.retired.begin(), entry.retired.end(), names);
    };
    auto& older = entry.worker.older;
    for (auto spec = older.begin(); spec != older.end();) {
        if (is_named(spec->first)) {
            ++spec;
            continue;
        }
        spec = older.erase(spec);
        note_change(entry);
    }
}

}  // namespace cluster::core
