// The supervisor's part of the simulation: feeds the real Fleet, stores what is dirty before it
// executes an action, may be killed before any of that, and is succeeded by one that knows only the
// stored copy and the keeper's table.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/prng.hpp"
#include "base/time.hpp"
#include "core/fleet.hpp"
#include "sim/fake_keeper.hpp"
#include "sim/trace.hpp"

namespace cluster::sim {

/// What the state memfd holds.
struct Stored {
    Epoch epoch;
    std::vector<std::optional<core::Worker>> workers;  // by index
    std::vector<std::optional<core::Place>> places;    // by slot
};

class FakeShell {
public:
    FakeShell(core::Fleet::Bounds bounds, std::uint64_t seed, FakeKeeper& keeper, Trace& trace);

    /// Of every fleet that this shell will have.
    [[nodiscard]] std::uint32_t parallel_starts() const { return parallel_starts_; }

    [[nodiscard]] core::Fleet& fleet() const { return *fleet_; }
    [[nodiscard]] const Stored& stored() const { return stored_; }
    void set_kill_probability(double probability) { kill_probability_ = probability; }
    /// At the boundary of that number, counted from 1; 0: at none.
    void kill_at(std::uint64_t boundary) { kill_at_ = boundary; }
    /// Moments so far at which it might have been killed.
    [[nodiscard]] std::uint64_t boundaries() const { return boundaries_; }

    void deliver(const Delivery& delivery, Instant now);
    /// After a command: a start that somebody asked for comes when all that it requires is ready.
    void check_starts();
    void tick(Instant now);
    /// Stores and executes; false: killed on the way, and recover() is due.
    [[nodiscard]] bool end_turn(Instant now);
    void recover(Instant now);

    /// Slots whose stored place changed in the turn that has ended.
    [[nodiscard]] const std::vector<Slot>& changed() const { return changed_; }
    /// The turn that has ended was cut off, or is the one after such a turn.
    [[nodiscard]] bool is_after_kill() const { return is_after_kill_; }
    [[nodiscard]] std::uint64_t inputs() const { return inputs_; }
    void count_inputs(std::uint64_t inputs) { inputs_ += inputs; }
    [[nodiscard]] std::uint64_t deaths() const { return deaths_; }
    [[nodiscard]] const std::string& broken() const { return broken_; }

private:
    struct Known {
        std::uint32_t worker = 0;
        std::uint32_t number = 0;
        Generation generation;
        std::uint32_t restarts = 0;
    };
    void check_start(Slot slot);
    [[nodiscard]] bool is_satisfied(const std::string& required) const;
    [[nodiscard]] bool store(Instant now);
    void execute(const core::SlotAction& item, Instant now);
    void note_generations();
    void relist(Slot slot, Instant now);
    void relist_occupied(const core::Place& place, Instant now);
    [[nodiscard]] bool is_killed(Instant now);

    core::Fleet::Bounds bounds_;
    Prng prng_;
    std::uint32_t parallel_starts_;
    FakeKeeper& keeper_;
    Trace& trace_;
    std::unique_ptr<core::Fleet> fleet_;
    Stored stored_;
    Instant now_;
    std::vector<bool> interrupted_;  // by slot: it was stored as starting
    bool has_recovered_ = false;     // in this turn
    bool is_after_kill_ = false;
    std::vector<Slot> changed_;
    std::vector<Known> known_;  // by slot: the run that was seen last
    double kill_probability_ = 0;
    std::uint64_t kill_at_ = 0;
    std::uint64_t boundaries_ = 0;
    std::uint64_t inputs_ = 0;
    std::uint64_t deaths_ = 0;
    std::string broken_;
};

}  // namespace cluster::sim
