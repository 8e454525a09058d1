#include "sim/fake_shell.hpp"

namespace cluster::sim {

FakeShell::FakeShell(core::Fleet::Bounds bounds, std::uint64_t seed, FakeKeeper& keeper,
                     Trace& trace)
    : bounds_(bounds),
      prng_(seed),
      parallel_starts_(prng_.chance(0.5) ? 0 : static_cast<std::uint32_t>(1 + prng_.below(5))),
      keeper_(keeper),
      trace_(trace),
      fleet_(std::make_unique<core::Fleet>(bounds, prng_.next())) {
    fleet_->set_parallel_starts(parallel_starts_);
    known_.resize(bounds.slots);
    stored_.workers.resize(bounds.workers);
    stored_.places.resize(bounds.slots);
}

void FakeShell::deliver(const Delivery& delivery, Instant now) {
    ++inputs_;
    const core::Place* const place = fleet_->find(delivery.slot);
    const bool is_probed = place != nullptr &&
                           fleet_->spec_of(*place).policy.ready.kind != core::Readiness::Kind::exec;
    // Nobody asks whether the others are ready.
    if (!is_probed && std::holds_alternative<core::event::BecameReady>(delivery.event)) return;
    trace_.note("event", delivery.slot, 0, static_cast<std::int64_t>(delivery.event.index()), now);
    fleet_->on_event(delivery.slot, delivery.event, now);
    check_start(delivery.slot);
}

void FakeShell::check_starts() {
    for (const std::uint32_t slot : fleet_->dirty_slots()) {
        const core::Place* const place = fleet_->find(Slot{slot});
        const Known& known = known_[slot];
        const bool is_known = place == nullptr ||
                              (place->instance.generation == known.generation &&
                               place->instance.history.restarts == known.restarts &&
                               place->worker == known.worker && place->number == known.number);
        if (!is_known) check_start(Slot{slot});
    }
}

void FakeShell::check_start(Slot slot) {
    Known& known = known_[slot.value];
    const core::Place* const place = fleet_->find(slot);
    if (place == nullptr) return;
    const core::Instance& instance = place->instance;
    const bool is_same = known.worker == place->worker && known.number == place->number;
    const bool is_new_run = instance.generation > known.generation;
    const bool is_automatic = is_same && instance.history.restarts > known.restarts;
    known = {place->worker, place->number, instance.generation, instance.history.restarts};
    // One that was started by itself and is restarted in the same turn, now or as soon as others
    // have left, will wait like the others; what it says of its restarts is of the next run.
    const bool is_on_its_way = core::is_occupied(instance.state) &&
                               !std::holds_alternative<core::Stopping>(instance.state) &&
                               instance.hold != core::Hold::restart;
    if (!is_new_run || is_automatic || !is_on_its_way) return;
    for (const std::string& name : fleet_->worker(place->worker)->spec.requirements) {
        if (!is_satisfied(name)) broken_ = "a start before what it requires is ready";
    }
}

bool FakeShell::is_satisfied(const std::string& required) const {
    const core::Worker* const worker = fleet_->find_worker(required);
    bool is_any_wanted = false;
    if (worker == nullptr) return false;
    for (const Slot slot : worker->slots) {
        const core::Instance& instance = fleet_->find(slot)->instance;
        if (instance.desired == core::Desired::down) continue;
        is_any_wanted = true;
        const bool has_ended_well =
            std::holds_alternative<core::Exited>(instance.state) && instance.history.last_exit &&
            core::is_success(worker->spec.policy, instance.history.last_exit->status);
        // Its own reload may have taken it down after the other was let go on, in the same turn.
        const auto* const stopping = std::get_if<core::Stopping>(&instance.state);
        const bool has_just_left =
            ((stopping != nullptr && stopping->since == now_) ||
             instance.hold == core::Hold::restart) &&
            fleet_->find(slot)->reload.phase == core::ReloadPhase::restarting;
        if (!core::is_ready(instance) && !has_ended_well && !has_just_left) return false;
    }
    return is_any_wanted;
}

void FakeShell::tick(Instant now) {
    now_ = now;
    const std::optional<Instant> deadline = fleet_->next_deadline();
    if (deadline && *deadline <= now) ++inputs_;
    fleet_->on_time(now);
    check_starts();
}

bool FakeShell::end_turn(Instant now) {
    changed_.clear();
    is_after_kill_ = has_recovered_;
    if (is_killed(now)) return false;
    if (!store(now)) return false;
    for (const core::SlotAction& item : fleet_->take_actions()) {
        if (is_killed(now)) return false;
        execute(item, now);
    }
    has_recovered_ = false;
    return true;
}

void FakeShell::recover(Instant now) {
    fleet_ = std::make_unique<core::Fleet>(bounds_, prng_.next());
    fleet_->set_parallel_starts(parallel_starts_);
    fleet_->restore_epoch(stored_.epoch);
    const bool is_table_first = prng_.chance(0.5);
    if (is_table_first) note_generations();
    for (const auto& worker : stored_.workers) {
        if (worker) fleet_->restore_worker(*worker);
    }
    for (const auto& place : stored_.places) {
        if (place) fleet_->restore_place(*place);
    }
    if (!is_table_first) note_generations();
    interrupted_.assign(bounds_.slots, false);
    for (std::uint32_t slot = 0; slot < bounds_.slots; ++slot) {
        const core::Place* const place = fleet_->find(Slot{slot});
        interrupted_[slot] =
            place != nullptr && std::holds_alternative<core::Starting>(place->instance.state);
    }
    fleet_->complete_restored(now);
    for (std::uint32_t slot = 0; slot < bounds_.slots; ++slot) {
        const core::Place* const place = fleet_->find(Slot{slot});
        if (place == nullptr) continue;
        known_[slot] = {place->worker, place->number, place->instance.generation,
                        place->instance.history.restarts};
    }
    for (std::uint32_t slot = 0; slot < bounds_.slots; ++slot) relist(Slot{slot}, now);
    has_recovered_ = true;
    tick(now);
}

void FakeShell::note_generations() {
    for (std::uint32_t slot = 0; slot < bounds_.slots; ++slot) {
        fleet_->note_generation(Slot{slot}, keeper_.record(Slot{slot}).generation);
    }
}

/// What the table says about a slot becomes events, or is cleaned up where nobody waits for it.
void FakeShell::relist(Slot slot, Instant now) {
    const FakeKeeper::Record& record = keeper_.record(slot);
    const core::Place* const place = fleet_->find(slot);
    const bool is_awaited = place != nullptr && core::is_occupied(place->instance.state);
    if (!is_awaited || place->instance.generation != record.generation) {
        if (record.leader_alive) broken_ = "a live run that no place stands for";
        if (record.state == FakeKeeper::RecordState::exited) {
            keeper_.release(slot, record.generation, now);
        }
    }
    if (is_awaited) relist_occupied(*place, now);
}

void FakeShell::relist_occupied(const core::Place& place, Instant now) {
    const Slot slot = place.slot;
    const core::Instance instance = place.instance;
    const Generation run = instance.generation;
    const FakeKeeper::Record& record = keeper_.record(slot);
    if (record.generation != run) {
        // The predecessor died between storing the decision and executing it.
        if (std::holds_alternative<core::Starting>(instance.state)) {
            // What this life has decided is stored first, like everything.
            if (interrupted_[slot.value]) keeper_.spawn(slot, run, now);
        } else {
            deliver({slot, core::event::ProcessExited{run, {}, false}}, now);
        }
        return;
    }
    if (record.state == FakeKeeper::RecordState::free) {
        broken_ = "a run was released that its place still stands for";
    } else if (record.status.kind == core::ExitStatus::Kind::spawn_failed) {
        const core::ExitStatus& status = record.status;
        deliver({slot, core::event::SpawnFailed{run, status.op, status.value}}, now);
    } else if (record.state == FakeKeeper::RecordState::exited) {
        deliver({slot, core::event::ProcessExited{run, record.status, record.group_alive}}, now);
    } else {
        deliver({slot, core::event::SpawnSucceeded{run}}, now);
        if (record.is_ready) deliver({slot, core::event::BecameReady{run}}, now);
        if (std::holds_alternative<core::Stopping>(instance.state)) {
            keeper_.signal(slot, run, fleet_->spec_of(place).policy.stop_signal, now);
        }
    }
}

/// False: killed on the way. The order is the supervisor's.
bool FakeShell::store(Instant now) {
    stored_.epoch = fleet_->last_epoch();
    const std::vector<std::uint32_t> workers = fleet_->take_dirty_workers();
    for (const std::uint32_t index : workers) {
        const core::Worker* const worker = fleet_->worker(index);
        if (worker == nullptr) continue;
        if (is_killed(now)) return false;
        stored_.workers[index] = *worker;
    }
    for (const Slot slot : fleet_->take_dirty_slots()) {
        if (is_killed(now)) return false;
        changed_.push_back(slot);
        const core::Place* const place = fleet_->find(slot);
        if (place != nullptr) {
            stored_.places[slot.value] = *place;
        } else {
            stored_.places[slot.value].reset();
        }
    }
    for (const std::uint32_t index : workers) {
        if (fleet_->worker(index) == nullptr) stored_.workers[index].reset();
    }
    return true;
}

void FakeShell::execute(const core::SlotAction& item, Instant now) {
    if (const auto* signal = std::get_if<core::action::Signal>(&item.action)) {
        // A successor may end what its predecessor had stored and not spawned: it is refused.
        const bool is_refused =
            has_recovered_ && signal->generation > keeper_.record(item.slot).generation;
        if (is_refused) return;
    }
    if (const auto* spawn = std::get_if<core::action::Spawn>(&item.action)) {
        const core::Place* const place = fleet_->find(item.slot);
        const bool is_wanted = place != nullptr && core::is_occupied(place->instance.state) &&
                               place->instance.generation == spawn->generation;
        if (!is_wanted) return;  // a successor may have learnt better in the same turn
        keeper_.spawn(item.slot, spawn->generation, now);
    } else if (const auto* signal = std::get_if<core::action::Signal>(&item.action)) {
        keeper_.signal(item.slot, signal->generation, signal->signal, now);
    } else if (const auto* told = std::get_if<core::action::SignalLeader>(&item.action)) {
        keeper_.tell(item.slot, told->generation, now);
    } else if (const auto* release = std::get_if<core::action::Release>(&item.action)) {
        keeper_.release(item.slot, release->generation, now);
    }
}

bool FakeShell::is_killed(Instant now) {
    const bool is_chosen = ++boundaries_ == kill_at_;
    const bool is_unlucky = kill_probability_ > 0 && prng_.chance(kill_probability_);
    if (!is_chosen && !is_unlucky) return false;
    trace_.note("supervisor killed", {}, 0, 0, now);
    ++deaths_;
    is_after_kill_ = true;
    keeper_.drop_messages();
    return true;
}

}  // namespace cluster::sim
