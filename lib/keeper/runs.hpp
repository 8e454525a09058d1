// The runs themselves: spawning by plan, signalling, reaping and the lingering of process groups,
// each step recorded in the table. No choice is made here: what to spawn and when to signal comes
// from outside.
//
// Identity of a run is its pidfd and its place in the table; a pid is signalled only while the
// kernel cannot have given it to anybody else: before the reap, or while its process group has a
// member. Owns: the pidfds.
#pragma once

#include <array>
#include <bitset>
#include <cstdint>
#include <functional>
#include <span>

#include "base/ids.hpp"
#include "base/result.hpp"
#include "base/time.hpp"
#include "keeper/adopted.hpp"
#include "keeper/estate.hpp"
#include "keeper/run_plan.hpp"
#include "keeper/table.hpp"
#include "sys/fd.hpp"
#include "sys/process.hpp"
#include "wire/message.hpp"
#include "wire/table.hpp"

namespace cluster::keeper {

class Runs {
public:
    /// Called with the slot whose record says something new about a run that had been answered
    /// before.
    using Changed = std::function<void(Slot)>;

    Runs(wire::Table& shared, Changed changed);

    /// Takes over a predecessor's runs, with the pidfds among its items. Those that are no children
    /// of ours are watched by `adopted`, under their slots; its reports are for on_ended(). A run
    /// of which no process is left, and nobody knows how it ended, has ended. Requires: no run is
    /// known. Errors: {pidfd, errno}, {epoll, errno}: a run that lives would be lost sight of.
    [[nodiscard]] Status resume(Estate& estate, Adopted& adopted, Instant now);

    /// Spawns what the plan in `plan_file` says; a run that the table already knows is not spawned
    /// again. Success means that the table tells the outcome (make_answer); a refusal leaves the
    /// table as it was. Errors: those of SlotTable::admit and PlanRunner::load.
    [[nodiscard]] Status spawn(Run run, Epoch epoch, int plan_file, std::span<const int> fds,
                               const ChildDefaults& defaults, Instant now);
    /// The outcome of a spawn, from the table. Requires: the table knows the run.
    [[nodiscard]] wire::Message make_answer(Run run) const;
    /// The handle of a run that has not ended; -1 for any other.
    [[nodiscard]] int pidfd(Run run) const;

    /// To the whole process group. Errors: {signal, ESRCH} the run is not known, or nobody alive is
    /// left of it; {signal, EPERM}; {signal, EINVAL}.
    [[nodiscard]] Status signal(Run run, const wire::Signal& wanted);
    [[nodiscard]] Status release(Run run) { return slots_.release(run); }

    /// True when it was the leader of a run, whose exit is recorded then.
    bool on_reaped(const sys::Reaped& exit, Instant now);
    /// The leader of an adopted run is dead.
    void on_ended(Slot slot, const sys::Reaped& exit, Instant now);
    /// Looks again at the groups that outlived their leaders. To be called after reaping: orphans
    /// of those groups end up with us.
    void check_groups();
    /// Groups are left whose orphans do not end up with us: only looking tells when they are gone.
    [[nodiscard]] bool has_foreign_groups() const;

    /// To every group of which somebody may be left.
    void signal_all(int signal, bool then_continue);
    /// Runs that have not ended.
    [[nodiscard]] std::uint32_t live_count() const { return slots_.live_count(); }
    /// Nobody is left, not even of a group whose leader is gone.
    [[nodiscard]] bool is_empty() const {
        return slots_.live_count() == 0 && slots_.lingering().empty();
    }
    /// The memory and the child's half are shared with the start of the supervisor: one spawn at a
    /// time.
    [[nodiscard]] PlanRunner& plan_runner() { return plan_runner_; }

private:
    void note_group_gone(Slot slot);
    [[nodiscard]] bool is_anybody_left(Slot slot) const;
    [[nodiscard]] Status resume_run(Slot slot, sys::UniqueFd pidfd, Adopted& adopted,
                                    Instant now);
    [[nodiscard]] Status signal_leader(Slot slot, int signal);
    [[nodiscard]] Status signal_remains(Slot slot, int signal);

    SlotTable slots_;
    PlanRunner plan_runner_;
    std::array<sys::UniqueFd, wire::kMaxSlots> pidfds_;  // open while the run is running
    /// By slot: the leader, or whoever its group's orphans go to, is not ours to reap.
    std::bitset<wire::kMaxSlots> is_foreign_;
    Changed changed_;
};

}  // namespace cluster::keeper
