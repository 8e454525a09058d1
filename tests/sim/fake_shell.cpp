#include "sim/fake_shell.hpp"

#include <algorithm>

namespace cluster::sim {

FakeShell::FakeShell(core::Fleet::Bounds bounds, std::uint64_t seed, FakeKeeper& keeper,
                     Trace& trace)
    : bounds_(bounds),
      prng_(seed),
      keeper_(keeper),
      trace_(trace),
      fleet_(std::make_unique<core::Fleet>(bounds, prng_.next())) {
    stored_.workers.resize(bounds.workers);
    stored_.places.resize(bounds.slots);
}

void FakeShell::deliver(const Delivery& delivery, Instant now) {
    ++inputs_;
    trace_.note("event", delivery.slot, 0, static_cast<std::int64_t>(delivery.event.index()), now);
    fleet_->on_event(delivery.slot, delivery.event, now);
}

void FakeShell::tick(Instant now) {
    const std::optional<Instant> deadline = fleet_->next_deadline();
    if (!deadline || *deadline > now) return;
    ++inputs_;
    fleet_->on_time(now);
}

bool FakeShell::end_turn(Instant now) {
    changed_.clear();
    if (is_killed(now)) return false;
    store();
    for (const core::SlotAction& item : fleet_->take_actions()) {
        if (is_killed(now)) return false;
        execute(item, now);
    }
    return true;
}

void FakeShell::recover(Instant now) {
    fleet_ = std::make_unique<core::Fleet>(bounds_, prng_.next());
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
    for (std::uint32_t slot = 0; slot < bounds_.slots; ++slot) relist(Slot{slot}, now);
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
            keeper_.spawn(slot, run, now);
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
        if (std::holds_alternative<core::Stopping>(instance.state)) {
            const core::Worker* const worker = fleet_->worker(place.worker);
            keeper_.signal(slot, run, worker->spec.policy.stop_signal, now);
        }
    }
}

void FakeShell::store() {
    stored_.epoch = fleet_->last_epoch();
    for (const std::uint32_t index : fleet_->take_dirty_workers()) {
        const core::Worker* const worker = fleet_->worker(index);
        stored_.workers[index].reset();
        if (worker != nullptr) stored_.workers[index] = *worker;
    }
    changed_ = fleet_->take_dirty_slots();
    for (const Slot slot : changed_) {
        const core::Place* const place = fleet_->find(slot);
        if (place != nullptr) {
            stored_.places[slot.value] = *place;
        } else {
            stored_.places[slot.value].reset();
        }
    }
}

void FakeShell::execute(const core::SlotAction& item, Instant now) {
    if (const auto* spawn = std::get_if<core::action::Spawn>(&item.action)) {
        keeper_.spawn(item.slot, spawn->generation, now);
    } else if (const auto* signal = std::get_if<core::action::Signal>(&item.action)) {
        keeper_.signal(item.slot, signal->generation, signal->signal, now);
    } else if (const auto* release = std::get_if<core::action::Release>(&item.action)) {
        keeper_.release(item.slot, release->generation, now);
    }
}

bool FakeShell::is_killed(Instant now) {
    if (kill_probability_ == 0 || !prng_.chance(kill_probability_)) return false;
    trace_.note("supervisor killed", {}, 0, 0, now);
    ++deaths_;
    keeper_.drop_messages();
    return true;
}

}  // namespace cluster::sim
