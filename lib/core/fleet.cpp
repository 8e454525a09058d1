// Commands, events and queries of the fleet. Whatever changes a place goes through apply(), which
// keeps the deadline, the count of occupied slots and the dirty marks in step with it.
#include "core/fleet.hpp"

#include <algorithm>
#include <utility>

#include "base/assert.hpp"
#include "core/limits.hpp"

namespace cluster::core {

namespace {

/// Stands in Worker::slots for an instance that recovery has not brought back yet.
constexpr Slot kNoSlot{~0U};

bool is_up(const Instance& instance) {
    return instance.desired == Desired::up && !std::holds_alternative<Exited>(instance.state) &&
           !std::holds_alternative<Fatal>(instance.state);
}

/// An instance at rest starts its next run above `known`; a run that is under way keeps its name.
bool raise_generation(Instance& instance, Generation known) {
    if (is_occupied(instance.state) || instance.generation >= known) return false;
    instance.generation = known;
    return true;
}

}  // namespace

void Fleet::MarkedOnce::mark(std::uint32_t index) {
    if (is_marked_[index]) return;
    is_marked_[index] = true;
    order_.push_back(index);
}

std::vector<std::uint32_t> Fleet::MarkedOnce::take() {
    for (const std::uint32_t index : order_) is_marked_[index] = false;
    return std::exchange(order_, {});
}

Fleet::Fleet(Bounds bounds, std::uint64_t seed)
    : bounds_(bounds),
      prng_(seed),
      places_(bounds.slots),
      generations_(bounds.slots),
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
    count_requiring(entry->worker.spec, true);
    by_name_.emplace(entry->worker.spec.name, *index);
    order_.push_back(*index);
    entries_[*index] = std::move(entry);
    dirty_workers_.mark(*index);
    static_cast<void>(grow(*entries_[*index], instances));
    return Refusal::none;
}

Refusal Fleet::update(WorkerSpec spec, Instant now) {
    const auto found = by_name_.find(spec.name);
    if (found == by_name_.end()) return Refusal::no_such_worker;
    Entry& entry = *entries_[found->second];
    Worker& worker = entry.worker;
    const auto used = static_cast<std::uint32_t>(worker.slots.size());
    const Refusal refusal = check_growth(used, spec.instances);
    if (refusal != Refusal::none) return refusal;
    if (worker.spec == spec) return Refusal::none;

    const bool is_relaunched = needs_new_run(worker.spec, spec);
    const bool starts_new = worker.slots.empty() ? spec.autostart : is_wanted_up(worker);
    count_requiring(worker.spec, false);
    worker.spec = std::move(spec);
    count_requiring(worker.spec, true);
    may_proceed_ = true;
    worker.revision = ++last_revision_;
    dirty_workers_.mark(worker.index);
    for (const Slot slot : entry.retired) refresh_deadline(*places_[slot.value]);
    for (const Slot slot : worker.slots) {
        if (Place* const place = this->place(slot)) refresh_deadline(*place);
    }
    resize(entry, worker.spec.instances, starts_new, now);
    if (!is_relaunched) return Refusal::none;
    std::vector<Slot> relaunched;
    for (std::size_t i = 0; i < worker.slots.size() && i < used; ++i) {
        const Place* const place = find(worker.slots[i]);
        if (place != nullptr && is_up(place->instance)) relaunched.push_back(place->slot);
    }
    restart(relaunched, now);
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
        entry.worker.spec.instances = instances;
        entry.worker.revision = ++last_revision_;
        dirty_workers_.mark(worker);
    }
    resize(entry, instances, true, now);
    return Refusal::none;
}

void Fleet::remove(std::uint32_t worker, Instant now) {
    if (worker >= bounds_.workers || !entries_[worker] || entries_[worker]->worker.is_deleted) {
        return;
    }
    Entry& entry = *entries_[worker];
    entry.worker.revision = ++last_revision_;
    by_name_.erase(entry.worker.spec.name);
    dirty_workers_.mark(worker);
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
    if (place == nullptr || place->is_retired) return false;
    Instance& instance = place->instance;
    forget_restarts(instance.history);
    dirty_slots_.mark(slot.value);
    const bool has_given_up = std::holds_alternative<Fatal>(instance.state) ||
                              std::holds_alternative<BackingOff>(instance.state);
    if (!has_given_up || instance.desired == Desired::down) return false;
    start(slot, now);
    return true;
}

