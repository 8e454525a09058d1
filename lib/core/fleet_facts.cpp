// What can be told from the fleet by looking at all of it; for rare use.
#include "core/fleet.hpp"

namespace cluster::core {

Fleet::Bounds Fleet::room_without(const std::vector<std::uint32_t>& removed) const {
    Bounds room{0, 0};
    for (std::uint32_t slot = 0; slot < bounds_.slots; ++slot) room.slots += is_free(slot) ? 1 : 0;
    for (const auto& entry : entries_) room.workers += entry ? 0 : 1;
    for (const std::uint32_t index : removed) {
        if (index >= bounds_.workers || !entries_[index]) continue;
        const Entry& entry = *entries_[index];
        bool is_gone = entry.retired.empty();
        for (const Slot slot : entry.worker.slots) {
            const Place* const place = find(slot);
            if (place == nullptr) continue;
            if (is_occupied(place->instance.state)) {
                is_gone = false;
            } else if (!is_busy_[slot.value]) {
                ++room.slots;
            }
        }
        if (is_gone) ++room.workers;
    }
    return room;
}

}  // namespace cluster::core
