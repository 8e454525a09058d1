#include "modes.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <utility>

#include "base/prng.hpp"
#include "store/settle.hpp"
#include "support/store_audit.hpp"

namespace cluster::store::test {
namespace {

/// The steps of no scenario take more, whoever is stopped in whatever meanwhile.
constexpr u64 kInstructionsAtMost = 60'000;

/// The points from 1 to `last`: all of them, or one of each of equal strides.
std::vector<u64> points_of(u64 last, const Sampling& sampling, Prng& prng) {
    std::vector<u64> points;
    if (sampling.points == 0 || last <= sampling.points) {
        for (u64 k = 1; k <= last; ++k) points.push_back(k);
        return points;
    }
    for (u64 i = 0; i < sampling.points; ++i) {
        const u64 from = last * i / sampling.points;
        const u64 to = last * (i + 1) / sampling.points;
        points.push_back(1 + from + prng.below(to - from));
    }
    return points;
}

bool contains(const std::vector<std::string>& states, const std::string& state) {
    return std::find(states.begin(), states.end(), state) != states.end();
}

/// Each key is written, read, counted and removed once by somebody who was not there before.
std::string work(World& world) {
    if (!world.me) world.join();
    if (!world.me) return "cannot join";
    std::array<std::byte, 300> buffer{};
    for (const std::string& key : world.keys) {
        const std::string value = value_of('j', 100);
        if (!world.table.set(*world.me, bytes(key), bytes(value))) return "cannot set " + key;
        const auto seen = world.table.get(bytes(key), buffer);
        if (!seen || seen->size != 100) return "cannot get " + key;
    }
    for (const std::string& key : world.keys) {
        if (!world.table.take(*world.me, bytes(key), buffer)) return "cannot take " + key;
        if (world.table.get(bytes(key), buffer)) return "still there: " + key;
        if (!world.table.increment(*world.me, bytes(key), 5)) return "cannot increment " + key;
        if (!world.table.remove(*world.me, bytes(key))) return "cannot remove " + key;
    }
    return "";
}

/// Joins until every slot is taken, those of the dead last, which settles them.
std::string settle_by_joining(World& world) {
    std::vector<Participant> all;
    const u32 count = world.segment->geometry().participants_count;
    for (u32 i = 0; i < count; ++i) {
        auto joined = Participant::join(*world.segment);
        if (!joined) return "the slot of the dead cannot be taken";
        all.push_back(std::move(*joined));
    }
    return "";
}

/// Whether the attempt tells what was true when its maker died. Requires: it is not settled yet.
std::string judge_attempt(const World& world, bool was_made) {
    const auto expected = was_made ? Attempt::Outcome::made : Attempt::Outcome::not_made;
    if (Attempt{*world.attempt}.outcome(*world.segment) == expected) return "";
    return was_made ? "the attempt does not know that it was made"
                    : "the attempt does not know that it was not made";
}

/// What must hold after a kill. `variant` chooses who settles, and when.
std::string inspect(World& world, const std::vector<std::string>& states, u64 variant,
                    bool is_written_down = false) {
    const std::string now = contents(world);
    if (!contains(states, now)) return "contents are no state: " + now;
    const auto judge = [&] {
        if (!is_written_down) return std::string{};
        return judge_attempt(world, now == states.back());
    };
    std::string wrong = judge();
    if (!wrong.empty()) return wrong;
    if (variant % 3 == 2) {
        wrong = work(world);
        if (!wrong.empty()) return wrong + ", before settling";
        wrong = judge();
        if (!wrong.empty()) return wrong + ", when others have changed the key";
    }
    if (variant % 3 == 1) {
        wrong = settle_by_joining(world);
    } else {
        const Settled settled = settle_all_dead(*world.segment);
        if (settled.blocks > 4 * std::max(settled.slots, 1U)) wrong = "settled too many blocks";
    }
    if (wrong.empty()) wrong = audit(*world.segment);
    if (!wrong.empty()) return wrong;
    if (variant % 3 != 2) {
        if (contents(world) != now) return "settling changed the contents to " + contents(world);
        wrong = work(world);
        if (!wrong.empty()) return wrong + ", after settling";
    }
    world.me.reset();
    return audit(*world.segment);
}

std::string label(const Stage& stage, const char* what, u64 k, u64 m = 0) {
    std::string text = std::string(stage.scenario().name) + ": " + what + " " + std::to_string(k);
    if (m != 0) text += ", then " + std::to_string(m);
    return text;
}

/// Waits until the process has stopped itself. False when it ended instead.
bool wait_for_stop(pid_t pid) {
    int status = 0;
    while (::waitpid(pid, &status, WUNTRACED) < 0 && errno == EINTR) {
    }
    return WIFSTOPPED(status);
}

/// Contents after all steps by one and then none, one, … all of them by another.
std::vector<std::string> states_after_another(Stage& stage) {
    stage.reset();
    std::vector<std::string> states;
    const std::string all = stage.in_process([&stage](World& world) -> std::string {
        for (int player = 0; player < 2; ++player) {
            std::string text = contents(world);
            world.me.reset();
            if (!stage.scenario().joins_itself) world.join();
            for (const Step& step : stage.scenario().steps) {
                step(world);
                text += "\n" + contents(world);
            }
            if (player == 1) return text;
        }
        return "";
    });
    std::size_t from = 0;
    while (from <= all.size()) {
        const std::size_t end = std::min(all.find('\n', from), all.size());
        states.push_back(all.substr(from, end - from));
        from = end + 1;
    }
    return states;
}

/// Overwrites every key three times, in changing order, so that freed blocks come back as others'.
std::string churn(World& world) {
    forget_hints(*world.segment);
    world.join();
    if (!world.me) return "cannot join";
    for (const std::size_t step : {1U, 3U, 5U}) {
        for (std::size_t i = 0; i < world.keys.size(); ++i) {
            const std::size_t key = i * step % world.keys.size();
            world.set(key, value_of(static_cast<char>('p' + step), 100));
            world.set(key, value_of(static_cast<char>('q' + step), 100));
        }
    }
    return "";
}

/// Another process plays the steps too, now and then counted. A play that hangs is ended by
/// SIGALRM.
std::string do_the_same(Stage& stage, bool is_counted) {
    const Step join = [](World& world) { world.join(); };
    const Step all_steps = [&stage](World& world) {
        for (const Step& step : stage.scenario().steps) step(world);
    };
    if (!is_counted) {
        return stage.in_process([&](World& world) -> std::string {
            join(world);
            if (!world.me) return "cannot join";
            all_steps(world);
            return world.complaint;
        });
    }
    const int code = wait_for(stage.trace_process({}, join, all_steps));
    if (code != 0) return "another one is blocked or crashed: " + std::to_string(code);
    if (stage.board().steps > kInstructionsAtMost) {
        return "another one took " + std::to_string(stage.board().steps) + " instructions";
    }
    return "";
}

}  // namespace

void Tally::count(const std::string& where, const std::string& wrong) {
    ++plays;
    if (wrong.empty()) return;
    if (failures++ == 0) first = where + ": " + wrong;
    if (!stops_at_first && failures <= 10) {
        std::printf("FAILED %s: %s\n", where.c_str(), wrong.c_str());
    }
}

namespace {

/// The first to come after a kill, before anybody has settled anything, has a bound of instructions
/// too.
std::string go_on_after_a_kill(Stage& stage) {
    const std::string wrong = do_the_same(stage, true);
    if (!wrong.empty()) return wrong;
    return stage.in_process([](World& world) -> std::string {
        (void)settle_all_dead(*world.segment);
        return audit(*world.segment);
    });
}

}  // namespace

void kill_everywhere(Stage& stage, const Sampling& sampling, Tally& tally) {
    Prng prng{sampling.seed};
    for (const u64 k : points_of(stage.length(), sampling, prng)) {
        stage.reset();
        const int code = wait_for(stage.play({.kill_at = k}));
        std::string wrong;
        if (code != 1000 + SIGKILL && code != 0) wrong = "ended by " + std::to_string(code);
        tally.missed += code == 0 ? 1U : 0U;
        const u64 variant = prng.below(3);
        if (wrong.empty()) {
            wrong = stage.in_process(
                [&](World& world) {
                    return inspect(world, stage.states(), variant,
                                   stage.scenario().is_written_down);
                });
        }
        tally.count(label(stage, "killed at", k, 0) + " (settled " + std::to_string(variant) + ")",
                    wrong);
        if (tally.is_enough()) return;
        if (stage.scenario().joins_itself || prng.below(20) != 0) continue;
        stage.reset();
        wait_for(stage.play({.kill_at = k}));
        tally.count(label(stage, "killed, and counted, at", k), go_on_after_a_kill(stage));
        if (tally.is_enough()) return;
    }
}

void kill_recovery(Stage& stage, const Sampling& sampling, Tally& tally) {
    Prng prng{sampling.seed};
    const Sampling outer{.points = sampling.points == 0 ? 60 : sampling.points / 6 + 3};
    const Sampling inner{.points = sampling.points == 0 ? 100 : sampling.points / 10 + 2};
    const auto own_claim = [](World& world) {
        // As the first half of settling: the slots of the dead become those of this process.
        world.join();
        const u64 own = load_acquire(&world.segment->slot(world.me->slot()).claim);
        for (u32 i = 0; i < world.segment->geometry().participants_count; ++i) {
            u64* claim = &world.segment->slot(i).claim;
            if (load_acquire(claim) != 0) store_release(claim, own);
        }
    };
    const auto settle_all = [](World& world) {
        for (u32 i = 0; i < world.segment->geometry().participants_count; ++i) {
            settle_slot(*world.segment, i);
        }
    };
    if (stage.scenario().joins_itself) return;
    for (const u64 k : points_of(stage.length(), outer, prng)) {
        // How long it takes to settle what this kill leaves.
        stage.reset();
        wait_for(stage.play({.kill_at = k}));
        wait_for(stage.trace_process({}, own_claim, settle_all));
        const u64 length = stage.board().steps;
        const Route route{std::span{stage.board().recorded, length + 1}};
        for (const u64 j : points_of(length, inner, prng)) {
            stage.reset();
            wait_for(stage.play({.kill_at = k}));
            const std::string before = stage.in_process(contents);
            wait_for(
                stage.trace_process({.kill_at = j, .begin = route.to(j)}, own_claim, settle_all));
            const std::string wrong = stage.in_process(
                [&](World& world) { return inspect(world, {before}, prng.below(3)); });
            tally.count(label(stage, "killed at", k, j), wrong);
            if (tally.is_enough()) return;
        }
    }
}

void freeze_everywhere(Stage& stage, const Sampling& sampling, Tally& tally) {
    if (stage.scenario().joins_itself) return;
    Prng prng{sampling.seed};
    const std::vector<std::string> after = states_after_another(stage);
    for (const u64 k : points_of(stage.length(), sampling, prng)) {
        stage.reset();
        const pid_t frozen = stage.play({.stop_at = k});
        if (!wait_for_stop(frozen)) {
            ++tally.missed;
            continue;
        }
        std::string wrong = stage.in_process([&](World& world) -> std::string {
            const std::string now = contents(world);
            if (!contains(stage.states(), now)) return "contents are no state: " + now;
            return settle_all_dead(*world.segment).slots == 0 ? "" : "the stopped counts as dead";
        });
        if (wrong.empty()) wrong = do_the_same(stage, prng.below(20) == 0);
        ::kill(frozen, SIGCONT);
        const int code = wait_for(frozen);
        if (wrong.empty() && code != 0) wrong = "going on, it ended with " + std::to_string(code);
        if (wrong.empty()) {
            wrong = stage.in_process([&](World& world) -> std::string {
                const std::string now = contents(world);
                if (now != after.back()) return "contents are " + now + " not " + after.back();
                return audit(*world.segment);
            });
        }
        tally.count(label(stage, "stopped at", k), wrong);
        if (tally.is_enough()) return;
    }
}

namespace {

/// What the one who overtakes does.
enum class Overtaking : u64 {
    same,       // the steps that the stopped one is in
    churn,      // writes every key again and again
    elsewhere,  // writes other buckets: into the next free block, then into what was just freed
    count
};
constexpr std::array<const char*, 3> kOvertakings{"overtaken at", "churned at", "robbed at"};

std::string overtake(Stage& stage, World& world, Overtaking how) {
    if (how == Overtaking::churn) return churn(world);
    forget_hints(*world.segment);
    world.join();
    if (!world.me) return "cannot join";
    if (how == Overtaking::elsewhere) {
        for (const std::size_t key : {6U, 0U, 3U}) world.set(key, value_of('z', 100));
        return "";
    }
    for (const Step& step : stage.scenario().steps) step(world);
    return world.complaint;
}

struct Overtaken {
    u64 k = 0;
    u64 m = 0;  // 0: to its end
    Overtaking how = Overtaking::same;
};

/// One play: stopped at k, overtaken, let go on for m instructions.
std::string overtake_once(Stage& stage, const Overtaken& play,
                          const std::vector<std::string>& after, u64* missed) {
    stage.reset();
    const pid_t victim =
        stage.play({.stop_at = play.k, .kill_at = play.m == 0 ? 0 : play.k + play.m});
    if (!wait_for_stop(victim)) {
        ++*missed;
        return "";
    }
    std::string wrong =
        stage.in_process([&](World& world) { return overtake(stage, world, play.how); });
    ::kill(victim, SIGCONT);
    const int code = wait_for(victim);
    if (wrong.empty() && code != 0 && code != 1000 + SIGKILL) {
        wrong = "going on, it ended with " + std::to_string(code);
    }
    if (!wrong.empty()) return wrong;
    return stage.in_process([&](World& world) -> std::string {
        const std::string now = contents(world);
        const bool was_refused = stage.scenario().may_be_refused && contains(stage.states(), now);
        if (play.how == Overtaking::same && !contains(after, now) && !was_refused) {
            return "contents are no state: " + now;
        }
        if (now.find("torn") != now.npos) return "contents are torn: " + now;
        (void)settle_all_dead(*world.segment);
        const std::string unsound = audit(*world.segment);
        if (!unsound.empty()) return unsound;
        if (contents(world) != now) return "settling changed the contents to " + contents(world);
        return "";
    });
}

}  // namespace

void overtake_everywhere(Stage& stage, const Sampling& sampling, Tally& tally) {
    if (stage.scenario().joins_itself) return;
    // Soon after, or anywhere in what is left and in the second try that the overtaking causes.
    const std::array<u64, 6> reaches{0, 4, 20, 100, stage.length(), 2 * stage.length()};
    Prng prng{sampling.seed};
    const std::vector<std::string> after = states_after_another(stage);
    const u64 last = stage.length() * sampling.first_percent / 100;
    for (const u64 k : points_of(last, sampling, prng)) {
        for (u64 how = 0; how < static_cast<u64>(Overtaking::count); ++how) {
            // Every point is tried with each reach over many runs, and with one in this.
            const u64 reach = reaches[prng.below(reaches.size())];
            const Overtaken play{.k = k,
                                 .m = reach == 0 ? 0 : 1 + prng.below(reach),
                                 .how = static_cast<Overtaking>(how)};
            const std::string wrong = overtake_once(stage, play, after, &tally.missed);
            tally.count(label(stage, kOvertakings[how], k, play.m), wrong);
            if (tally.is_enough()) return;
        }
    }
}

}  // namespace cluster::store::test
