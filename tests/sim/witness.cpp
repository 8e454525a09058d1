#include "sim/witness.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <utility>

#include "sim/operator.hpp"

namespace cluster::sim {

namespace {

using std::chrono_literals::operator""s;

/// stop_timeout, then KILL at kKillInterval until one of them leaves nobody, reports that come
/// late, and a supervisor that dies meanwhile.
constexpr Duration kLongestStop = 120s;

/// Not by its policy, which waits for nobody.
bool is_by_command(const core::Stopping& stopping) {
    return stopping.reason == core::ExitReason::stopped ||
           stopping.reason == core::ExitReason::killed;
}

/// The instance stays wanted, whatever becomes of this place of it.
bool has_wanted_current(const Stored& stored, const core::Place& place) {
    return std::any_of(stored.places.begin(), stored.places.end(), [&](const auto& other) {
        return other && other->worker == place.worker && other->number == place.number &&
               other->role == core::Role::current && other->instance.desired == core::Desired::up;
    });
}

bool is_same_record(const core::Place& a, const core::Place& b) {
    return a.worker == b.worker && a.number == b.number && a.slot == b.slot && a.role == b.role &&
           a.revision == b.revision && a.reload == b.reload && a.instance == b.instance;
}

/// Between spawn and ready.
bool is_coming_up(const core::Place* place) {
    if (place == nullptr) return false;
    const auto* const running = std::get_if<core::Running>(&place->instance.state);
    return std::holds_alternative<core::Starting>(place->instance.state) ||
           (running != nullptr && !running->ready_at);
}

bool is_in_progress(core::ReloadPhase phase) {
    return phase != core::ReloadPhase::none && phase != core::ReloadPhase::queued;
}

bool has_begun(core::ReloadPhase before, core::ReloadPhase now) {
    return !is_in_progress(before) && is_in_progress(now);
}

}  // namespace

std::string Witness::watch(const FakeShell& shell, Instant now) {
    // All of them before anything of this turn is remembered.
    for (const Slot slot : shell.changed()) {
        const auto& place = shell.stored().places[slot.value];
        if (!place || !shell.stored().workers[place->worker]) continue;
        // What a kill cut off in the middle of being stored is half a command.
        std::string disorder = shell.is_after_kill() ? "" : watch_order(shell.stored(), *place);
        if (disorder.empty()) disorder = watch_reload(shell.stored(), *place, now);
        const bool begins = has_begun(seen_[slot.value].phase, place->reload.phase);
        if (disorder.empty() && begins && !shell.is_after_kill()) {
            disorder = watch_pace(shell.stored(), *place);
        }
        if (!disorder.empty()) return disorder + ", slot " + std::to_string(slot.value);
    }
    for (const Slot slot : shell.changed()) {
        const auto& place = shell.stored().places[slot.value];
        if (!place) {
            seen_[slot.value] = {};
            continue;
        }
        const auto& worker = shell.stored().workers[place->worker];
        if (!worker) return "a stored place of no stored worker";
        const bool is_fatal =
            worker->spec.policy.restart_limit.then == core::RestartLimit::Then::fatal;
        std::string broken = watch_place(*place, is_fatal, now);
        remember(*place);
        if (!broken.empty()) return broken + ", slot " + std::to_string(slot.value);
    }
    return "";
}

void Witness::remember(const core::Place& place) {
    Seen& seen = seen_[place.slot.value];
    const core::Instance& instance = place.instance;
    seen.role = place.role;
    seen.phase = place.reload.phase;
    seen.generation = instance.generation;
    seen.was_up = std::holds_alternative<core::Starting>(instance.state) ||
                  std::holds_alternative<core::Running>(instance.state);
}

bool Witness::has_leaving_dependent(const Stored& stored, const std::string& name) const {
    for (const auto& place : stored.places) {
        if (!place || !stored.workers[place->worker]) continue;
        const std::vector<std::string>& names = stored.workers[place->worker]->spec.requirements;
        if (std::find(names.begin(), names.end(), name) == names.end()) continue;
        if (!core::is_occupied(place->instance.state)) continue;
        if (place->instance.desired != core::Desired::down) continue;
        // Given up by its own reload, or replaced by it, in the very turn: after the commands of
        // that turn, and nobody asked its instance to leave.
        const bool is_of_reload = place->role == core::Role::retired &&
                                  seen_[place->slot.value].role != core::Role::retired &&
                                  has_wanted_current(stored, *place);
        if (!is_of_reload) return true;
    }
    return false;
}

std::string Witness::watch_order(const Stored& stored, const core::Place& place) const {
    const Seen& seen = seen_[place.slot.value];
    const core::Instance& instance = place.instance;
    // On one that never was the instance nobody relies.
    const bool is_same_place = seen.worker == place.worker && seen.number == place.number &&
                               seen.role != core::Role::incoming;
    const auto* const stopping = std::get_if<core::Stopping>(&instance.state);
    const bool is_new_run = instance.generation > seen.generation;
    const bool is_told_to_stop = is_same_place && seen.was_up && !is_new_run &&
                                 stopping != nullptr && !stopping->leader_gone &&
                                 is_by_command(*stopping) &&
                                 instance.desired == core::Desired::down;
    const core::Worker& worker = *stored.workers[place.worker];
    if (is_told_to_stop && has_leaving_dependent(stored, worker.spec.name)) {
        return "a stop before those that require it have left";
    }
    return "";
}

std::string Witness::watch_reload(const Stored& stored, const core::Place& place,
                                  Instant now) const {
    const Seen& seen = seen_[place.slot.value];
    const core::Worker& worker = *stored.workers[place.worker];
    const bool is_same_place = seen.worker == place.worker && seen.number == place.number;
    if (!is_same_place || worker.is_deleted || place.number >= worker.spec.instances) return "";
    const bool is_replaced =
        place.role == core::Role::retired && seen.role == core::Role::current && seen.was_up;
    if (is_replaced) {
        const bool has_successor =
            std::any_of(stored.places.begin(), stored.places.end(), [&](const auto& other) {
                if (!other || other->worker != place.worker || other->number != place.number) {
                    return false;
                }
                // Stored but for its part that says so, or its own turn has come at once.
                const bool is_half_stored =
                    other->role == core::Role::incoming && core::is_occupied(other->instance.state);
                const bool is_next = other->reload.phase == core::ReloadPhase::restarting;
                return is_half_stored || (other->role == core::Role::current &&
                                          (core::is_ready(other->instance) || is_next));
            });
        if (!has_successor) return "a reload took down an old run that nobody had replaced";
    }
    const auto* const stopping = std::get_if<core::Stopping>(&place.instance.state);
    const bool is_taken_down = place.reload.phase == core::ReloadPhase::restarting &&
                               seen.phase != place.reload.phase && stopping != nullptr &&
                               stopping->since == now && seen.was_up;
    if (is_taken_down && worker.spec.reload.mode == core::ReloadSpec::Mode::overlap) {
        return "an overlapping reload stopped the old run first";
    }
    return "";
}

/// Of what `batch` and `surge` promise, at the moment at which the reload of an instance begins.
std::string Witness::watch_pace(const Stored& stored, const core::Place& begun) {
    const core::ReloadSpec& reload = stored.workers[begun.worker]->spec.reload;
    std::uint32_t in_progress = 0;
    std::uint32_t beyond = 0;  // processes that there are more than instances
    for (const auto& place : stored.places) {
        if (!place || place->worker != begun.worker) continue;
        const bool is_current = place->role == core::Role::current;
        if (is_current && is_in_progress(place->reload.phase)) ++in_progress;
        if (!is_current) ++beyond;
    }
    if (in_progress > reload.batch) return "a reload of more at a time than its batch";
    if (begun.reload.phase == core::ReloadPhase::overlapping && beyond > reload.surge) {
        return "a reload with more processes than its surge";
    }
    return "";
}

std::string Witness::watch_place(const core::Place& place, bool is_fatal, Instant now) {
    Seen& seen = seen_[place.slot.value];
    const core::History& history = place.instance.history;
    if (seen.worker != place.worker || seen.number != place.number ||
        history.restarts < seen.restarts) {
        seen = {};
    }
    seen.worker = place.worker;
    seen.number = place.number;
    for (; seen.restarts < history.restarts; ++seen.restarts) seen.times.push_back(now);
    if (history.last_exit && history.last_exit->status.value == EAGAIN &&
        history.last_exit->status.kind == core::ExitStatus::Kind::spawn_failed) {
        seen.had_shortage = true;
    }
    const core::RestartLimit limit = simulated_limit(core::RestartLimit::Then::fatal);
    while (!seen.times.empty() && now - seen.times.front() >= limit.window) seen.times.pop_front();
    if (is_fatal && !seen.had_shortage && seen.times.size() > limit.count) {
        return "more automatic restarts in the window than allowed";
    }
    return "";
}

std::string Witness::watch_room(const FakeShell& shell) {
    const std::uint32_t limit = shell.parallel_starts();
    if (limit == 0) return "";
    const std::uint32_t before = coming_up_;
    const auto look_at = [&](Slot slot) {
        coming_up_ -= is_coming_up_[slot.value] ? 1U : 0U;
        is_coming_up_[slot.value] = is_coming_up(shell.fleet().find(slot));
        coming_up_ += is_coming_up_[slot.value] ? 1U : 0U;
    };
    if (shell.is_after_kill()) {  // not all that changed was stored, and this is another fleet
        for (std::uint32_t slot = 0; slot < seen_.size(); ++slot) look_at(Slot{slot});
        return "";
    }
    for (const Slot slot : shell.changed()) look_at(slot);
    return coming_up_ > std::max(limit, before) ? "too many starts at a time" : "";
}

std::string Witness::inspect_stored(const FakeShell& shell) {
    const Stored& stored = shell.stored();
    for (std::uint32_t slot = 0; slot < stored.places.size(); ++slot) {
        const core::Place* const place = shell.fleet().find(Slot{slot});
        const auto& record = stored.places[slot];
        const bool is_same = place == nullptr || !record ? (place == nullptr) == !record
                                                         : is_same_record(*place, *record);
        if (!is_same) return "a place changed and was not listed, slot " + std::to_string(slot);
    }
    return "";
}

std::string Witness::inspect(const core::Fleet& fleet, Instant now) const {
    std::vector<bool> is_taken(seen_.size(), false);
    for (const core::Worker* const worker : fleet.workers()) {
        const std::string broken = inspect_worker(fleet, *worker, is_taken);
        if (!broken.empty()) return broken;
    }
    bool is_idle = true;
    for (const core::Place* const place : fleet.places()) {
        if (fleet.worker(place->worker) == nullptr) return "a place of no worker";
        if (place->role != core::Role::current) {
            if (is_taken[place->slot.value]) return "a slot shared by two places";
            is_taken[place->slot.value] = true;
            const bool is_retired = place->role == core::Role::retired;
            if (is_retired && place->instance.desired == core::Desired::up) {
                return "a retired place wanted up";
            }
        }
        is_idle = is_idle && !core::is_occupied(place->instance.state);
        const auto* const stopping = std::get_if<core::Stopping>(&place->instance.state);
        if (stopping != nullptr && now - stopping->since > kLongestStop) {
            return "a stop that does not end, slot " + std::to_string(place->slot.value);
        }
    }
    for (std::uint32_t slot = 0; slot < is_taken.size(); ++slot) {
        if (!is_taken[slot] && keeper_.record(Slot{slot}).leader_alive) {
            return "a live run in a free slot";
        }
    }
    if (is_idle != fleet.is_idle()) return "is_idle() does not say what is";
    return "";
}

std::string Witness::inspect_worker(const core::Fleet& fleet, const core::Worker& worker,
                                    std::vector<bool>& is_taken) const {
    if (worker.slots.size() != worker.spec.instances) return "not as many slots as instances";
    for (std::uint32_t number = 0; number < worker.slots.size(); ++number) {
        const core::Place* const place = fleet.find(worker.slots[number]);
        if (place == nullptr) return "an instance without a place";
        if (place->number != number || place->worker != worker.index ||
            place->role != core::Role::current) {
            return "a place that is not the one of its number";
        }
        if (is_taken[place->slot.value]) return "a slot shared by two places";
        is_taken[place->slot.value] = true;
    }
    return "";
}

std::string Witness::inspect_calm(const core::Fleet& fleet) const {
    for (const core::Place* const place : fleet.places()) {
        const std::string broken = inspect_calm_place(fleet, *place);
        if (!broken.empty()) return broken + ", slot " + std::to_string(place->slot.value);
    }
    for (std::uint32_t slot = 0; slot < seen_.size(); ++slot) {
        const FakeKeeper::Record& record = keeper_.record(Slot{slot});
        if (record.state == FakeKeeper::RecordState::exited) return "an exit that nobody released";
    }
    if (fleet.next_deadline()) return "a deadline in a settled fleet";
    const FakeKeeper::Counts& counts = keeper_.counts();
    if (counts.released != counts.reaped + counts.failed) return "not one release per end of a run";
    return "";
}

std::string Witness::inspect_calm_place(const core::Fleet& fleet, const core::Place& place) const {
    const core::Instance& instance = place.instance;
    const FakeKeeper::Record& record = keeper_.record(place.slot);
    if (instance.outcome == core::Outcome::pending) return "an operation still pending in the calm";
    if (place.role == core::Role::retired) return "a retired place that stays";
    if (place.role == core::Role::incoming) return "an incoming place that stays";
    if (place.reload.phase != core::ReloadPhase::none) return "a reload that does not end";
    if (instance.hold != core::Hold::none) return "a hold that stays";
    if (instance.desired == core::Desired::down) {
        if (!std::holds_alternative<core::Stopped>(instance.state)) return "wanted down, but up";
    } else if (const auto* running = std::get_if<core::Running>(&instance.state)) {
        if (!running->is_good) return "running in the calm, but not good";
        if (!record.leader_alive || record.generation != instance.generation) {
            return "shown running, but no such process";
        }
        return "";
    } else if (std::holds_alternative<core::Waiting>(instance.state)) {
        const core::WaitsFor waits = fleet.waits_for(place);
        if (waits.for_room) return "waiting for room in the calm";
        if (waits.failed.empty()) return "waiting in the calm for what has not failed";
        if (instance.outcome == core::Outcome::pending) return "waiting, and not told why";
    } else if (!std::holds_alternative<core::Exited>(instance.state) &&
               !std::holds_alternative<core::Fatal>(instance.state)) {
        return "wanted up, but neither running nor given up";
    }
    return record.leader_alive ? "at rest, but a process lives" : "";
}

}  // namespace cluster::sim
