#include "supervisor/memory_watch.hpp"

#include <utility>
#include <variant>

#include "sys/family.hpp"

namespace cluster::supervisor {

void MemoryWatch::follow(const core::Place& place, const core::WorkerSpec& spec, Instant now) {
    const Run run{place.slot, place.instance.generation};
    const bool is_up = std::holds_alternative<core::Running>(place.instance.state);
    if (!is_up || spec.policy.max_memory == 0) {
        entries_.erase(place.slot);
        return;
    }
    Entry& entry = entries_[place.slot];
    if (entry.run != run) entry.due = now + kPeriod;
    entry.run = run;
    entry.limit = spec.policy.max_memory;
}

void MemoryWatch::on_time(Instant now) {
    std::optional<sys::Orphans> orphans;
    int looked = 0;
    for (auto& [slot, entry] : entries_) {
        if (entry.due > now) continue;
        if (looked++ == kMaxPerTurn)
            return;  // the others are still due: the next turn comes at once
        entry.due = now + kPeriod;
        const auto record = keeper_.slot(slot);
        if (!record || record->generation != entry.run.generation.value || record->pid <= 0)
            continue;
        const auto main = mains_.pid(entry.run);
        // Its number may be somebody else's by now.
        if (record->state != wire::SlotState::running && !main) continue;
        const std::int32_t leader =
            record->state == wire::SlotState::running ? record->pid : *main;
        if (!orphans) orphans = sys::orphans_of(keeper_.table().header.keeper_pid);
        if (sys::family_memory(leader, *orphans, entry.limit) > entry.limit) {
            over_limit_.push_back(entry.run);
        }
    }
}

std::optional<Instant> MemoryWatch::next_deadline() const {
    std::optional<Instant> next;
    for (const auto& [slot, entry] : entries_) next = earliest(next, entry.due);
    return next;
}

std::vector<Run> MemoryWatch::take_over_limit() {
    return std::exchange(over_limit_, {});
}

}  // namespace cluster::supervisor