// --- the world ---

void Fleet::on_event(Slot slot, const Event& event, Instant now) {
    if (Place* const place = this->place(slot)) apply(*place, event, now);
}

void Fleet::on_time(Instant now) {
    std::vector<Slot> due;
    deadlines_.collect_due(now, due);
    for (const Slot slot : due) {
        if (Place* const place = this->place(slot)) apply(*place, event::Tick{}, now);
    }
    let_proceed(now);
}

// --- what comes out ---

std::vector<SlotAction> Fleet::take_actions() {
    return std::exchange(actions_, {});
}

std::vector<Slot> Fleet::take_dirty_slots() {
    const std::vector<std::uint32_t> marked = dirty_slots_.take();
    std::vector<Slot> slots;
    slots.reserve(marked.size());
    for (const std::uint32_t index : marked) slots.push_back(Slot{index});
    return slots;
}

std::vector<std::uint32_t> Fleet::take_dirty_workers() {
    return dirty_workers_.take();
}

std::optional<Instant> Fleet::next_deadline() const {
    return deadlines_.next();
}

Progress Fleet::progress(Epoch epoch) const {
    Progress progress;
    for (const std::unique_ptr<Place>& place : places_) {
        if (!place || place->instance.epoch != epoch) continue;
        switch (place->instance.outcome) {
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

Epoch Fleet::last_epoch() const {
    return last_epoch_;
}

const Place* Fleet::find(Slot slot) const {
    return slot.value < bounds_.slots ? places_[slot.value].get() : nullptr;
}

const Worker* Fleet::find_worker(std::string_view name) const {
    const auto found = by_name_.find(name);
    return found == by_name_.end() ? nullptr : &entries_[found->second]->worker;
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
        for (const Slot slot : entry.retired) result.push_back(find(slot));
        // Of two places of one number the live one comes first.
        std::stable_sort(result.begin() + first, result.end(),
                         [](const Place* a, const Place* b) { return a->number < b->number; });
    }
    return result;
}

bool Fleet::is_idle() const {
    return occupied_ == 0;
}

// --- recovery ---

void Fleet::restore_epoch(Epoch epoch) {
    last_epoch_ = std::max(last_epoch_, epoch);
}

void Fleet::restore_worker(Worker worker) {
    const std::uint32_t index = worker.index;
    if (index >= bounds_.workers || entries_[index]) return;
    if (!worker.is_deleted && !by_name_.emplace(worker.spec.name, index).second) return;
    worker.slots.clear();
    last_revision_ = std::max(last_revision_, worker.revision);
    count_requiring(worker.spec, true);
    entries_[index] = std::make_unique<Entry>(Entry{std::move(worker), {}});
    order_.push_back(index);
}

void Fleet::restore_place(Place place) {
    if (place.slot.value >= bounds_.slots || places_[place.slot.value]) return;
    if (place.worker >= bounds_.workers || !entries_[place.worker]) return;
    if (place.number >= kMaxInstancesPerWorker) return;
    Entry& entry = *entries_[place.worker];
    raise_generation(place.instance, generations_[place.slot.value]);
    if (place.is_retired) {
        entry.retired.push_back(place.slot);
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
    Generation& known = generations_[slot.value];
    known = std::max(known, generation);
    Place* const place = this->place(slot);
    if (place != nullptr && raise_generation(place->instance, known)) dirty_slots_.mark(slot.value);
}

void Fleet::set_slot_busy(Slot slot, bool is_busy) {
    if (slot.value < bounds_.slots) is_busy_[slot.value] = is_busy;
}

// --- private ---

bool Fleet::is_free(std::uint32_t slot) const {
    return !places_[slot] && !is_busy_[slot];
}

/// At most `count` of them.
std::vector<Slot> Fleet::lowest_free_slots(std::uint32_t count) const {
    std::vector<Slot> free;
    for (std::uint32_t slot = 0; slot < bounds_.slots && free.size() < count; ++slot) {
        if (is_free(slot)) free.push_back(Slot{slot});
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

Place* Fleet::place(Slot slot) {
    return slot.value < bounds_.slots ? places_[slot.value].get() : nullptr;
}

void Fleet::insert_place(Place place) {
    const std::uint32_t slot = place.slot.value;
    generations_[slot] = std::max(generations_[slot], place.instance.generation);
    count(place.instance, true);
    places_[slot] = std::make_unique<Place>(std::move(place));
    refresh_deadline(*places_[slot]);
    dirty_slots_.mark(slot);
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
        place.instance.generation = generations_[slot.value];
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
    place->is_retired = true;
    entry.retired.push_back(slot);
    apply(*place, event::Stop{last_epoch_, is_blocked(*place, {})}, now);
    // After a recovery the operation that stopped it may be the very last one: nothing changed
    // then.
    Place* const left = this->place(slot);
    if (left != nullptr && std::holds_alternative<Stopped>(left->instance.state)) {
        dirty_slots_.mark(slot.value);
        forget_place(*left);
    }
}

void Fleet::apply(Place& place, const Event& event, Instant now) {
    const Policy& policy = entries_[place.worker]->worker.spec.policy;
    const Transition next = step(policy, place.instance, event, now, prng_, gate_of(place));
    for (const Action& action : next.actions) actions_.push_back({place.slot, action});
    // A command that changes nothing else still changes the epoch, so this misses none.
    if (next.instance == place.instance) return;
    count(place.instance, false);
    count(next.instance, true);
    may_proceed_ = true;
    place.instance = next.instance;
    dirty_slots_.mark(place.slot.value);
    if (place.is_retired && std::holds_alternative<Stopped>(place.instance.state)) {
        forget_place(place);
    } else {
        refresh_deadline(place);
    }
}

void Fleet::count(const Instance& instance, bool is_added) {
    const auto* const running = std::get_if<Running>(&instance.state);
    const bool is_coming_up = std::holds_alternative<Starting>(instance.state) ||
                              (running != nullptr && !running->ready_at);
    const bool is_held_back =
        std::holds_alternative<Waiting>(instance.state) || instance.hold != Hold::none;
    const auto change = [is_added](std::uint32_t& counter, bool counts) {
        if (counts) counter += is_added ? 1U : ~0U;
    };
    change(occupied_, is_occupied(instance.state));
    change(coming_up_, is_coming_up);
    change(held_back_, is_held_back);
}

void Fleet::count_requiring(const WorkerSpec& spec, bool is_added) {
    if (!spec.requirements.empty()) requiring_ += is_added ? 1U : ~0U;
}

void Fleet::refresh_deadline(const Place& place) {
    const Policy& policy = entries_[place.worker]->worker.spec.policy;
    deadlines_.set(place.slot, core::next_deadline(policy, place.instance));
}

void Fleet::forget_place(Place& place) {
    const Slot slot = place.slot;
    const std::uint32_t worker = place.worker;
    generations_[slot.value] = std::max(generations_[slot.value], place.instance.generation);
    deadlines_.set(slot, std::nullopt);
    std::vector<Slot>& retired = entries_[worker]->retired;
    retired.erase(std::remove(retired.begin(), retired.end(), slot), retired.end());
    places_[slot.value].reset();
    forget_worker_if_gone(worker);
}

void Fleet::forget_worker_if_gone(std::uint32_t index) {
    if (!entries_[index]) return;
    const Entry& entry = *entries_[index];
    if (!entry.worker.is_deleted || !entry.worker.slots.empty() || !entry.retired.empty()) return;
    order_.erase(std::remove(order_.begin(), order_.end(), index), order_.end());
    count_requiring(entry.worker.spec, false);
    entries_[index].reset();
    dirty_workers_.mark(index);
}

}  // namespace cluster::core
