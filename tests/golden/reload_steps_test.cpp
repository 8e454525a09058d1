// The whole table of core::reload_step, beside a file that was read by people.
#include <doctest/doctest.h>

#include <sstream>
#include <string>

#include "core/reload.hpp"
#include "support/golden.hpp"

namespace cluster::core {
namespace {

constexpr ReloadPhase kPhases[] = {ReloadPhase::queued, ReloadPhase::overlapping,
                                   ReloadPhase::restarting, ReloadPhase::signalled};
constexpr ReloadMode kModes[] = {ReloadMode::overlap, ReloadMode::stop_first, ReloadMode::signal};
constexpr OldRun kOld[] = {OldRun::unwanted, OldRun::down, OldRun::up, OldRun::serving};
constexpr NewRun kNew[] = {NewRun::none, NewRun::coming, NewRun::good, NewRun::failed};

const char* mode_name(ReloadMode mode) {
    const char* const names[] = {"overlap", "stop_first", "signal"};
    return names[static_cast<int>(mode)];
}

const char* old_name(OldRun run) {
    const char* const names[] = {"unwanted", "down", "up", "serving"};
    return names[static_cast<int>(run)];
}

const char* new_name(NewRun run) {
    const char* const names[] = {"none", "coming", "good", "failed"};
    return names[static_cast<int>(run)];
}

const char* step_name(ReloadStep step) {
    const char* const names[] = {"wait",         "begin_overlap", "begin_restart",
                                 "begin_signal", "promote",       "finish",
                                 "fail",         "requeue",       "abandon"};
    return names[static_cast<int>(step)];
}

std::string pad(std::string text, std::size_t width) {
    if (text.size() < width) text.append(width - text.size(), ' ');
    return text;
}

std::string whole_text() {
    std::ostringstream out;
    out << "# reload_step(): what is to be done about one instance. Printed by a test;\n"
           "# CLUSTER_GOLDEN_UPDATE=1 rewrites this file.\n\n"
           "# Its turn has not come: by mode and old run, without and with room for one more.\n\n";
    for (const ReloadMode mode : kModes) {
        for (const OldRun old_run : kOld) {
            const auto step = [&](bool may_begin) {
                return step_name(
                    reload_step(ReloadPhase::queued, mode, old_run, NewRun::none, may_begin));
            };
            out << pad(mode_name(mode), 12) << pad(old_name(old_run), 10) << pad(step(false), 9)
                << step(true) << "\n";
        }
    }
    out << "\n# It has begun: by phase, old run and new run; neither mode nor room matter.\n\n";
    for (const ReloadPhase phase : kPhases) {
        if (phase == ReloadPhase::queued) continue;
        for (const OldRun old_run : kOld) {
            for (const NewRun new_run : kNew) {
                out << pad(phase_name(phase), 13) << pad(old_name(old_run), 10)
                    << pad(new_name(new_run), 8)
                    << step_name(reload_step(phase, ReloadMode::overlap, old_run, new_run, false))
                    << "\n";
            }
        }
    }
    return out.str();
}

}  // namespace

TEST_CASE("core/reload: the table of steps is the reviewed one") {
    test::check_golden("reload_steps.txt", whole_text());
}

TEST_CASE(
    "core/reload: what has begun depends on neither mode nor room, and nothing comes of none") {
    for (const ReloadMode mode : kModes) {
        for (const OldRun old_run : kOld) {
            for (const NewRun new_run : kNew) {
                for (const bool may_begin : {false, true}) {
                    const auto step = [&](ReloadPhase phase) {
                        return reload_step(phase, mode, old_run, new_run, may_begin);
                    };
                    CHECK(step(ReloadPhase::none) == ReloadStep::wait);
                    for (const ReloadPhase phase : kPhases) {
                        if (phase == ReloadPhase::queued) continue;
                        CHECK(step(phase) ==
                              reload_step(phase, ReloadMode::overlap, old_run, new_run, false));
                    }
                }
            }
        }
    }
}

TEST_CASE("core/reload: nothing is promoted but what is good, and nobody stops before it is") {
    for (const ReloadPhase phase : kPhases) {
        for (const OldRun old_run : kOld) {
            for (const NewRun new_run : kNew) {
                const ReloadStep step =
                    reload_step(phase, ReloadMode::overlap, old_run, new_run, true);
                if (step == ReloadStep::promote) CHECK(new_run == NewRun::good);
                const bool takes_down = step == ReloadStep::begin_restart;
                if (takes_down) CHECK(old_run == OldRun::down);
            }
        }
    }
}

}  // namespace cluster::core
