// Commands, events and queries of the fleet. Whatever changes a place goes through apply(), which
// keeps the deadline, the count of occupied slots and the dirty marks in step with it.
#include "core/fleet.hpp"

#include <algorithm>
#include <utility>

#include "base/assert.hpp"
#include "core/limits.hpp"

namespace cluster::core {

void Fleet::MarkedOnce::mark(std::uint32_t index) {
    if (is_marked_[index]) return;
    is_marked_[index] = true;
    order_.push_back(index);
}

void Fleet::MarkedOnce::clear() {
    for (const std::uint32_t index : order_) is_marked_[index] = false;
    order_.clear();
}

Fleet::Fleet(Bounds bounds, std::uint64_t seed)
    : bounds_(bounds),
      prng_(seed),
      is_busy_(bounds.slots, false),
      entries_(bounds.workers),
      deadlines_(bounds.slots),
      dirty_slots_(bounds.slots),
      dirty_workers_(bounds.workers) {}

// --- commands ---

Epoch Fleet::begin_operation() {
    ++last_epoch_.value;
    return last_epoch_;
}

Refusal Fleet::add(WorkerSpec spec, bool start, Instant now) {
    const bool is_started = start || spec.autostart;
    const std::string name = spec.name;
    const Refusal refusal = insert(std::move(spec));
    if (refusal == Refusal::none && is_started) this->start(find_worker(name)->slots, now);
    return refusal;
}

Refusal Fleet::add_stopped(WorkerSpec spec) {
    return insert(std::move(spec));
}

Refusal Fleet::insert(WorkerSpec spec) {
    if (find_worker(spec.name) != nullptr) return Refusal::name_taken;
    const std::optional<std::uint32_t> index = free_worker_index();
    if (!index) return Refusal::too_many_workers;
    const Refusal refusal = check_growth(0, spec.instances);
    if (refusal != Refusal::none) return refusal;

    const std::uint32_t instances = spec.instances;
    auto entry = std::make_unique<Entry>();
    entry->worker.index = *index;
    entry->worker.revision = ++last_revision_;
    entry->worker.spec = std::move(spec);
    names_[entry->worker.spec.name].worker = *index;
    link(*entry);
    order_.push_back(*index);
    entries_[*index] = std::move(entry);
    dirty_workers_.mark(*index);
    static_cast<void>(grow(*entries_[*index], instances));
    return Refusal::none;
}

Refusal Fleet::update(WorkerSpec spec, Instant now) {
    const auto found = names_.find(spec.name);
    if (found == names_.end() || !found->second.worker) return Refusal::no_such_worker;
    Entry& entry = *entries_[*found->second.worker];
    Worker& worker = entry.worker;
    const auto used = static_cast<std::uint32_t>(worker.slots.size());
    const Refusal refusal = check_growth(used, spec.instances);
    if (refusal != Refusal::none) return refusal;

    if (worker.spec != spec) {
        const bool starts_new = worker.slots.empty() ? spec.autostart : is_wanted_up(worker);
        replace_spec(entry, std::move(spec));
        may_proceed_ = true;
        resize(entry, worker.spec.instances, starts_new, now);
    }
    std::vector<Slot> behind;
    for (const Slot slot : worker.slots) {
        const Place* const place = find(slot);
        if (place != nullptr && is_behind(*place)) behind.push_back(slot);
    }
    reload(behind, false, now);
    return Refusal::none;
}

Refusal Fleet::scale(std::uint32_t worker, std::uint32_t instances, Instant now) {
    if (worker >= bounds_.workers || !entries_[worker] || entries_[worker]->worker.is_deleted) {
        return Refusal::no_such_worker;
    }
    Entry& entry = *entries_[worker];
    const auto used = static_cast<std::uint32_t>(entry.worker.slots.size());
    const Refusal refusal = check_growth(used, instances);
    if (refusal != Refusal::none) return refusal;
    if (entry.worker.spec.instances != instances) {
        WorkerSpec spec = entry.worker.spec;
        spec.instances = instances;
        replace_spec(entry, std::move(spec));
    }
    resize(entry, instances, true, now);
    return Refusal::none;
}

void Fleet::remove(std::uint32_t worker, Instant now) {
    if (worker >= bounds_.workers || !entries_[worker] || entries_[worker]->worker.is_deleted) {
        return;
    }
    Entry& entry = *entries_[worker];
    names_[entry.worker.spec.name].worker.reset();
    note_change(entry);
    // What was scaled away before is part of what this operation waits for.
    const std::vector<Slot> retired = entry.retired;
    const std::vector<Slot> live = std::exchange(entry.worker.slots, {});
    stop(retired, now);
    for (const Slot slot : live) retire(entry, slot, now);
    entry.worker.is_deleted = true;  // not sooner: the entry must outlive the loop above
    forget_worker_if_gone(worker);
}

bool Fleet::reset(Slot slot, Instant now) {
    Place* const place = this->place(slot);
    if (place == nullptr || place->role != Role::current) return false;
    Instance& instance = place->instance;
    forget_restarts(instance.history);
    note_change(*place);
    const bool has_given_up = std::holds_alternative<Fatal>(instance.state) ||
                              std::holds_alternative<BackingOff>(instance.state);
    if (!has_given_up || instance.desired == Desired::down) return false;
    start(slot, now);
    return true;
}

// --- the world ---

void Fleet::on_event(Slot slot, const Event& event, Instant now) {
    Place* const place = this->place(slot);
    if (place == nullptr) return;
    const auto* const said = std::get_if<event::Reloading>(&event);
    if (said != nullptr && is_of_earlier_reload(place->reload, *said)) return;
    apply(*place, event, now);
}

void Fleet::on_time(Instant now) {
    forget_dropped();
    std::vector<Slot> due;
    deadlines_.collect_due(now, due);
    for (const Slot slot : due) {
        if (Place* const place = this->place(slot)) apply(*place, event::Tick{}, now);
    }
    // A reload may take down what others wait for: it comes first, and what follows from those who
    // go on now is for the next turn.
    while (reloading_ > 0 && advance_reloads(now)) continue;
    const std::uint64_t before = changes_;
    let_proceed(now);
    has_more_to_do_ = !to_forget_.empty() || (reloading_ > 0 && changes_ != before);
}

// --- what comes out ---

std::vector<SlotAction> Fleet::take_actions() {
    return std::exchange(actions_, {});
}

std::vector<Slot> Fleet::take_dirty_slots() {
    std::vector<Slot> slots;
    slots.reserve(dirty_slots_.list().size());
    // Who was the instance may have left it for good, and even have made room for another one in
    // the same turn; whoever is it now comes after all of those.
    for (const bool is_current : {false, true}) {
        for (const std::uint32_t index : dirty_slots_.list()) {
            const Place* const place = find(Slot{index});
            const bool is_it = place != nullptr && place->role == Role::current;
            if (is_it == is_current) slots.push_back(Slot{index});
        }
    }
    dirty_slots_.clear();
    return slots;
}

std::vector<std::uint32_t> Fleet::take_dirty_workers() {
    std::vector<std::uint32_t> workers = dirty_workers_.list();
    dirty_workers_.clear();
    return workers;
}

std::optional<Instant> Fleet::next_deadline() const {
    return has_more_to_do_ ? Instant{} : deadlines_.next();
}

Epoch Fleet::last_epoch() const {
    return last_epoch_;
}

const Place* Fleet::find(Run run) const {
    const Place* const place = find(run.slot);
    const bool is_present = place != nullptr && place->instance.generation == run.generation &&
                            is_occupied(place->instance.state);
    return is_present ? place : nullptr;
}

const Worker* Fleet::worker(std::uint32_t index) const {
    if (index >= bounds_.workers || !entries_[index]) return nullptr;
    return &entries_[index]->worker;
}

std::vector<const Worker*> Fleet::workers() const {
    std::vector<const Worker*> result;
    for (const std::uint32_t index : order_) {
        if (!entries_[index]->worker.is_deleted) result.push_back(&entries_[index]->worker);
    }
    return result;
}

std::vector<const Place*> Fleet::places() const {
    std::vector<const Place*> result;
    for (const std::uint32_t index : order_) {
        const Entry& entry = *entries_[index];
        const auto first = static_cast<std::ptrdiff_t>(result.size());
        for (const Slot slot : entry.worker.slots) {
            if (const Place* const place = find(slot)) result.push_back(place);
        }
        for (const Slot slot : entry.incoming) result.push_back(find(slot));
        for (const Slot slot : entry.retired) result.push_back(find(slot));
        std::stable_sort(result.begin() + first, result.end(),
                         [](const Place* a, const Place* b) { return a->number < b->number; });
    }
    return result;
}

bool Fleet::is_idle() const {
    return occupied_ == 0;
}

void Fleet::set_slot_busy(Slot slot, bool is_busy) {
    if (slot.value < bounds_.slots) is_busy_[slot.value] = is_busy;
}

// --- private ---

bool Fleet::is_free(Slot slot) const {
    return find(slot) == nullptr && !is_busy_[slot.value];
}

Generation Fleet::known_generation(Slot slot) const {
    return slot.value < generations_.size() ? generations_[slot.value] : Generation{};
}

void Fleet::raise_known_generation(Slot slot, Generation generation) {
    if (slot.value >= generations_.size()) generations_.resize(slot.value + 1);
    Generation& known = generations_[slot.value];
    known = std::max(known, generation);
}

/// At most `count` of them.
std::vector<Slot> Fleet::lowest_free_slots(std::uint32_t count) const {
    std::vector<Slot> free;
    for (std::uint32_t slot = 0; slot < bounds_.slots && free.size() < count; ++slot) {
        if (is_free(Slot{slot})) free.push_back(Slot{slot});
    }
    return free;
}

Refusal Fleet::check_growth(std::uint32_t now_used, std::uint32_t wanted) const {
    if (wanted > kMaxInstancesPerWorker) return Refusal::too_many_instances;
    if (wanted <= now_used) return Refusal::none;
    const std::uint32_t more = wanted - now_used;
    return lowest_free_slots(more).size() < more ? Refusal::too_many_instances : Refusal::none;
}

/// Behind the last one while there is room there, so that the order of indices is the order of
/// creation.
std::optional<std::uint32_t> Fleet::free_worker_index() const {
    const std::uint32_t behind = order_.empty() ? 0 : order_.back() + 1;
    if (behind < bounds_.workers && !entries_[behind]) return behind;
    for (std::uint32_t index = 0; index < bounds_.workers; ++index) {
        if (!entries_[index]) return index;
    }
    return std::nullopt;
}

bool Fleet::is_wanted_up(const Worker& worker) const {
    return std::any_of(worker.slots.begin(), worker.slots.end(), [this](Slot slot) {
        const Place* const place = find(slot);
        return place != nullptr && place->instance.desired == Desired::up;
    });
}

void Fleet::insert_place(Place place) {
    const std::uint32_t slot = place.slot.value;
    if (place.reload.phase != ReloadPhase::none) {
        ++reloading_;
        ++entries_[place.worker]->reloading;
    }
    raise_known_generation(place.slot, place.instance.generation);
    count(*entries_[place.worker], place.instance, true);
    if (slot >= places_.size()) places_.resize(slot + 1);
    places_[slot] = std::make_unique<Place>(std::move(place));
    refresh_deadline(*places_[slot]);
    note_change(*places_[slot]);
    const bool is_over = std::holds_alternative<Stopped>(places_[slot]->instance.state);
    if (is_over && places_[slot]->role == Role::retired) to_forget_.push_back(Slot{slot});
}

/// Returns the slots of the new instances.
std::vector<Slot> Fleet::grow(Entry& entry, std::uint32_t instances) {
    std::vector<Slot>& slots = entry.worker.slots;
    const auto used = static_cast<std::uint32_t>(slots.size());
    std::vector<Slot> free = lowest_free_slots(instances - used);
    CLUSTER_ASSERT(free.size() == instances - used);
    for (const Slot slot : free) {
        Place place;
        place.worker = entry.worker.index;
        place.number = static_cast<std::uint32_t>(slots.size());
        place.slot = slot;
        place.revision = entry.worker.revision;
        place.instance.generation = known_generation(slot);
        slots.push_back(slot);
        insert_place(std::move(place));
    }
    return free;
}

void Fleet::shrink(Entry& entry, std::uint32_t instances, Instant now) {
    while (entry.worker.slots.size() > instances) {
        const Slot slot = entry.worker.slots.back();
        entry.worker.slots.pop_back();
        retire(entry, slot, now);
    }
}

void Fleet::resize(Entry& entry, std::uint32_t instances, bool start, Instant now) {
    if (instances > entry.worker.slots.size()) {
        const std::vector<Slot> grown = grow(entry, instances);
        if (start) this->start(grown, now);
    } else {
        shrink(entry, instances, now);
    }
}

void Fleet::retire(Entry& entry, Slot slot, Instant now) {
    Place* const place = this->place(slot);
    if (place == nullptr) return;
    cancel_reload(*place, now);
    place->role = Role::retired;
    entry.retired.push_back(slot);
    apply(*place, event::Stop{last_epoch_, is_blocked(*place, {})}, now);
}

void Fleet::apply(Place& place, const Event& event, Instant now) {
    const Transition next =
        step(spec_of(place).policy, place.instance, event, now, prng_, gate_of(place));
    for (const Action& action : next.actions) actions_.push_back({place.slot, action});
    // A command that changes nothing else still changes the epoch, so this misses none.
    const bool is_same = next.instance == place.instance;
    if (!is_same) {
        ++changes_;
        Entry& entry = *entries_[place.worker];
        count(entry, place.instance, false);
        count(entry, next.instance, true);
        may_proceed_ = true;
        place.instance = next.instance;
        note_change(place);
    }
    // After a recovery the operation that stopped it may be the very last one: nothing changed
    // then.
    if (place.role == Role::retired && std::holds_alternative<Stopped>(place.instance.state)) {
        forget_place(place);
    } else if (!is_same) {
        refresh_deadline(place);
    }
}

void Fleet::note_change(const Place& place) {
    dirty_slots_.mark(place.slot.value);
    entries_[place.worker]->standing.reset();
}

void Fleet::note_change(Entry& entry) {
    dirty_workers_.mark(entry.worker.index);
    entry.standing.reset();
}

void Fleet::count(Entry& entry, const Instance& instance, bool is_added) {
    const auto* const running = std::get_if<Running>(&instance.state);
    const bool is_coming_up = std::holds_alternative<Starting>(instance.state) ||
                              (running != nullptr && !running->ready_at);
    const auto change = [is_added](std::uint32_t& counter, bool counts) {
        if (counts) counter += is_added ? 1U : ~0U;
    };
    change(occupied_, is_occupied(instance.state));
    change(coming_up_, is_coming_up);
    change(held_back_, is_held_back(instance));
    change(entry.held_back, is_held_back(instance));
}

void Fleet::refresh_deadline(const Place& place) {
    const Policy& policy = spec_of(place).policy;
    deadlines_.set(place.slot, earliest(core::next_deadline(policy, place.instance),
                                        reload_deadline(policy, place.instance, place.reload)));
}

void Fleet::forget_place(Place& place) {
    const Slot slot = place.slot;
    const std::uint32_t worker = place.worker;
    note_change(place);
    raise_known_generation(slot, place.instance.generation);
    deadlines_.set(slot, std::nullopt);
    std::vector<Slot>& retired = entries_[worker]->retired;
    retired.erase(std::remove(retired.begin(), retired.end(), slot), retired.end());
    places_[slot.value].reset();
    forget_unused_specs(worker);
    forget_worker_if_gone(worker);
}

void Fleet::forget_worker_if_gone(std::uint32_t index) {
    if (!entries_[index]) return;
    Entry& entry = *entries_[index];
    if (!entry.worker.is_deleted || !entry.worker.slots.empty() || !entry.retired.empty()) return;
    order_.erase(std::remove(order_.begin(), order_.end(), index), order_.end());
    unlink(entry);
    entries_[index].reset();
    dirty_workers_.mark(index);
}

}  // namespace cluster::core
