// The last exits of one instance, in the state memfd: what `describe` lists. Byte table: STATE.md.
//
// A ring of entries that are written once each, never changed: payload, then checksum, then
// sequence. A kill in the middle leaves one entry whose checksum is wrong, in the place of the
// oldest exit, which was to go anyway; every other entry stays whole. A ring that was never written
// costs no memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <vector>

namespace cluster::supervisor {

inline constexpr std::size_t kExitsKept = 20;

struct ExitEntry {
    std::uint64_t generation;  // of the run; 0: not known
    std::int64_t at_ns;        // CLOCK_MONOTONIC
    std::int64_t uptime_ns;    // -1: it never ran, or is not known
    std::int32_t pid;          // 0: it never ran, or is not known
    std::int32_t value;        // as PlaceRecord::exit_value, and so on
    std::int32_t op;
    std::uint8_t kind;
    std::uint8_t reason;
    std::uint8_t dumped;
    std::uint8_t reserved;

    friend bool operator==(const ExitEntry&, const ExitEntry&) = default;
};
static_assert(sizeof(ExitEntry) == 40 && std::is_trivially_copyable_v<ExitEntry>);

struct StoredExit {
    std::uint64_t sequence;  // counts the exits of the instance from 1; 0: never written
    std::uint64_t checksum;  // of sequence and entry
    ExitEntry entry;
};
static_assert(sizeof(StoredExit) == 56);

struct ExitRing {
    StoredExit exits[kExitsKept];
};
static_assert(sizeof(ExitRing) == 1120);

/// Whole entries, oldest first.
[[nodiscard]] std::vector<ExitEntry> read_exits(const ExitRing& ring);

/// Adds it, in the place of the oldest one when the ring is full. An entry of the same instant as
/// the newest one is that one again (a successor that repeats), and is left out.
void append_exit(ExitRing& ring, const ExitEntry& entry);

/// Leaves a ring that was never written alone, so that it goes on costing nothing. Requires: the
/// caller knows that it may have been written.
void clear_exits(ExitRing& ring);

}  // namespace cluster::supervisor
