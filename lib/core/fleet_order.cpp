// In which order instances start and stop: requirements first, dependents first, and never more
// starts at a time than parallel_starts allows.
//
// Who waits is a state of the instance (Waiting, Instance::hold); whether it may go on is derived
// here from the others' states, once a turn, in the order of workers() and instance numbers.
#include <algorithm>
#include <utility>

#include "core/fleet.hpp"

namespace cluster::core {

namespace {

/// It did what it was there for, and nobody wants more of it.
bool has_succeeded(const Policy& policy, const Instance& instance) {
    return std::holds_alternative<Exited>(instance.state) && instance.history.last_exit &&
           is_success(policy, instance.history.last_exit->status);
}

/// It is down and will not come up soon by itself.
bool has_failed(const Policy& policy, const Instance& instance) {
    const bool is_told = instance.outcome == Outcome::failed;
    return std::holds_alternative<Fatal>(instance.state) ||
           (std::holds_alternative<Exited>(instance.state) && !has_succeeded(policy, instance)) ||
           (std::holds_alternative<BackingOff>(instance.state) && is_told) ||
           (std::holds_alternative<Waiting>(instance.state) && is_told);
}

/// Its end has been asked for, now or as soon as others have left.
bool is_going(const Instance& instance) {
    return is_occupied(instance.state) &&
           (instance.desired == Desired::down || instance.hold != Hold::none ||
            std::holds_alternative<Stopping>(instance.state));
}

}  // namespace

// --- commands ---

void Fleet::start(Slot slot, Instant now) {
    start(std::vector<Slot>{slot}, now);
}

void Fleet::stop(Slot slot, Instant now) {
    stop(std::vector<Slot>{slot}, now);
}

void Fleet::restart(Slot slot, Instant now) {
    restart(std::vector<Slot>{slot}, now);
}

void Fleet::start(const std::vector<Slot>& slots, Instant now) {
    std::vector<Slot> wanted = live_places(slots);
    add_requirements(wanted);
    sort_requirements_first(wanted);
    for (const Slot slot : wanted) start_place(*places_[slot.value], now);
}

/// What is up already keeps the run that it has.
void Fleet::start_place(Place& place, Instant now) {
    const State& state = place.instance.state;
    if (!std::holds_alternative<Starting>(state) && !std::holds_alternative<Running>(state)) {
        take_newest_spec(place);
    }
    apply(place, event::Start{last_epoch_}, now);
}

void Fleet::restart(const std::vector<Slot>& slots, Instant now) {
    std::vector<Slot> named = live_places(slots);
    std::vector<bool> is_named(places_.size(), false);
    for (const Slot slot : named) is_named[slot.value] = true;
    name_incoming(named, is_named);
    std::vector<Slot> wanted = named;
    add_requirements(wanted);
    sort_requirements_first(wanted);
    for (const Slot slot : wanted) {
        Place& place = *places_[slot.value];
        if (is_named[slot.value]) {
            cancel_reload(place, now);
            apply(place, event::Restart{last_epoch_, is_blocked(place, is_named)}, now);
            take_newest_spec(place);
        } else {
            start_place(place, now);
        }
    }
}

void Fleet::stop(const std::vector<Slot>& slots, Instant now) {
    std::vector<bool> is_named(places_.size(), false);
    std::vector<Slot> named;
    for (const Slot slot : slots) {
        if (find(slot) == nullptr || is_named[slot.value]) continue;
        is_named[slot.value] = true;
        named.push_back(slot);
    }
    add_dependents(named, is_named);
    name_incoming(named, is_named);
    for (const Slot slot : named) {
        Place* const place = this->place(slot);
        if (place == nullptr) continue;  // it came in for one of those before it
        cancel_reload(*place, now);
        apply(*place, event::Stop{last_epoch_, is_blocked(*place, is_named)}, now);
    }
}

void Fleet::remove(const std::vector<std::uint32_t>& workers, Instant now) {
    std::vector<std::uint32_t> order = workers;
    if (requiring_ > 0) {
        const std::vector<std::uint32_t> depths = requirement_depths();
        std::stable_sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
            return a < depths.size() && b < depths.size() && depths[a] > depths[b];
        });
    }
    for (const std::uint32_t index : order) remove(index, now);
}

void Fleet::set_parallel_starts(std::uint32_t count) {
    parallel_starts_ = count;
    may_proceed_ = true;
}

// --- which instances a command is about ---

/// Those of `slots` that stand for an instance which may be started, each once.
std::vector<Slot> Fleet::live_places(const std::vector<Slot>& slots) const {
    std::vector<bool> is_seen(places_.size(), false);
    std::vector<Slot> live;
    for (const Slot slot : slots) {
        const Place* const place = find(slot);
        if (place == nullptr || place->role != Role::current || is_seen[slot.value]) continue;
        is_seen[slot.value] = true;
        live.push_back(slot);
    }
    return live;
}

