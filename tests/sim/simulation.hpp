// A whole life of the daemon in virtual time: storms of faults and commands, and calms in which the
// fleet must reach what is wanted. The same seed gives the same life.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

#include "base/prng.hpp"
#include "base/time.hpp"
#include "sim/fake_keeper.hpp"
#include "sim/fake_shell.hpp"
#include "sim/operator.hpp"
#include "sim/trace.hpp"
#include "sim/witness.hpp"

namespace cluster::sim {

struct Report {
    std::string broken;  // "": every rule held
    std::uint64_t events = 0;
    std::uint64_t spawned = 0;
    std::uint64_t supervisor_deaths = 0;
    std::uint64_t calms = 0;
    std::int64_t virtual_ms = 0;
    std::uint64_t hash = 0;
};

class Simulation {
public:
    explicit Simulation(std::uint64_t seed);

    /// At least `events` inputs of the fleet, then a last calm.
    [[nodiscard]] Report run(std::uint64_t events);
    void print_trace(std::ostream& out) const { trace_.print(out); }

private:
    void storm(std::uint64_t until_events);
    void calm();
    void turn(Instant now, bool is_stormy);
    /// The next instant at which anything happens; `none` where nothing ever will.
    [[nodiscard]] std::optional<Instant> next_time() const;
    void note_broken(const std::string& rule);

    Prng prng_;
    Trace trace_;
    FakeKeeper keeper_;
    FakeShell shell_;
    Operator operator_;
    Witness witness_;
    Instant now_;
    Instant next_command_;
    std::uint64_t turns_ = 0;
    std::uint64_t calms_ = 0;
    std::vector<Delivery> arrived_;
    std::string broken_;
};

}  // namespace cluster::sim
