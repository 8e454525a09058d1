// What a successor of the supervisor does once with a fleet whose records it has put back.
#include <algorithm>
#include <utility>

#include "core/fleet.hpp"

namespace cluster::core {
namespace {

/// Stands in Worker::slots for an instance that recovery has not brought back yet.
constexpr Slot kNoSlot{~0U};

/// An instance at rest starts its next run above `known`; a run that is under way keeps its name.
bool raise_generation(Instance& instance, Generation known) {
    if (is_occupied(instance.state) || instance.generation >= known) return false;
    instance.generation = known;
    return true;
}

}  // namespace

void Fleet::restore_epoch(Epoch epoch) {
    last_epoch_ = std::max(last_epoch_, epoch);
}

void Fleet::restore_worker(Worker worker) {
    const std::uint32_t index = worker.index;
    if (index >= bounds_.workers || entries_[index]) return;
    if (!worker.is_deleted) {
        if (find_worker(worker.spec.name) != nullptr) return;
        names_[worker.spec.name].worker = index;
    }
    worker.slots.clear();
    last_revision_ = std::max(last_revision_, worker.revision);
    entries_[index] = std::make_unique<Entry>(Entry{std::move(worker)});
    link(*entries_[index]);
    order_.push_back(index);
}

void Fleet::restore_place(Place place) {
    if (place.slot.value >= bounds_.slots || find(place.slot) != nullptr) return;
    if (place.worker >= bounds_.workers || !entries_[place.worker]) return;
    if (place.number >= kMaxInstancesPerWorker) return;
    Entry& entry = *entries_[place.worker];
    const Worker& worker = entry.worker;
    if (worker.older.count(place.revision) == 0) place.revision = worker.revision;
    raise_generation(place.instance, known_generation(place.slot));
    if (place.role == Role::retired) {
        entry.retired.push_back(place.slot);
    } else if (place.role == Role::incoming) {
        entry.incoming.push_back(place.slot);
    } else {
        std::vector<Slot>& slots = entry.worker.slots;
        if (slots.size() <= place.number) slots.resize(place.number + 1, kNoSlot);
        if (slots[place.number] != kNoSlot) return;
        slots[place.number] = place.slot;
    }
    // An operation may have been stored with its first instance only.
    last_epoch_ = std::max(last_epoch_, place.instance.epoch);
    insert_place(std::move(place));
}

void Fleet::note_generation(Slot slot, Generation generation) {
    if (slot.value >= bounds_.slots) return;
    raise_known_generation(slot, generation);
    Place* const place = this->place(slot);
    if (place != nullptr && raise_generation(place->instance, known_generation(slot))) {
        note_change(*place);
    }
}

void Fleet::complete_restored(Instant now) {
    const std::vector<std::uint32_t> indices = order_;  // a deleted worker may vanish meanwhile
    for (const std::uint32_t index : indices) {
        Entry& entry = *entries_[index];
        std::vector<Slot>& slots = entry.worker.slots;
        // Not before the end: an entry must outlive the last of its places.
        const bool is_deleted = std::exchange(entry.worker.is_deleted, false);
        restore_reloads(entry, is_deleted, now);
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
        forget_unused_specs(index);
        entry.worker.is_deleted = is_deleted;
        forget_worker_if_gone(index);
    }
}

}  // namespace cluster::core
