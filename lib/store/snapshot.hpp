// What a bucket refers to, at one moment.
#pragma once

#include "store/segment.hpp"

namespace cluster::store {

/// How often a loop tries again because others were faster. Only a peer that changes one bucket
/// without pause makes anybody reach it; that one gets {store, EBUSY}.
inline constexpr u32 kMaxAttempts = 1U << 16U;

struct Snapshot {
    u64 word = 0;
    u64 descriptor_state = 0;  // of the descriptor block, when there is one
    u32 count = 0;
    std::array<u64, kMaxReferences> references;  // only the first `count` mean something

    [[nodiscard]] bool refers_to(u64 granule) const {
        if (Bucket::granule(word) == granule) return true;
        for (u32 i = 0; i < count; ++i) {
            if (Reference::granule(references[i]) == granule) return true;
        }
        return false;
    }
};

enum class Look : std::uint8_t {
    stable,   // all of it was true at one moment
    changed,  // somebody was faster: look again
    broken,   // the bucket holds what no participant writes
};

/// True when the word is still what it was. Everything read from the segment since then is what it
/// was too.
[[nodiscard]] inline bool is_unchanged(const u64* word, u64 value) {
    std::atomic_thread_fence(std::memory_order_acquire);
    return load_relaxed(word) == value;
}

/// One look, without trying again. The reference of a single entry has no tag.
[[nodiscard]] Look take_snapshot(const Segment& segment, const u64* word, Snapshot& snapshot);

}  // namespace cluster::store
