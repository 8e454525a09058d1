#include "sim/reload_cases.hpp"

#include <chrono>
#include <ostream>
#include <variant>

#include "sim/operator.hpp"

namespace cluster::sim {

namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

constexpr core::Fleet::Bounds kBounds{12, 2};
constexpr Instant kStart = from_ns(1'000'000'000'000);
constexpr std::uint64_t kSeed = 7;
/// A start that is never ready, a backoff, and a second reload after that.
constexpr Duration kLongest = 300s;
constexpr core::ExitStatus kBadly{core::ExitStatus::Kind::code, 1, Op::none, false};
constexpr core::ExitStatus kWell{core::ExitStatus::Kind::code, 0, Op::none, false};
constexpr core::ExitStatus kKilled{core::ExitStatus::Kind::signal, 9, Op::none, false};

}  // namespace

const char* blow_name(Blow blow) {
    constexpr const char* kNames[] = {
        "nothing happens", "exits with 1", "exits with 0", "is killed", "says that it leaves",
        "holds too much memory", "hangs", "is reported again", "the next spawn is refused",
        "the next program is not found", "the next run crashes at once",
        "the next run is never ready", "stop of one", "restart of one", "start of one",
        "reset of one", "stop", "restart", "scale down", "scale up", "delete", "reload again",
        "reload --force", "update"};
    return kNames[static_cast<std::size_t>(blow)];
}

Aim aim_of(Blow blow) {
    if (blow >= Blow::exits_badly && blow <= Blow::is_told_again) return Aim::slot;
    if (blow >= Blow::stop_one && blow <= Blow::reset_one) return Aim::instance;
    return Aim::nobody;
}

std::string describe(const ReloadCase& played) {
    std::string text = played.shape.name + ", step " + std::to_string(played.step) + ": ";
    text += blow_name(played.blow);
    if (aim_of(played.blow) == Aim::slot) text += ", slot " + std::to_string(played.target);
    if (aim_of(played.blow) == Aim::instance) text += ", a." + std::to_string(played.target);
    if (played.boundary == 0) return text;
    return text + "; the supervisor is killed at boundary " + std::to_string(played.boundary);
}

ReloadStage::ReloadStage(const ReloadCase& played)
    : case_(played),
      keeper_(kBounds.slots, kSeed, trace_),
      shell_(kBounds, kSeed, keeper_, trace_),
      witness_(kBounds.slots, keeper_),
      now_(kStart) {}

ReloadStage::Result ReloadStage::play() {
    come_up();
    is_reloading_ = true;
    const std::uint64_t boundaries_before = shell_.boundaries();
    if (case_.boundary != 0) shell_.kill_at(boundaries_before + case_.boundary);
    for (std::optional<Instant> due = now_; due && result_.broken.empty(); due = next_time()) {
        const std::uint64_t passed = shell_.boundaries() - boundaries_before;
        if (step_ == case_.step) result_.first_boundary = passed + 1;
        now_ = std::max(now_, *due);
        if (now_ > kStart + kLongest) note_broken("the reload does not end");
        turn();
        ++step_;
    }
    result_.steps = step_;
    result_.boundaries = shell_.boundaries() - boundaries_before;
    note_broken(check_end());
    return result_;
}

/// All instances are up and good.
void ReloadStage::come_up() {
    Faults faults = Faults::none();
    faults.ignore_stop = case_.shape.is_stubborn ? 1 : 0;
    keeper_.set_faults(faults);
    shell_.fleet().begin_operation();
    static_cast<void>(shell_.fleet().add(spec(), true, now_));
    for (std::optional<Instant> due = now_; due; due = next_time()) {
        now_ = std::max(now_, *due);
        turn();
    }
    if (serving() != case_.shape.instances) note_broken("the worker does not come up");
}

