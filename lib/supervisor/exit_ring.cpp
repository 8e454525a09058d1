#include "supervisor/exit_ring.hpp"

#include <algorithm>
#include <atomic>
#include <span>

#include "supervisor/checksum.hpp"

namespace cluster::supervisor {
namespace {

std::uint64_t checksum_of(std::uint64_t sequence, const ExitEntry& entry) {
    return checksum(sequence, std::as_bytes(std::span{&entry, 1}));
}

bool is_whole(const StoredExit& stored) {
    return stored.sequence != 0 && stored.checksum == checksum_of(stored.sequence, stored.entry);
}

/// The newest whole one; null: none.
const StoredExit* newest(const ExitRing& ring) {
    const StoredExit* found = nullptr;
    for (const StoredExit& stored : ring.exits) {
        const bool is_newer = found == nullptr || stored.sequence > found->sequence;
        if (is_whole(stored) && is_newer) found = &stored;
    }
    return found;
}

}  // namespace

std::vector<ExitEntry> read_exits(const ExitRing& ring) {
    std::vector<const StoredExit*> whole;
    for (const StoredExit& stored : ring.exits) {
        if (is_whole(stored)) whole.push_back(&stored);
    }
    std::sort(whole.begin(), whole.end(),
              [](const StoredExit* a, const StoredExit* b) { return a->sequence < b->sequence; });
    std::vector<ExitEntry> exits;
    for (const StoredExit* stored : whole) exits.push_back(stored->entry);
    return exits;
}

void append_exit(ExitRing& ring, const ExitEntry& entry) {
    const StoredExit* last = newest(ring);
    if (last != nullptr && last->entry.at_ns == entry.at_ns) return;
    const std::uint64_t sequence = last == nullptr ? 1 : last->sequence + 1;
    StoredExit& stored = ring.exits[sequence % kExitsKept];
    stored.entry = entry;
    stored.checksum = checksum_of(sequence, entry);
    // A kill keeps program order; only the compiler must not move the stores.
    std::atomic_signal_fence(std::memory_order_seq_cst);
    stored.sequence = sequence;
    std::atomic_signal_fence(std::memory_order_seq_cst);
}

void clear_exits(ExitRing& ring) {
    for (StoredExit& stored : ring.exits) {
        if (stored.sequence != 0) stored = StoredExit{};
    }
}

}  // namespace cluster::supervisor
