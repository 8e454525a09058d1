#include "sim/simulation.hpp"

#include <algorithm>
#include <chrono>

namespace cluster::sim {

namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

constexpr core::Fleet::Bounds kBounds{48, 10};
constexpr Instant kStart = from_ns(1'000'000'000'000);
constexpr std::uint64_t kStormEvents = 50'000;
constexpr std::uint64_t kTurnsPerInspection = 256;
constexpr Duration kLongestCalm = 200s;
constexpr double kKillProbability = 0.001;

}  // namespace

Simulation::Simulation(std::uint64_t seed)
    : prng_(seed),
      keeper_(kBounds.slots, prng_.next(), trace_),
      shell_(kBounds, prng_.next(), keeper_, trace_),
      operator_(prng_.next(), trace_),
      witness_(kBounds.slots, keeper_),
      now_(kStart),
      next_command_(kStart) {}

Report Simulation::run(std::uint64_t events) {
    while (broken_.empty() && shell_.inputs() < events) {
        storm(std::min(events, shell_.inputs() + kStormEvents));
        if (broken_.empty()) calm();
    }
    Report report;
    report.broken = broken_;
    report.events = shell_.inputs();
    report.spawned = keeper_.counts().spawned;
    report.supervisor_deaths = shell_.deaths();
    report.calms = calms_;
    report.virtual_ms = to_ms(now_ - kStart);
    report.hash = trace_.hash();
    return report;
}

void Simulation::storm(std::uint64_t until_events) {
    keeper_.set_faults(Faults::all());
    keeper_.make_mortal(now_);
    shell_.set_kill_probability(kKillProbability);
    next_command_ = now_;
    while (broken_.empty() && shell_.inputs() < until_events) {
        const Instant due = std::min(next_time().value_or(next_command_), next_command_);
        // A supervisor is never quite on time, and finds several things at once when it wakes.
        now_ = std::max(now_, due) + Duration{static_cast<Duration::rep>(prng_.below(2'000'000))};
        turn(now_, true);
    }
}

void Simulation::calm() {
    ++calms_;
    keeper_.set_faults(Faults::none());
    shell_.set_kill_probability(0);
    const Instant limit = now_ + kLongestCalm;
    for (std::optional<Instant> due = next_time(); due && broken_.empty(); due = next_time()) {
        now_ = std::max(now_, *due);
        if (now_ > limit) return note_broken("the fleet does not settle in the calm");
        turn(now_, false);
    }
    note_broken(witness_.inspect(shell_.fleet(), now_));
    note_broken(Witness::inspect_stored(shell_));
    note_broken(witness_.inspect_calm(shell_.fleet()));
}

void Simulation::turn(Instant now, bool is_stormy) {
    arrived_.clear();
    keeper_.advance(now, arrived_);
    for (const Delivery& delivery : arrived_) shell_.deliver(delivery, now);
    if (is_stormy && now >= next_command_) {
        shell_.count_inputs(operator_.command(shell_.fleet(), now));
        shell_.check_starts();
        next_command_ = now + operator_.pause();
    }
    shell_.tick(now);
    while (!shell_.end_turn(now_)) {
        note_broken(witness_.watch(shell_, now_));
        note_broken(witness_.watch_room(shell_));
        now_ += Duration{static_cast<Duration::rep>(prng_.below(100'000'000))};
        arrived_.clear();
        keeper_.advance(now_, arrived_);  // nobody listens: the table keeps what matters
        shell_.recover(now_);
    }
    note_broken(witness_.watch(shell_, now_));
    note_broken(witness_.watch_room(shell_));
    if (++turns_ % kTurnsPerInspection == 0) {
        note_broken(witness_.inspect(shell_.fleet(), now_));
        note_broken(Witness::inspect_stored(shell_));
    }
    note_broken(keeper_.broken());
    note_broken(shell_.broken());
}

std::optional<Instant> Simulation::next_time() const {
    return earliest(keeper_.next_time(), shell_.fleet().next_deadline());
}

void Simulation::note_broken(const std::string& rule) {
    if (broken_.empty()) broken_ = rule;
}

}  // namespace cluster::sim