core::WorkerSpec ReloadStage::spec() const {
    core::WorkerSpec spec;
    spec.name = "a";
    spec.instances = case_.shape.instances;
    spec.reload = case_.shape.reload;
    spec.launch.command = {"/bin/a"};
    spec.policy.backoff = {100ms, 2.0, 2s, 0.0, 3s};
    spec.policy.restart_limit = simulated_limit(core::RestartLimit::Then::slow);
    spec.policy.stop_timeout = 2s;
    spec.policy.min_uptime = 500ms;
    spec.policy.start_timeout = 5s;
    spec.policy.ready.kind = case_.shape.ready;
    if (case_.shape.has_socket) spec.sockets.push_back({});
    return spec;
}

void ReloadStage::turn() {
    arrived_.clear();
    keeper_.advance(now_, arrived_);
    for (const Delivery& delivery : arrived_) shell_.deliver(delivery, now_);
    if (is_reloading_ && step_ == 0) ask_for_reload();
    if (is_reloading_ && step_ == case_.step) strike();
    shell_.check_starts();
    shell_.tick(now_);
    while (!shell_.end_turn(now_)) {
        note_broken(witness_.watch(shell_, now_));
        note_cut_off();
        now_ += 20ms;
        arrived_.clear();
        keeper_.advance(now_, arrived_);  // nobody listens
        note_broken(check_serving());
        shell_.recover(now_);
    }
    restore_faults();
    note_broken(witness_.watch(shell_, now_));
    note_broken(witness_.inspect(shell_.fleet(), now_));
    note_broken(Witness::inspect_stored(shell_));
    note_broken(check_serving());
    note_broken(keeper_.broken());
    note_broken(shell_.broken());
}

/// The supervisor was killed in this turn. What was said to it and not stored was never said; what
/// has happened to a run, the keeper still knows.
void ReloadStage::note_cut_off() {
    if (!is_reloading_) return;
    const bool is_known = case_.blow == Blow::none || case_.blow == Blow::exits_badly ||
                          case_.blow == Blow::exits_well || case_.blow == Blow::is_killed ||
                          aim_of(case_.blow) == Aim::nobody;
    if (step_ == 0) expected_ = Expected::not_failed;
    if (step_ != case_.step) return;
    is_cut_off_ = true;
    if (!is_known || step_ == 0) expected_ = Expected::anything;
}

void ReloadStage::ask_for_reload() {
    core::Fleet& fleet = shell_.fleet();
    epoch_ = fleet.begin_operation();
    if (case_.shape.by_update) {
        core::WorkerSpec next = spec();
        next.launch.command = {"/bin/a", "--new"};
        static_cast<void>(fleet.update(next, now_));
    } else {
        fleet.reload(fleet.find_worker("a")->slots, false, now_);
    }
}

// --- blows ---

void ReloadStage::strike() {
    switch (aim_of(case_.blow)) {
        case Aim::slot:
            strike_run(Slot{case_.target});
            break;
        case Aim::instance:
            command();
            break;
        case Aim::nobody:
            if (case_.blow >= Blow::is_refused && case_.blow <= Blow::is_never_ready) {
                strike_next();
            } else {
                command();
            }
            break;
    }
}

/// It has not proved itself: its end is that of the reload, and nobody relied on it.
bool ReloadStage::is_unproven(const core::Place& place) const {
    switch (place.reload.phase) {
        case core::ReloadPhase::restarting:
        case core::ReloadPhase::signalled:
            return !std::holds_alternative<core::Stopping>(place.instance.state);
        case core::ReloadPhase::none:
        case core::ReloadPhase::queued:
        case core::ReloadPhase::overlapping:
            break;
    }
    return place.role == core::Role::incoming;
}

