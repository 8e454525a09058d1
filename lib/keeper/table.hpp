// The keeper's bookkeeping over the shared table: which runs exist, how they ended, whose process
// groups linger.
//
// Pure: plain memory, no system call, no clock; every change of a shared record is bracketed for
// its readers. The rules of identity live here: a generation only grows, a slot is free only after
// its exit was released, and a run that the table already knows is never spawned again. Large;
// allocated once at the start of the keeper.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/ids.hpp"
#include "base/result.hpp"
#include "base/time.hpp"
#include "keeper/chain_index.hpp"
#include "sys/process.hpp"
#include "wire/table.hpp"

namespace cluster::keeper {

class SlotTable {
public:
    /// Writes the constant fields of the header. Requires: `shared` is zeroed and outlives this.
    explicit SlotTable(wire::Table& shared);
    SlotTable(const SlotTable&) = delete;
    SlotTable& operator=(const SlotTable&) = delete;

    /// Takes over the records of a predecessor's table, whose writer is gone or is this process.
    /// What was only begun of a record when the writer was killed counts as not written. Requires:
    /// no slot is in use.
    void resume(const wire::Table& old);

    enum class Admission {
        fresh,  // the slot is free and the generation is new
        known,  // this very run is in the table: a request that was sent again
    };
    /// May this run be spawned? Errors: {message, EINVAL} no such slot, or generation 0;
    /// {table_full, EEXIST} another run has the slot; {message, EEXIST} the generation was used
    /// before.
    [[nodiscard]] Result<Admission> admit(Run run) const;

    /// Writes the intent. Returns where the kernel is to store the pid. `ticks`: what the start
    /// time of a process would be that is made at once (sys::ticks_now). Requires: admit(run) said
    /// fresh.
    [[nodiscard]] std::int32_t* begin_spawn(Run run, Epoch epoch, Instant now, std::uint64_t ticks);
    /// The pid is in its cell and exec succeeded. Requires: begin_spawn.
    void note_running(Slot slot, std::uint64_t start_ticks);
    /// Nothing runs. Requires: begin_spawn.
    void note_failed(Slot slot, const sys::SpawnFailure& failure, Instant now);
    /// The intent of a predecessor that died before the clone: as if it had not been asked for.
    /// Requires: an intent without a pid.
    void note_not_begun(Slot slot);
    /// A signal was sent to the run. Requires: the run is known.
    void note_signal(Slot slot, int signal);

    /// The slot whose leader is our child, has this pid and is not reaped yet.
    [[nodiscard]] std::optional<Slot> find_leader(std::int32_t pid) const;
    /// The leader is no child of ours: whoever reaps it gives its number away, and find_leader() is
    /// not to find it by that. Requires: it is running.
    void note_foreign(Slot slot);
    /// Requires: the slot's run is running.
    void note_exited(Slot slot, const sys::Reaped& exit, bool is_group_alive, Instant now);

    /// Exited runs, not released, of whose group somebody was left when last looked.
    [[nodiscard]] std::span<const Slot> lingering() const { return lingering_; }
    /// The group of an exited run is empty. Nothing happens when the slot does not linger.
    void note_group_gone(Slot slot);

    /// The exit was taken note of. Releasing twice is fine. Errors: {message, ESRCH} not the slot's
    /// run; {message, EBUSY} the run has not ended.
    [[nodiscard]] Status release(Run run);

    /// Null when `run` is not the current or last run of its slot.
    [[nodiscard]] const wire::SlotRecord* find(Run run) const;
    [[nodiscard]] const wire::SlotRecord& record(Slot slot) const {
        return shared_.slots[slot.value];
    }
    /// Runs that have not ended.
    [[nodiscard]] std::uint32_t live_count() const { return live_count_; }
    [[nodiscard]] std::uint32_t slots_used() const { return shared_.header.slots_used; }

private:
    wire::Table& shared_;
    ChainIndex<wire::kMaxSlots> leaders_;
    std::vector<Slot> lingering_;  // room for every slot is taken at the start
    std::uint32_t live_count_ = 0;
};

}  // namespace cluster::keeper
