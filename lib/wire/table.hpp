// The keeper's table: a memfd that the keeper writes and the supervisor maps read-only. It is the
// truth about every process that may exist; messages only say that it is worth a look.
//
// The keeper writes an intent (slot, generation, epoch) before clone3, and the kernel stores the
// pid into the record (CLONE_PARENT_SETTID) before the child can run. So whoever reads the table
// knows every process that may exist. An exit stays until the supervisor releases it; the
// generation stays even then.
//
// Readers are in another process: each SlotRecord is guarded by its `sequence` (odd while it is
// being written), except `pid`, which the kernel writes and which is read as one aligned word. Byte
// tables: PROTOCOL.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace cluster::wire {

inline constexpr std::uint64_t kTableMagic = 0x31454C4241544C43;  // "CLTABLE1" in memory
inline constexpr std::uint32_t kTableVersion = 1;
/// 1,000 workers twice (reload) with room to spare; 128 bytes each, in a file whose untouched pages
/// cost nothing.
inline constexpr std::uint32_t kMaxSlots = 8192;
/// Held descriptors: for every slot both outputs, the message channel and what is remembered of it,
/// the attach socket of its store, and one more. What one process may open bounds it further.
inline constexpr std::uint32_t kMaxHeld = 6 * kMaxSlots;

enum class SlotState : std::uint32_t {
    free = 0,     // never used, or released
    intent = 1,   // clone3 may or may not have happened: `pid` tells (0: it has not)
    running = 2,  // exec succeeded
    exited = 3,   // reaped, waiting for release; also a spawn that failed (failed_op != 0)
};

struct SlotRecord {
    std::uint32_t sequence;  // seqlock
    SlotState state;
    std::uint64_t generation;   // of the current or the last run; survives release
    std::uint64_t epoch;        // as the spawn message gave it
    std::int32_t pid;           // written by the kernel; also the process group and the session
    std::uint32_t group_alive;  // after the exit: 1 while somebody of the process group is left
    std::uint64_t start_ticks;  // /proc/<pid>/stat field 22: proves identity together with pid
    std::int64_t spawned_ns;    // CLOCK_MONOTONIC
    std::int64_t exited_ns;
    std::int32_t exit_code;    // si_code of waitid: CLD_EXITED, CLD_KILLED, CLD_DUMPED
    std::int32_t exit_status;  // si_status: exit code or signal
    std::int32_t failed_op;    // cluster::Op of the failed spawn step; 0: the spawn succeeded
    std::int32_t failed_code;  // its errno
    std::uint32_t failed_op_index;
    std::int32_t
        last_signal;  // newest signal sent to the run on request; 0: none. A successor of the
                      // supervisor sees by it whether a stop signal was sent or only decided
    std::uint64_t user_us;  // CPU time of the run, from rusage at the reap
    std::uint64_t system_us;
    std::uint64_t max_rss_kib;
    std::uint8_t reserved1[24];
};
static_assert(sizeof(SlotRecord) == 128 && std::is_trivially_copyable_v<SlotRecord>);
static_assert(offsetof(SlotRecord, pid) == 24 && offsetof(SlotRecord, spawned_ns) == 40);

struct HeldRecord {
    std::uint16_t kind;  // wire::HeldKind; 0: free
    std::uint16_t index;
    std::uint32_t slot;  // kNoSlot where the descriptor belongs to no run
    std::uint64_t generation;
};
static_assert(sizeof(HeldRecord) == 16 && std::is_trivially_copyable_v<HeldRecord>);

struct TableHeader {
    std::uint64_t magic;
    std::uint32_t version;
    std::uint32_t header_bytes;
    std::uint32_t slot_record_bytes;
    std::uint32_t held_record_bytes;
    std::uint32_t max_slots;
    std::uint32_t max_held;
    std::uint32_t slots_used;  // slots [0, slots_used) may be other than free; never shrinks
    std::uint32_t held_used;   // custody records [0, held_used) may be in use; never shrinks
    std::int32_t keeper_pid;
    std::int32_t supervisor_pid;
    std::uint64_t keeper_start_ticks;
    std::int64_t keeper_started_ns;  // CLOCK_MONOTONIC
    std::uint64_t supervisor_starts;
    std::int64_t supervisor_started_ns;
    std::uint8_t boot_id[16];
    // What a successor of the keeper has to know of it.
    std::uint64_t default_soft_descriptors;  // RLIMIT_NOFILE that runs get; hard 0: not known
    std::uint64_t default_hard_descriptors;
    std::int32_t default_oom_score;       // oom_score_adj that runs get, with the flag behind it
    std::uint32_t has_default_oom_score;  // 0: the keeper's own, untouched
    std::uint32_t is_terminating;         // clusterd got SIGTERM or SIGINT
    std::uint32_t successions;            // how often another keeper has taken over
    std::uint64_t supervisor_start_ticks;  // as in a slot: with supervisor_pid, who it is
    std::uint32_t owed_notices;  // SIGHUP (1) and SIGUSR2 (2) that came while nobody was there
    std::uint8_t reserved[4096 - 140];
};
static_assert(sizeof(TableHeader) == 4096 && std::is_trivially_copyable_v<TableHeader>);

inline constexpr std::uint32_t kOwedReload = 1;
inline constexpr std::uint32_t kOwedRotate = 2;

/// The whole file: header page, slot records, custody records.
struct Table {
    TableHeader header;
    SlotRecord slots[kMaxSlots];  // index: Slot
    HeldRecord held[kMaxHeld];    // index: position in custody, as in fetch and held
};
static_assert(offsetof(Table, slots) == 4096 && offsetof(Table, held) == 4096 + 128 * kMaxSlots);

/// A consistent copy of one record. False when the writer did not leave it alone in a bounded
/// number of tries (it died or stopped in the middle); the copy is then not to be believed.
[[nodiscard]] bool read_slot(const SlotRecord& record, SlotRecord& copy);

/// Brackets a change of one record by the only writer.
class SlotWrite {
public:
    explicit SlotWrite(SlotRecord& record);
    ~SlotWrite();
    SlotWrite(const SlotWrite&) = delete;
    SlotWrite& operator=(const SlotWrite&) = delete;
    SlotRecord* operator->() const { return &record_; }

private:
    SlotRecord& record_;
};

}  // namespace cluster::wire