void ReloadStage::strike_run(Slot slot) {
    const core::Place* const place = shell_.fleet().find(slot);
    if (place == nullptr || !keeper_.record(slot).leader_alive) return;
    result_.was_struck = true;
    const Generation run = place->instance.generation;
    if (case_.blow == Blow::is_told_again) {
        shell_.deliver({slot, core::event::SpawnSucceeded{run}}, now_);
        const bool is_ready = keeper_.record(slot).is_ready;
        if (is_ready) shell_.deliver({slot, core::event::BecameReady{run}}, now_);
        const Generation before{run.value - 1};
        shell_.deliver({slot, core::event::ProcessExited{before, kBadly, false}}, now_);
        return;
    }
    const core::State& state = place->instance.state;
    const bool is_ending = std::holds_alternative<core::Stopping>(state);
    // A run of which nothing is known but that it was asked for holds no memory.
    const bool is_early =
        case_.blow == Blow::exceeds_memory && std::holds_alternative<core::Starting>(state);
    if (is_unproven(*place) && !is_ending && !is_early) expected_ = Expected::failed;
    const bool is_serving_one = place->role == core::Role::current && !is_ending && !is_early;
    const bool is_new_in_place = place->reload.phase == core::ReloadPhase::restarting;
    if (is_serving_one && !is_new_in_place) excused_.insert(place->number);
    arrived_.clear();
    if (case_.blow == Blow::exits_badly) keeper_.strike(slot, kBadly, now_, arrived_);
    if (case_.blow == Blow::exits_well) keeper_.strike(slot, kWell, now_, arrived_);
    if (case_.blow == Blow::is_killed) keeper_.strike(slot, kKilled, now_, arrived_);
    if (case_.blow == Blow::leaves) arrived_.push_back({slot, core::event::Leaving{run}});
    if (case_.blow == Blow::exceeds_memory) {
        arrived_.push_back({slot, core::event::OverMemory{run}});
    }
    if (case_.blow == Blow::hangs) {
        arrived_.push_back({slot, core::event::Hung{run, core::ExitReason::liveness}});
    }
    for (const Delivery& delivery : arrived_) shell_.deliver(delivery, now_);
}

void ReloadStage::strike_next() {
    result_.was_struck = true;
    Faults faults = Faults::none();
    faults.ignore_stop = case_.shape.is_stubborn ? 1 : 0;
    faults.spawn_shortage = case_.blow == Blow::is_refused ? 1 : 0;
    faults.exec_failure = case_.blow == Blow::is_not_found ? 1 : 0;
    faults.crash_at_once = case_.blow == Blow::crashes_at_once ? 1 : 0;
    faults.never_ready = case_.blow == Blow::is_never_ready ? 1 : 0;
    keeper_.set_faults(faults);
    is_next_doomed_ = true;
    spawned_before_ = keeper_.counts().spawned + keeper_.counts().failed;
}

/// After the turn in which the doomed run was spawned.
void ReloadStage::restore_faults() {
    const std::uint64_t spawned = keeper_.counts().spawned + keeper_.counts().failed;
    if (!is_next_doomed_ || spawned == spawned_before_) return;
    is_next_doomed_ = false;
    Faults faults = Faults::none();
    faults.ignore_stop = case_.shape.is_stubborn ? 1 : 0;
    keeper_.set_faults(faults);
    const bool is_harmless = case_.blow == Blow::is_never_ready &&
                             case_.shape.ready == core::Readiness::Kind::exec;
    if (!is_harmless) expected_ = Expected::failed;
}

