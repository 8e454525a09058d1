// The ways in which a scenario is disturbed.
#pragma once

#include <cstdint>
#include <string>

#include "stage.hpp"

namespace cluster::store::test {

/// How many of the points of a scenario are tried.
struct Sampling {
    std::uint64_t points = 30;  // 0: every one
    std::uint64_t seed = 1;
    std::uint64_t first_percent = 100;  // only the beginning of a scenario is overtaken
    const char* only = nullptr;         // a scenario whose name contains this
};

struct Tally {
    std::uint64_t plays = 0;
    std::uint64_t failures = 0;
    std::uint64_t missed = 0;  // plays that ended before the chosen instruction
    std::string first{};       // what was wrong first
    bool stops_at_first = false;

    [[nodiscard]] bool is_enough() const { return stops_at_first && failures != 0; }
    void count(const std::string& where, const std::string& wrong);
};

/// Killed after k instructions: the contents are those before or after a step, others go on at
/// once, and after settling every block is free or reachable once.
void kill_everywhere(Stage& stage, const Sampling& sampling, Tally& tally);
/// Killed after k instructions, and whoever settles that after j.
void kill_recovery(Stage& stage, const Sampling& sampling, Tally& tally);
/// Stopped after k instructions: others do the same and are done within a bound of instructions;
/// then it goes on, and both took effect.
void freeze_everywhere(Stage& stage, const Sampling& sampling, Tally& tally);
/// Stopped after k instructions, overtaken by others that use the blocks it was about to use, let
/// go on for m instructions and killed.
void overtake_everywhere(Stage& stage, const Sampling& sampling, Tally& tally);

/// Writers under load that are killed at random, for so long. Counts every counter and entry
/// afterwards.
void run_storm(std::uint64_t milliseconds, std::uint64_t seed, Tally& tally);

}  // namespace cluster::store::test
