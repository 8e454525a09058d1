// What can be told from the fleet by looking at all of it; for rare use.
#include "core/fleet.hpp"

namespace cluster::core {

Fleet::Bounds Fleet::room_without(const std::vector<std::uint32_t>& removed) const {
    Bounds room{0, 0};
    for (std::uint32_t slot = 0; slot < bounds_.slots; ++slot) {
        room.slots += is_free(Slot{slot}) ? 1 : 0;
    }
    for (const auto& entry : entries_) room.workers += entry ? 0 : 1;
    for (const std::uint32_t index : removed) {
        if (index >= bounds_.workers || !entries_[index]) continue;
        const Entry& entry = *entries_[index];
        bool is_gone = entry.retired.empty() && entry.incoming.empty();
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

std::optional<Outcome> Fleet::outcome(const Place& place, Epoch epoch) {
    // Its current place speaks for it.
    if (place.role == Role::incoming) return std::nullopt;
    // Shown once more before it is forgotten.
    const bool is_over = std::holds_alternative<Stopped>(place.instance.state);
    if (place.role == Role::retired && is_over) return std::nullopt;
    const Reload& reload = place.reload;
    if (epoch.value != 0 && reload.next == epoch) return Outcome::pending;
    if (reload.outcome != Outcome::none && reload.epoch == epoch) return reload.outcome;
    if (reload.former_outcome != Outcome::none && reload.former == epoch) {
        return reload.former_outcome;
    }
    if (place.instance.epoch == epoch) return place.instance.outcome;
    return std::nullopt;
}

Progress Fleet::progress(Epoch epoch) const {
    Progress progress;
    for (const std::unique_ptr<Place>& place : places_) {
        const auto outcome = place ? Fleet::outcome(*place, epoch) : std::nullopt;
        switch (outcome.value_or(Outcome::none)) {
            case Outcome::none:
                break;
            case Outcome::pending:
                ++progress.pending;
                progress.pending_slots.push_back(place->slot);
                break;
            case Outcome::done:
                ++progress.done;
                break;
            case Outcome::failed:
                ++progress.failed;
                progress.failed_slots.push_back(place->slot);
                break;
        }
    }
    return progress;
}

}  // namespace cluster::core
