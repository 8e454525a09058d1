// Reloads: what reload_step() says, carried out over the instances of a worker, a few at a time.
//
// An instance that overlaps has two places: the current one, which serves and carries the Reload,
// and an incoming one in another slot. The incoming one takes the instance over, and the current
// one is retired, or the incoming one is. Both are stored records, so a successor of the supervisor
// derives the same next step from them.
#include <algorithm>
#include <utility>

#include "core/fleet.hpp"

namespace cluster::core {

namespace {

/// A reload of the instance has begun and is not over.
bool is_in_progress(const Reload& reload) {
    return reload.phase != ReloadPhase::none && reload.phase != ReloadPhase::queued;
}

void erase_slot(std::vector<Slot>& slots, Slot slot) {
    slots.erase(std::remove(slots.begin(), slots.end(), slot), slots.end());
}

}  // namespace

// --- the request ---

void Fleet::reload(const std::vector<Slot>& slots, bool force, Instant now) {
    for (const Slot slot : live_places(slots)) request_reload(*places_[slot.value], force, now);
}

void Fleet::request_reload(Place& place, bool force, Instant now) {
    const Instance& instance = place.instance;
    if (instance.desired == Desired::down || std::holds_alternative<Exited>(instance.state)) return;
    Reload reload = place.reload;
    bool is_down_for_it = false;
    if (is_in_progress(reload) && !force) {
        reload.next = last_epoch_;
        if (const Place* const other = incoming(place)) {
            remember_requests(*places_[other->slot.value], reload);
        }
    } else {
        if (reload.phase == ReloadPhase::overlapping) {
            drop_incoming(*entries_[place.worker], place, last_epoch_, now);
        }
        is_down_for_it = reload.phase == ReloadPhase::restarting;
        reload = Reload{};
        reload.phase = ReloadPhase::queued;
        reload.outcome = Outcome::pending;
        reload.epoch = last_epoch_;
    }
    set_reload(place, reload);
    // It has had its turn, and goes on counting in its batch: another one that is taken down now
    // would be one too many.
    if (is_down_for_it) begin_restart(place, now);
}

// --- what comes next ---

bool Fleet::advance_reloads(Instant now) {
    bool has_acted = false;
    for (const std::uint32_t index : order_) {
        Entry& entry = *entries_[index];
        if (entry.reloading == 0) continue;
        // A promotion puts another slot at the same number; none comes or goes.
        const std::vector<Slot>& slots = entry.worker.slots;
        for (std::size_t number = 0; number < slots.size(); ++number) {
            Place* const place = this->place(slots[number]);
            if (place == nullptr || place->reload.phase == ReloadPhase::none) continue;
            if (judge_reload(entry, *place, now)) has_acted = true;
        }
        if (!has_room_in_batch(entry)) continue;
        for (std::size_t number = 0; number < slots.size(); ++number) {
            Place* const place = this->place(slots[number]);
            if (place != nullptr && begin_reload(entry, *place, now)) has_acted = true;
        }
    }
    return has_acted;
}

/// Decides about what has begun.
bool Fleet::judge_reload(Entry& entry, Place& place, Instant now) {
    switch (reload_step_of(place, false, now)) {
        case ReloadStep::wait:
        case ReloadStep::begin_overlap:
        case ReloadStep::begin_restart:
        case ReloadStep::begin_signal:
            return false;
        case ReloadStep::promote:
            promote(entry, place, now);
            return true;
        case ReloadStep::finish:
            settle_reload(place, Outcome::done, std::nullopt);
            return true;
        case ReloadStep::fail:
            fail_reload(entry, place, now);
            return true;
        case ReloadStep::requeue: {
            Reload reload = place.reload;
            reload.phase = ReloadPhase::queued;
            set_reload(place, reload);
            return true;
        }
        case ReloadStep::abandon:
            cancel_reload(place, now);
            return true;
    }
    return false;
}

/// Begins with the next one where there is room.
bool Fleet::begin_reload(Entry& entry, Place& place, Instant now) {
    if (place.reload.phase != ReloadPhase::queued) return false;
    const ReloadStep step = reload_step_of(place, may_begin_reload(entry, place), now);
    Reload reload = place.reload;
    if (step == ReloadStep::begin_overlap) {
        begin_overlap(entry, place, now);
    } else if (step == ReloadStep::begin_restart) {
        begin_restart(place, now);
    } else if (step == ReloadStep::begin_signal) {
        reload.phase = ReloadPhase::signalled;
        reload.since = now;
        reload.generation = place.instance.generation;
        set_reload(place, reload);
        const int signal = entry.worker.spec.reload.signal;
        actions_.push_back({place.slot, action::SignalLeader{reload.generation, signal}});
    } else {
        return false;
    }
    return true;
}

ReloadStep Fleet::reload_step_of(const Place& place, bool may_begin, Instant now) const {
    const Reload& reload = place.reload;
    NewRun replacement = NewRun::none;
    switch (reload.phase) {
        case ReloadPhase::none:
        case ReloadPhase::queued:
            break;
        case ReloadPhase::overlapping:
            if (const Place* const other = incoming(place)) replacement = new_run(other->instance);
            break;
        case ReloadPhase::restarting:
            replacement = new_run(place.instance);
            break;
        case ReloadPhase::signalled:
            replacement = signalled_run(spec_of(place).policy, place.instance, reload, now);
            break;
    }
    // Only a beginning depends on the mode.
    const ReloadMode mode = may_begin ? reload_mode_of(place) : ReloadMode::overlap;
    return reload_step(reload.phase, mode, old_run(place.instance), replacement, may_begin);
}

bool Fleet::has_room_in_batch(const Entry& entry) const {
    std::size_t in_progress = 0;
    for (const Slot slot : entry.worker.slots) {
        const Place* const other = find(slot);
        if (other != nullptr && is_in_progress(other->reload)) ++in_progress;
    }
    return in_progress < entry.worker.spec.reload.batch;
}

/// Some instance that nothing runs of has not had its turn yet.
bool Fleet::awaits_reload_while_down(const Entry& entry) const {
    return std::any_of(entry.worker.slots.begin(), entry.worker.slots.end(), [this](Slot slot) {
        const Place* const other = find(slot);
        return other != nullptr && other->reload.phase == ReloadPhase::queued &&
               old_run(other->instance) == OldRun::down;
    });
}

bool Fleet::may_begin_reload(const Entry& entry, const Place& place) const {
    const ReloadSpec& spec = entry.worker.spec.reload;
    if (!has_room_in_batch(entry)) return false;
    // Who serves nobody has nothing to lose, and shows whether the new version is any good.
    if (old_run(place.instance) == OldRun::down) return true;
    if (awaits_reload_while_down(entry)) return false;
    if (reload_mode_of(place) != ReloadMode::overlap) return true;
    return entry.incoming.size() + entry.retired.size() < spec.surge &&
           !lowest_free_slots(1).empty();
}

// --- what is done ---

void Fleet::begin_overlap(Entry& entry, Place& place, Instant now) {
    const Slot slot = lowest_free_slots(1).front();
    Place incoming;
    incoming.worker = place.worker;
    incoming.number = place.number;
    incoming.slot = slot;
    incoming.role = Role::incoming;
    incoming.revision = entry.worker.revision;
    incoming.instance.generation = known_generation(slot);
    entry.incoming.push_back(slot);
    insert_place(std::move(incoming));
    remember_requests(*places_[slot.value], place.reload);
    Reload reload = place.reload;
    reload.phase = ReloadPhase::overlapping;
    set_reload(place, reload);
    apply(*places_[slot.value], event::Start{reload.epoch}, now);
}

void Fleet::begin_restart(Place& place, Instant now) {
    Reload reload = place.reload;
    reload.phase = ReloadPhase::restarting;
    set_reload(place, reload);
    apply(place, event::Restart{reload.epoch, is_blocked(place, {})}, now);
    take_newest_spec(place);  // after it: the old run ends by the spec that it was started with
}

/// What a successor of the supervisor goes by that finds the new run and no old one any more.
void Fleet::remember_requests(Place& incoming, const Reload& reload) {
    Reload remembered;
    remembered.epoch = reload.epoch;
    remembered.next = reload.next;
    remembered.former = reload.former;
    remembered.former_outcome = reload.former_outcome;
    set_reload(incoming, remembered);
}

/// The new run has proved itself: it is the instance from now on.
void Fleet::promote(Entry& entry, Place& place, Instant now) {
    Place& successor = *places_[incoming(place)->slot.value];
    const Reload reload = place.reload;
    erase_slot(entry.incoming, successor.slot);
    entry.worker.slots[place.number] = successor.slot;
    successor.role = Role::current;
    set_reload(place, Reload{});
    set_reload(successor, reload);
    settle_reload(successor, Outcome::done, std::nullopt);
    place.role = Role::retired;
    entry.retired.push_back(place.slot);
    note_change(place);
    apply(place, event::Stop{reload.epoch, is_blocked(place, {})}, now);
    forget_unused_specs(entry.worker.index);
}

/// One has failed: whoever of the same request has not been replaced keeps the run that it has.
void Fleet::fail_reload(Entry& entry, Place& place, Instant now) {
    const Epoch epoch = place.reload.epoch;
    const Place* const other = incoming(place);
    const Instance& failed = other != nullptr ? other->instance : place.instance;
    std::optional<LastExit> exit = failed.history.last_exit;
    if (const auto* const stopping = std::get_if<Stopping>(&failed.state)) {
        // It is on its way out; the exit that is known, if any, is an earlier one's.
        exit = LastExit{{ExitStatus::Kind::unknown, 0, Op::none, false}, stopping->reason, now};
    }
    const bool is_signalled = place.reload.phase == ReloadPhase::signalled;
    if (is_signalled && std::holds_alternative<Running>(place.instance.state)) {
        // It lives, and was not ready again in time; what is known is the exit of another run.
        exit = LastExit{{ExitStatus::Kind::unknown, 0, Op::none, false},
                        ExitReason::start_timeout, now};
    }
    drop_incoming(entry, place, epoch, now);
    settle_reload(place, Outcome::failed, exit);
    fail_untouched(entry, epoch, now);
}

/// Whoever of the request has not been replaced, and has not lost its old run to it.
void Fleet::fail_untouched(Entry& entry, Epoch epoch, Instant now) {
    for (const Slot slot : entry.worker.slots) {
        Place* const sibling = this->place(slot);
        if (sibling == nullptr || sibling->reload.epoch != epoch) continue;
        const bool is_untouched = sibling->reload.phase == ReloadPhase::queued ||
                                  sibling->reload.phase == ReloadPhase::overlapping;
        if (!is_untouched) continue;
        drop_incoming(entry, *sibling, epoch, now);
        settle_reload(*sibling, Outcome::failed, std::nullopt);
    }
}

void Fleet::settle_reload(Place& place, Outcome outcome, const std::optional<LastExit>& exit) {
    Reload reload;
    reload.exit = exit;
    if (place.reload.next.value == 0) {
        reload.outcome = outcome;
        reload.epoch = place.reload.epoch;
        reload.former = place.reload.former;
        reload.former_outcome = place.reload.former_outcome;
    } else {
        reload.phase = ReloadPhase::queued;
        reload.outcome = Outcome::pending;
        reload.epoch = place.reload.next;
        reload.former = place.reload.epoch;
        reload.former_outcome = outcome;
    }
    set_reload(place, reload);
}

void Fleet::drop_incoming(Entry& entry, const Place& place, Epoch epoch, Instant now) {
    const Place* const other = incoming(place);
    if (other == nullptr) return;
    Place& leaving = *places_[other->slot.value];
    erase_slot(entry.incoming, leaving.slot);
    entry.retired.push_back(leaving.slot);
    set_reload(leaving, Reload{});
    apply(leaving, event::Stop{epoch}, now);
    leaving.role = Role::retired;
    // How it ended is told before it is forgotten.
    if (std::holds_alternative<Stopped>(leaving.instance.state)) to_forget_.push_back(leaving.slot);
}

void Fleet::forget_dropped() {
    for (const Slot slot : std::exchange(to_forget_, {})) {
        Place* const place = this->place(slot);
        const bool is_gone = place != nullptr && place->role == Role::retired &&
                             std::holds_alternative<Stopped>(place->instance.state);
        if (is_gone) forget_place(*place);
    }
}

/// A command of another kind takes over.
void Fleet::cancel_reload(Place& place, Instant now) {
    if (place.role != Role::current || place.reload == Reload{}) return;
    drop_incoming(*entries_[place.worker], place, last_epoch_, now);
    set_reload(place, Reload{});
}

void Fleet::set_reload(Place& place, const Reload& reload) {
    std::uint32_t& of_worker = entries_[place.worker]->reloading;
    if (place.reload.phase != ReloadPhase::none) {
        --reloading_;
        --of_worker;
    }
    if (reload.phase != ReloadPhase::none) {
        ++reloading_;
        ++of_worker;
    }
    place.reload = reload;
    note_change(place);
    refresh_deadline(place);
}

// --- recovery ---

/// A promotion stores the place that leaves before the one that comes; a kill between the two
/// leaves an incoming place and no current one.
void Fleet::restore_reloads(Entry& entry, bool is_deleted, Instant now) {
    std::vector<Slot>& slots = entry.worker.slots;
    const std::vector<Slot> restored = std::exchange(entry.incoming, {});
    for (const Slot slot : restored) {
        Place& place = *places_[slot.value];
        const bool has_number = place.number < slots.size();
        Place* const current = has_number ? this->place(slots[place.number]) : nullptr;
        if (current != nullptr && current->reload.phase == ReloadPhase::overlapping &&
            incoming(*current) == nullptr) {
            entry.incoming.push_back(slot);
        } else if (current == nullptr && !is_deleted) {
            if (!has_number) slots.resize(place.number + 1, Slot{~0U});
            slots[place.number] = slot;
            place.role = Role::current;
            // A predecessor of an earlier version did not note it.
            if (place.reload.epoch.value == 0) place.reload.epoch = place.instance.epoch;
            settle_reload(place, Outcome::done, std::nullopt);
        } else {
            set_reload(place, Reload{});
            retire(entry, slot, now);
        }
    }
    end_failed_reloads(entry, now);
}

/// A failure stores one place after the other; a kill in between leaves some that still wait for
/// their turn.
void Fleet::end_failed_reloads(Entry& entry, Instant now) {
    for (const Slot slot : entry.worker.slots) {
        const Place* const place = find(slot);
        if (place == nullptr) continue;
        const Reload reload = place->reload;
        if (reload.outcome == Outcome::failed) fail_untouched(entry, reload.epoch, now);
        if (reload.former_outcome == Outcome::failed) fail_untouched(entry, reload.former, now);
    }
}

// --- what can be told ---

const Place* Fleet::incoming(const Place& current) const {
    if (current.role != Role::current) return nullptr;
    for (const Slot slot : entries_[current.worker]->incoming) {
        const Place* const place = find(slot);
        if (place != nullptr && place->number == current.number) return place;
    }
    return nullptr;
}

bool Fleet::is_reloading(const Worker& worker) const {
    return std::any_of(worker.slots.begin(), worker.slots.end(), [this](Slot slot) {
        const Place* const place = find(slot);
        return place != nullptr && place->reload.phase != ReloadPhase::none;
    });
}

ReloadMode Fleet::reload_mode_of(const Place& place) const {
    return reload_mode(spec_of(place), entries_[place.worker]->worker.spec);
}

}  // namespace cluster::core
