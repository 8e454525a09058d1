// What must hold for one instance whatever happens, in whatever order, to whichever run.
#include <doctest/doctest.h>

#include <cerrno>
#include <chrono>
#include <deque>
#include <optional>
#include <string>

#include "core/instance.hpp"
#include "property/property.hpp"

namespace cluster::core {

namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

enum class Kind {
    start,
    stop,
    restart,
    succeed,
    fail_for_good,
    fail_for_now,
    exit_well,
    exit_badly,
    leave_group,
    empty_group,
    become_ready,
    wait_a_little,
    wait_until_due,
    stop_held,
    restart_held,
    proceed,
    fail_requirement,
    leave,
    ask_for_time,
    exceed_memory,
    hang,
    reload_itself,
};
constexpr std::uint64_t kKinds = 22;

struct Move {
    Kind kind;
    std::uint64_t age;  // of the run that the event is about: 0 is the current one
    Duration pause;
    Gate gate;
};

Move make_move(Prng& prng) {
    return {static_cast<Kind>(prng.below(kKinds)),
            prng.chance(0.9) ? 0 : 1 + prng.below(3),
            std::chrono::milliseconds{prng.below(3000)},
            {prng.chance(0.8), prng.chance(0.8)}};
}

std::string show_move(const Move& move) {
    return "kind " + std::to_string(static_cast<int>(move.kind)) + ", age " +
           std::to_string(move.age) + ", pause " + std::to_string(to_ms(move.pause)) + " ms" +
           (move.gate.requirements_met ? "" : ", requirements not met") +
           (move.gate.has_room ? "" : ", no room");
}

Policy policy_of(RestartPolicy restart, RestartLimit::Then then, Duration initial) {
    Policy policy;
    policy.restart = restart;
    policy.backoff = {initial, 2.0, 4s, 0.2, 5s};
    policy.restart_limit = {3, 10s, then};
    policy.stop_timeout = 2s;
    policy.min_uptime = 1s;
    policy.start_timeout = 3s;
    return policy;
}

/// Plays moves and remembers what a keeper would: which run may be alive.
class Play {
public:
    explicit Play(const Policy& policy) : policy_(policy) {}

    /// "" or the rule that was broken.
    std::string play(const Move& move) {
        if (move.kind == Kind::wait_a_little) now_ += move.pause;
        if (move.kind == Kind::wait_until_due) {
            const std::optional<Instant> deadline = next_deadline(policy_, instance_);
            if (deadline && *deadline > now_) now_ = *deadline;
        }
        const Event event = event_of(move);
        const Instance before = instance_;
        const Transition next = step(policy_, before, event, now_, prng_, move.gate);
        instance_ = next.instance;
        std::string broken = check_past(move, before, event);
        if (broken.empty()) broken = check_actions(before, next.actions);
        if (broken.empty()) broken = check_state(event);
        if (broken.empty()) broken = check_operation(before);
        if (broken.empty()) broken = check_time(before, event);
        if (broken.empty()) broken = check_limit(before, event);
        return broken;
    }

private:
    Event event_of(const Move& move) {
        const Generation run{instance_.generation.value -
                             std::min(instance_.generation.value, move.age)};
        const ExitStatus well{ExitStatus::Kind::code, 0, Op::none, false};
        const ExitStatus badly{ExitStatus::Kind::signal, 11, Op::none, true};
        switch (move.kind) {
            case Kind::start:
                return event::Start{Epoch{++epoch_}};
            case Kind::stop:
                return event::Stop{Epoch{++epoch_}};
            case Kind::restart:
                return event::Restart{Epoch{++epoch_}};
            case Kind::succeed:
                return event::SpawnSucceeded{run};
            case Kind::fail_for_good:
                return event::SpawnFailed{run, Op::exec, ENOENT};
            case Kind::fail_for_now:
                return event::SpawnFailed{run, Op::clone, EAGAIN};
            case Kind::exit_well:
                return event::ProcessExited{run, well, false};
            case Kind::exit_badly:
                return event::ProcessExited{run, badly, false};
            case Kind::leave_group:
                return event::ProcessExited{run, badly, true};
            case Kind::empty_group:
                return event::GroupEmptied{run};
            case Kind::become_ready:
                return event::BecameReady{run};
            case Kind::wait_a_little:
                return event::Tick{};
            case Kind::wait_until_due:
                return event::Tick{};
            case Kind::stop_held:
                return event::Stop{Epoch{++epoch_}, true};
            case Kind::restart_held:
                return event::Restart{Epoch{++epoch_}, true};
            case Kind::proceed:
                return event::Proceed{};
            case Kind::fail_requirement:
                return event::RequirementFailed{};
            case Kind::leave:
                return event::Leaving{run};
            case Kind::ask_for_time:
                return event::ExtendTimeout{run, move.pause};
            case Kind::exceed_memory:
                return event::OverMemory{run};
            case Kind::hang:
                return event::Hung{run, ExitReason::watchdog};
            case Kind::reload_itself:
                return event::Reloading{run, {}};
        }
        return event::Tick{};
    }

    std::string check_past(const Move& move, const Instance& before, const Event& event) const {
        const bool is_report = std::visit(
            [](const auto& e) {
                if constexpr (requires { e.generation; }) return true;
                return false;
            },
            event);
        const bool is_past = is_report && move.age > 0 && before.generation.value > 0;
        return is_past && before != instance_ ? "an event of an older run changed something" : "";
    }