/// What the workers of `slots` require or want, and what that does, as far as it is down: all
/// instances of a worker of which none is wanted up, else those that failed.
void Fleet::add_requirements(std::vector<Slot>& slots) const {
    if (requiring_ == 0) return;
    std::vector<bool> is_visited(entries_.size(), false);
    std::vector<const Worker*> visited;
    const auto visit = [&](const Worker& worker) {
        if (is_visited[worker.index]) return false;
        is_visited[worker.index] = true;
        visited.push_back(&worker);
        return true;
    };
    for (const Slot slot : slots) visit(entries_[find(slot)->worker]->worker);
    for (std::size_t i = 0; i < visited.size(); ++i) {
        for (const auto* names : {&visited[i]->spec.requirements, &visited[i]->spec.wants}) {
            for (const std::string& name : *names) {
                const Worker* const needed = find_worker(name);
                if (needed != nullptr && visit(*needed)) add_down_instances(*needed, slots);
            }
        }
    }
}

void Fleet::add_down_instances(const Worker& worker, std::vector<Slot>& slots) const {
    const bool is_down = !is_wanted_up(worker);
    for (const Slot slot : worker.slots) {
        const Place* const place = find(slot);
        if (place == nullptr) continue;
        if (is_down || has_failed(worker.spec.policy, place->instance)) slots.push_back(slot);
    }
}

/// Workers that require one of which nothing stays wanted up go with it.
void Fleet::add_dependents(std::vector<Slot>& slots, std::vector<bool>& is_named) const {
    if (requiring_ == 0) return;
    std::vector<bool> is_visited(entries_.size(), false);
    for (std::size_t i = 0; i < slots.size(); ++i) {
        const Place& place = *find(slots[i]);
        const Worker& worker = entries_[place.worker]->worker;
        if (place.role != Role::current || is_visited[worker.index]) continue;
        const bool stays = std::any_of(worker.slots.begin(), worker.slots.end(), [&](Slot slot) {
            const Place* const other = find(slot);
            return other != nullptr && !is_named[slot.value] &&
                   other->instance.desired == Desired::up;
        });
        if (stays) continue;  // a later round may take the rest of it, too
        is_visited[worker.index] = true;
        for (const Worker* const dependent : dependents_of(worker.spec.name)) {
            for (const Slot slot : dependent->slots) {
                const Place* const other = find(slot);
                if (other == nullptr || is_named[slot.value]) continue;
                if (other->instance.desired == Desired::down) continue;
                is_named[slot.value] = true;
                slots.push_back(slot);
            }
        }
    }
}

/// The other slots of instances that are being reloaded go with them.
void Fleet::name_incoming(const std::vector<Slot>& slots, std::vector<bool>& is_named) const {
    for (const Slot slot : slots) {
        const Place* const other = incoming(*find(slot));
        if (other != nullptr) is_named[other->slot.value] = true;
    }
}

/// By worker index: how long the longest chain of those that come before it is.
std::vector<std::uint32_t> Fleet::requirement_depths() const {
    std::vector<std::uint32_t> depths(entries_.size(), 0);
    bool has_changed = true;
    // A chain is never longer than the number of workers that require something, unless it is a
    // cycle; those are refused before they come here, and would end all the same.
    for (std::uint32_t round = 0; has_changed && round < requiring_; ++round) {
        has_changed = false;
        for (const std::uint32_t index : order_) {
            for (const auto* names : {&entries_[index]->required, &entries_[index]->awaited}) {
                for (const Name* const name : *names) {
                    if (!name->worker || depths[index] > depths[*name->worker]) continue;
                    depths[index] = depths[*name->worker] + 1;
                    has_changed = true;
                }
            }
        }
    }
    return depths;
}

void Fleet::sort_requirements_first(std::vector<Slot>& slots) const {
    if (requiring_ == 0) return;
    const std::vector<std::uint32_t> depths = requirement_depths();
    std::stable_sort(slots.begin(), slots.end(), [&](Slot a, Slot b) {
        return depths[find(a)->worker] < depths[find(b)->worker];
    });
}

// --- gates ---

/// True while an instance of a worker that comes after this one has still to leave before it:
/// it is going already, or (by slot) it is about to.
bool Fleet::is_blocked(const Place& place, const std::vector<bool>& is_about_to) const {
    if (requiring_ == 0) return false;
    const std::vector<std::uint32_t>& followers = entries_[place.worker]->name->followers;
    return std::any_of(followers.begin(), followers.end(), [&](std::uint32_t follower) {
        return has_to_leave(entries_[follower]->worker, is_about_to);
    });
}

bool Fleet::has_to_leave(const Worker& dependent, const std::vector<bool>& is_about_to) const {
    const auto is_in_the_way = [&](Slot slot) {
        const Place* const place = find(slot);
        if (place == nullptr || !is_occupied(place->instance.state)) return false;
        return is_going(place->instance) ||
               (slot.value < is_about_to.size() && is_about_to[slot.value]);
    };
    const Entry& entry = *entries_[dependent.index];
    return std::any_of(dependent.slots.begin(), dependent.slots.end(), is_in_the_way) ||
           std::any_of(entry.incoming.begin(), entry.incoming.end(), is_in_the_way) ||
           std::any_of(entry.retired.begin(), entry.retired.end(), is_in_the_way);
}

