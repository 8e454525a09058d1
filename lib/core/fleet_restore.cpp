// What a successor of the supervisor does once with a fleet whose records it has put back.
#include <algorithm>
#include <utility>

#include "core/fleet.hpp"

namespace cluster::core {

void Fleet::complete_restored(Instant now) {
    const std::vector<std::uint32_t> indices = order_;  // a deleted worker may vanish meanwhile
    for (const std::uint32_t index : indices) {
        Entry& entry = *entries_[index];
        std::vector<Slot>& slots = entry.worker.slots;
        const std::uint32_t wanted = entry.worker.is_deleted ? 0 : entry.worker.spec.instances;
        // Instances are stored in the order of their numbers; what stands behind a hole was never
        // announced to anybody.
        const auto hole = std::find_if(slots.begin(), slots.end(),
                                       [this](Slot slot) { return find(slot) == nullptr; });
        const std::vector<Slot> behind(hole, slots.end());
        slots.erase(hole, slots.end());
        for (const Slot slot : behind) retire(entry, slot, now);
        const bool starts_new =
            slots.empty() ? entry.worker.spec.autostart : is_wanted_up(entry.worker);
        resize(entry, wanted, starts_new, now);
        if (entry.worker.is_deleted) forget_worker_if_gone(index);
    }
}

std::uint32_t Fleet::free_slots() const {
    std::uint32_t free = 0;
    for (std::uint32_t slot = 0; slot < bounds_.slots; ++slot) free += is_free(slot) ? 1U : 0U;
    return free;
}

}  // namespace cluster::core