    std::string check_actions(const Instance& before, const Actions& actions) {
        Generation newest = before.generation;
        for (const Action& action : actions) {
            if (const auto* spawn = std::get_if<action::Spawn>(&action)) {
                if (live_) return "two live runs of one slot";
                if (spawn->generation.value != newest.value + 1) return "a generation was skipped";
                newest = spawn->generation;
                live_ = newest;
            } else if (const auto* signal = std::get_if<action::Signal>(&action)) {
                if (live_ != signal->generation) return "a signal to a run that is not alive";
            } else if (const auto* release = std::get_if<action::Release>(&action)) {
                if (live_ != release->generation) return "a release of a run that is not alive";
                live_.reset();
            }
        }
        if (instance_.generation != newest) return "the generation is not that of the last spawn";
        return "";
    }

    std::string check_state(const Event& event) const {
        const State& state = instance_.state;
        if (is_occupied(state) != live_.has_value()) return "occupied without a run, or idle with";
        const bool is_up =
            std::holds_alternative<Starting>(state) || std::holds_alternative<Running>(state);
        if (instance_.hold != Hold::none && !is_up) return "a hold on what is not up";
        if (instance_.hold == Hold::stop && instance_.desired != Desired::down) {
            return "a held stop of what is wanted up";
        }
        if (instance_.hold == Hold::restart && instance_.desired != Desired::up) {
            return "a held restart of what is wanted down";
        }
        const bool is_down = std::holds_alternative<Stopped>(state) ||
                             std::holds_alternative<Stopping>(state) ||
                             instance_.hold == Hold::stop;
        if (instance_.desired == Desired::down && !is_down) return "wanted down, but not going";
        if (instance_.desired == Desired::up && std::holds_alternative<Stopped>(state)) {
            return epoch_ > 0 ? "wanted up, but stopped" : "";
        }
        const bool was_stop = std::holds_alternative<event::Stop>(event);
        if (was_stop && instance_.desired != Desired::down) return "a stop did not win";
        if (instance_.epoch != Epoch{epoch_}) return "the epoch is not that of the last command";
        return "";
    }

    std::string check_operation(const Instance& before) const {
        if (before.epoch == instance_.epoch && before.outcome != Outcome::pending &&
            before.outcome != instance_.outcome) {
            return "a latched outcome changed";
        }
        if (epoch_ > 0 && instance_.outcome == Outcome::none) return "an operation has no outcome";
        if (std::holds_alternative<Stopped>(instance_.state) && epoch_ > 0 &&
            instance_.outcome != Outcome::done) {
            return "stopped, but the stop is not done";
        }
        return "";
    }

    std::string check_time(const Instance& before, const Event& event) const {
        if (!std::holds_alternative<event::Tick>(event)) return "";
        const std::optional<Instant> was = next_deadline(policy_, before);
        const bool was_due = was && *was <= now_;
        if (was_due == (before == instance_)) return "a tick did not do just what was due";
        const std::optional<Instant> next = next_deadline(policy_, instance_);
        if (next && *next <= now_) return "the deadline is still due after its tick";
        return "";
    }

    /// Counts by itself, from the spawns that no command explains.
    std::string check_limit(const Instance& before, const Event& event) {
        const bool is_shortage = std::holds_alternative<event::SpawnFailed>(event) &&
                                 std::get<event::SpawnFailed>(event).code == EAGAIN;
        const std::uint32_t was = before.history.restarts;
        const std::uint32_t is = instance_.history.restarts;
        if (is < was) restarts_.clear();
        if (is == was + 1) {
            restarts_.push_back(now_);
        } else if (is > was) {
            return "one step counted two restarts";
        }
        had_shortage_ = had_shortage_ || is_shortage;
        const RestartLimit& limit = policy_.restart_limit;
        while (!restarts_.empty() && now_ - restarts_.front() >= limit.window) {
            restarts_.pop_front();
        }
        if (limit.then == RestartLimit::Then::fatal && !had_shortage_ &&
            restarts_.size() > limit.count) {
            return "more automatic restarts in the window than allowed";
        }
        return "";
    }

    Policy policy_;
    Instance instance_;
    Instant now_ = from_ns(1'000'000'000'000);
    Prng prng_{1};
    std::uint64_t epoch_ = 0;
    std::optional<Generation> live_;
    std::deque<Instant> restarts_;
    bool had_shortage_ = false;
};

std::string broken_rule(const Policy& policy, const std::vector<Move>& moves) {
    Play play{policy};
    for (const Move& move : moves) {
        const std::string broken = play.play(move);
        if (!broken.empty()) return broken;
    }
    return "";
}

}  // namespace

TEST_CASE("core/instance: no list of events breaks the rules of a run, its operation or its time") {
    for (const RestartPolicy restart :
         {RestartPolicy::always, RestartPolicy::on_failure, RestartPolicy::never}) {
        for (const auto then : {RestartLimit::Then::slow, RestartLimit::Then::fatal}) {
            for (const Duration initial : {Duration{0}, Duration{200ms}}) {
                Policy policy = policy_of(restart, then, initial);
                // Both ways with half of the others each.
                if (initial == Duration{0}) policy.ready.kind = Readiness::Kind::notify;
                const auto check = [&](const std::vector<Move>& moves) {
                    return broken_rule(policy, moves);
                };
                const std::string report = test::for_all(300, 120, make_move, check, show_move);
                CHECK_MESSAGE(report.empty(), report);
            }
        }
    }
}

TEST_CASE("core/property: a failing list is shrunk to what it takes") {
    const auto check = [](const std::vector<int>& moves) {
        int sevens = 0;
        for (const int move : moves) sevens += move == 7 ? 1 : 0;
        return sevens >= 2 ? std::string{"two sevens"} : std::string{};
    };
    CHECK(test::shrink(std::vector<int>{1, 7, 3, 4, 7, 5, 7}, check) == std::vector<int>{7, 7});
}

}  // namespace cluster::core
