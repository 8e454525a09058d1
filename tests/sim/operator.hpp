// Somebody who types clusterctl at random: every command of the fleet, in any state of it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/prng.hpp"
#include "base/time.hpp"
#include "core/fleet.hpp"
#include "sim/trace.hpp"

namespace cluster::sim {

/// The restart limit of all simulated workers, so that a witness can count against it.
core::RestartLimit simulated_limit(core::RestartLimit::Then then);

class Operator {
public:
    Operator(std::uint64_t seed, Trace& trace) : prng_(seed), trace_(trace) {}

    /// One command; returns how many instances it was about, at least 1.
    std::uint64_t command(core::Fleet& fleet, Instant now);
    [[nodiscard]] Duration pause();

private:
    core::WorkerSpec random_spec(const std::string& name);
    void command_places(core::Fleet& fleet, const core::Worker& worker, Instant now);
    [[nodiscard]] std::uint64_t command_all(core::Fleet& fleet, Instant now);
    void command(core::Fleet& fleet, const std::vector<Slot>& slots, Instant now);

    Prng prng_;
    Trace& trace_;
};

}  // namespace cluster::sim