void ReloadStage::command() {
    core::Fleet& fleet = shell_.fleet();
    const core::Worker* const worker = fleet.find_worker("a");
    if (worker == nullptr || case_.blow == Blow::none) return;
    if (aim_of(case_.blow) == Aim::instance && case_.target >= worker->slots.size()) return;
    result_.was_struck = true;
    const Epoch epoch = fleet.begin_operation();
    const std::vector<Slot> all = worker->slots;
    const std::vector<Slot> one{all[case_.target < all.size() ? case_.target : 0]};
    const std::uint32_t last = case_.shape.instances - 1;
    const bool is_of_all = case_.blow == Blow::stop_all || case_.blow == Blow::restart_all ||
                           case_.blow == Blow::remove;
    const bool is_of_one = case_.blow == Blow::stop_one || case_.blow == Blow::restart_one;
    if (is_of_one) excused_.insert(case_.target);
    if (case_.blow == Blow::scale_down) excused_.insert(last);
    for (std::uint32_t number = 0; is_of_all && number <= last; ++number) excused_.insert(number);
    expected_ = Expected::not_failed;
    if (case_.blow == Blow::stop_one) fleet.stop(one, now_);
    if (case_.blow == Blow::restart_one) fleet.restart(one, now_);
    if (case_.blow == Blow::start_one) fleet.start(one, now_);
    if (case_.blow == Blow::reset_one) static_cast<void>(fleet.reset(one.front(), now_));
    if (case_.blow == Blow::stop_all) fleet.stop(all, now_);
    if (case_.blow == Blow::restart_all) fleet.restart(all, now_);
    if (case_.blow == Blow::scale_down) static_cast<void>(fleet.scale(worker->index, last, now_));
    if (case_.blow == Blow::scale_up) static_cast<void>(fleet.scale(worker->index, last + 2, now_));
    if (case_.blow == Blow::remove) fleet.remove(worker->index, now_);
    if (case_.blow == Blow::reload_again || case_.blow == Blow::reload_by_force) {
        second_epoch_ = epoch;
        fleet.reload(all, case_.blow == Blow::reload_by_force, now_);
    }
    if (case_.blow == Blow::update) {
        second_epoch_ = epoch;
        core::WorkerSpec next = worker->spec;
        next.launch.command.push_back("--newer");
        static_cast<void>(fleet.update(next, now_));
    }
}

// --- promises ---

/// Instances of which a run is alive, has said that it is ready, and was not told to end. What the
/// keeper knows, not what the fleet believes; the fleet says only which run is of which instance.
std::uint32_t ReloadStage::serving() const {
    std::set<std::uint32_t> numbers;
    for (std::uint32_t slot = 0; slot < kBounds.slots; ++slot) {
        const FakeKeeper::Record& record = keeper_.record(Slot{slot});
        const auto& place = shell_.stored().places[slot];
        if (!place || place->instance.generation != record.generation) continue;
        const bool is_ready =
            record.is_ready || (case_.shape.ready == core::Readiness::Kind::exec &&
                                std::holds_alternative<core::Running>(place->instance.state));
        const bool serves = record.leader_alive && is_ready && !record.was_signalled;
        if (serves && excused_.count(place->number) == 0) numbers.insert(place->number);
    }
    return static_cast<std::uint32_t>(numbers.size());
}

std::string ReloadStage::check_serving() const {
    if (!is_reloading_) return "";
    const std::uint32_t promised =
        case_.shape.instances - static_cast<std::uint32_t>(excused_.size());
    if (serving() + case_.shape.down_at_a_time >= promised) return "";
    return "only " + std::to_string(serving()) + " of " + std::to_string(promised) +
           " instances serve";
}

std::string ReloadStage::check_end() const {
    if (!result_.broken.empty()) return "";
    const std::string unsettled = witness_.inspect_calm(shell_.fleet());
    if (!unsettled.empty()) return unsettled;
    const std::string told = check_told(epoch_, expected_);
    if (!told.empty() || !second_epoch_) return told;
    return check_told(*second_epoch_, is_cut_off_ ? Expected::not_failed : Expected::done);
}

std::string ReloadStage::check_told(Epoch epoch, Expected expected) const {
    const core::Progress progress = shell_.fleet().progress(epoch);
    if (!progress.is_settled()) return "the reload is not settled";
    switch (expected) {
        case Expected::done:
            if (progress.failed == 0 && progress.done == case_.shape.instances) return "";
            return "the reload should have succeeded for every instance";
        case Expected::failed:
            if (progress.failed > 0) return "";
            // Killed after it had stored that the new run goes and before it had stored why: the
            // successor begins anew, and the second new run is struck by nobody.
            if (case_.boundary != 0 && progress.done == case_.shape.instances) return "";
            return "the reload should have failed";
        case Expected::not_failed:
            if (progress.failed == 0) return "";
            return "the reload should not have failed";
        case Expected::anything:
            break;
    }
    return "";
}

std::optional<Instant> ReloadStage::next_time() const {
    return earliest(keeper_.next_time(), shell_.fleet().next_deadline());
}

void ReloadStage::note_broken(const std::string& rule) {
    if (result_.broken.empty()) result_.broken = rule;
}

}  // namespace cluster::sim