Fleet::Standing Fleet::standing_of(const Name& name) const {
    if (!name.worker) return {};
    const Entry& entry = *entries_[*name.worker];
    if (!entry.standing) entry.standing = find_standing(entry.worker);
    return *entry.standing;
}

Fleet::Standing Fleet::find_standing(const Worker& worker) const {
    const Policy& policy = worker.spec.policy;
    bool is_any_wanted = false;
    bool has_any_failed = false;
    bool are_all_met = true;
    Standing standing;
    for (const Slot slot : worker.slots) {
        const Place* const place = find(slot);
        if (place == nullptr || place->instance.desired == Desired::down) continue;
        const Instance& instance = place->instance;
        is_any_wanted = true;
        if (is_ready(instance) || has_succeeded(policy, instance)) continue;
        are_all_met = false;
        if (has_failed(policy, instance)) {
            has_any_failed = true;
        } else if (!std::holds_alternative<BackingOff>(instance.state)) {
            standing.is_on_its_way = true;  // one that waits for its next try has been tried
        }
    }
    if (!is_any_wanted || has_any_failed) {
        standing.requirement = Requirement::failed;
    } else {
        standing.requirement = are_all_met ? Requirement::met : Requirement::not_yet;
    }
    return standing;
}

bool Fleet::has_room() const {
    return parallel_starts_ == 0 || coming_up_ < parallel_starts_;
}

/// Of all that the worker comes after.
Fleet::Requirement Fleet::requirement_of(const Entry& entry) const {
    Requirement result = Requirement::met;
    for (const Name* const name : entry.required) {
        const Requirement one = standing_of(*name).requirement;
        if (one == Requirement::failed) return one;
        if (one != Requirement::met) result = one;
    }
    const bool is_early =
        std::any_of(entry.awaited.begin(), entry.awaited.end(),
                    [this](const Name* name) { return standing_of(*name).is_on_its_way; });
    return is_early ? Requirement::not_yet : result;
}

Gate Fleet::gate_of(const Place& place) const {
    const bool are_met = requirement_of(*entries_[place.worker]) == Requirement::met;
    return {are_met, has_room(), place.role != Role::incoming};
}

/// Everything that waits and need not any more goes on.
void Fleet::let_proceed(Instant now) {
    while (std::exchange(may_proceed_, false) && held_back_ > 0) {
        // Nothing comes or goes meanwhile: whoever goes on starts, or is told to end.
        for (const std::uint32_t index : order_) {
            const Entry& entry = *entries_[index];
            if (entry.held_back == 0) continue;
            const Requirement requirement = requirement_of(entry);
            for (const auto* slots : {&entry.worker.slots, &entry.incoming, &entry.retired}) {
                for (const Slot slot : *slots) {
                    Place* const place = this->place(slot);
                    const bool waits = place != nullptr && is_held_back(place->instance);
                    if (waits) consider(*place, requirement, now);
                }
            }
        }
    }
}

/// `requirement`: of its worker.
void Fleet::consider(Place& place, Requirement requirement, Instant now) {
    const Instance& instance = place.instance;
    const auto* const waiting = std::get_if<Waiting>(&instance.state);
    if (waiting == nullptr) {
        if (!is_blocked(place, {})) apply(place, event::Proceed{}, now);
    } else if (has_room() && (waiting->is_automatic || requirement == Requirement::met)) {
        apply(place, event::Proceed{}, now);
    } else if (!waiting->is_automatic && instance.outcome == Outcome::pending &&
               requirement == Requirement::failed) {
        apply(place, event::RequirementFailed{}, now);
    }
}

WaitsFor Fleet::waits_for(const Place& place) const {
    WaitsFor result;
    const core::WorkerSpec& spec = entries_[place.worker]->worker.spec;
    if (place.instance.hold != Hold::none) {
        for (const Worker* const dependent : followers_of(spec.name)) {
            if (has_to_leave(*dependent, {})) result.workers.push_back(dependent->spec.name);
        }
    }
    const auto* const waiting = std::get_if<Waiting>(&place.instance.state);
    if (waiting == nullptr) return result;
    result.for_room = !has_room();
    if (waiting->is_automatic) return result;
    for (const std::string& name : spec.requirements) {
        const Requirement state = standing_of(names_.find(name)->second).requirement;
        if (state != Requirement::met) result.workers.push_back(name);
        if (state == Requirement::failed && result.failed.empty()) result.failed = name;
    }
    for (const auto* names : {&spec.wants, &spec.after}) {
        for (const std::string& name : *names) {
            const bool is_named = std::find(result.workers.begin(), result.workers.end(), name) !=
                                  result.workers.end();
            if (is_named || !standing_of(names_.find(name)->second).is_on_its_way) continue;
            result.workers.push_back(name);
        }
    }
    return result;
}

}  // namespace cluster::core
