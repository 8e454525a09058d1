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
        // Not before the end: an entry must outlive the last of its places.
        const bool is_deleted = std::exchange(entry.worker.is_deleted, false);
        const std::uint32_t wanted = is_deleted ? 0 : entry.worker.spec.instances;
        // Instances are stored in the order of their numbers; what stands behind a hole was never
        // announced to anybody.
        const auto hole = std::find_if(slots.begin(), slots.end(),
                                       [this](Slot slot) { return find(slot) == nullptr; });
        const std::vector<Slot> behind(hole, slots.end());
        slots.erase(hole, slots.end());
        for (const Slot slot : behind) retire(entry, slot, now);
        const bool starts_new =
            slots.empty() ? entry.worker.spec.autostart : is_wanted_up(entry.worker);
        // More than there is room for was never there: the record is wrong.
        const auto present = static_cast<std::uint32_t>(slots.size());
        const std::uint32_t missing = wanted - std::min(wanted, present);
        resize(entry, wanted - (missing - std::min(missing, room().slots)), starts_new, now);
        entry.worker.is_deleted = is_deleted;
        forget_worker_if_gone(index);
    }
}

}  // namespace cluster::core
