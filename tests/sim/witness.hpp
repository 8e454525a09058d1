// The rules that a simulation is held to, seen from outside of the fleet. Each check answers "" or
// the rule that was broken.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "base/time.hpp"
#include "core/fleet.hpp"
#include "sim/fake_keeper.hpp"
#include "sim/fake_shell.hpp"

namespace cluster::sim {

class Witness {
public:
    Witness(std::uint32_t slots, const FakeKeeper& keeper)
        : keeper_(keeper), seen_(slots), is_coming_up_(slots, false) {}

    /// After each turn, about what changed in it: the restart limit, counted here once more; a
    /// stop came after those that require it had left; a reload took no run down before another
    /// one was ready in its place, and kept to its batch and its surge.
    [[nodiscard]] std::string watch(const FakeShell& shell, Instant now);

    /// After each turn: no more are on their way up than parallel_starts allows. A supervisor that
    /// was killed while it stored a turn may leave more: who takes the room is stored, and who made
    /// it is not. Those may go on; nobody joins them.
    [[nodiscard]] std::string watch_room(const FakeShell& shell);

    /// Now and then, after a turn that was stored: nothing changed that the fleet did not list,
    /// which the rules above rely on as much as a successor does.
    [[nodiscard]] static std::string inspect_stored(const FakeShell& shell);

    /// Now and then, about everything: slots and places fit, stops end.
    [[nodiscard]] std::string inspect(const core::Fleet& fleet, Instant now) const;

    /// After a calm: what is wanted is what is.
    [[nodiscard]] std::string inspect_calm(const core::Fleet& fleet) const;

private:
    struct Seen {
        std::uint32_t worker = 0;
        std::uint32_t number = 0;
        std::uint32_t restarts = 0;
        std::deque<Instant> times;
        bool had_shortage = false;
        Generation generation;
        bool was_up = false;  // starting or running
        core::Role role = core::Role::current;
        core::ReloadPhase phase = core::ReloadPhase::none;
    };
    [[nodiscard]] bool has_leaving_dependent(const Stored& stored, const std::string& name) const;
    [[nodiscard]] std::string watch_order(const Stored& stored, const core::Place& place) const;
    [[nodiscard]] std::string watch_reload(const Stored& stored, const core::Place& place,
                                           Instant now) const;
    [[nodiscard]] static std::string watch_pace(const Stored& stored, const core::Place& begun);
    void remember(const core::Place& place);
    [[nodiscard]] std::string watch_place(const core::Place& place, bool is_fatal, Instant now);
    [[nodiscard]] std::string inspect_worker(const core::Fleet& fleet, const core::Worker& worker,
                                             std::vector<bool>& is_taken) const;
    [[nodiscard]] std::string inspect_calm_place(const core::Fleet& fleet,
                                                 const core::Place& place) const;

    const FakeKeeper& keeper_;
    std::vector<Seen> seen_;          // by slot
    std::vector<bool> is_coming_up_;  // by slot, at the end of the turn before
    std::uint32_t coming_up_ = 0;     // so many of them
};

}  // namespace cluster::sim
