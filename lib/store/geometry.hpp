// Where the regions of a segment lie: a pure function of four numbers.
//
// Whoever attaches a segment computes this again from the numbers in its header and refuses a
// header that says anything else, so that every offset used later is known to be sound.
#pragma once

#include "base/result.hpp"
#include "store/layout.hpp"

namespace cluster::store {

struct SegmentOptions {
    u64 bytes = u64{64} << 20U;
    u32 counters = 4096;      // rounded up to a power of two
    u32 participants = 1024;  // threads of workers that write at the same time
    u32 striped = 64;         // striped counters, a cell per participant each
};

struct Geometry {
    u64 bytes = 0;
    u32 counters = 0;
    u32 participants_count = 0;
    u32 striped = 0;
    u32 chunk_count = 0;
    Region participants;
    Region stripe_owners;
    Region stripes;  // a row per participant, a column per striped counter
    Region registry;
    Region cells;
    Region hints;
    Region chunk_classes;
    Region buckets;
    Region references;  // a byte per granule of the chunks; reserved for eviction
    Region chunks;

    [[nodiscard]] std::array<Region, 16> table() const;
    [[nodiscard]] u64 first_granule() const { return chunks.offset / kGranuleBytes; }
    /// True for a bucket and for a name of the registry: the words that changes are made to.
    [[nodiscard]] bool can_be_changed(u64 word_offset) const {
        return is_word_of(buckets, word_offset) || is_word_of(registry, word_offset);
    }
    /// True for the first granule of something that lies in the chunks, with `need` bytes behind
    /// it.
    [[nodiscard]] bool holds(u64 granule, u64 need) const {
        const u64 from = granule * kGranuleBytes;
        return from >= chunks.offset && from + need <= chunks.offset + chunks.bytes;
    }

private:
    [[nodiscard]] static bool is_word_of(const Region& region, u64 word_offset) {
        return word_offset >= region.offset &&
               word_offset < region.offset + region.count * region.stride &&
               (word_offset - region.offset) % region.stride == 0;
    }
};

/// The least `bytes` with which such options make a segment.
[[nodiscard]] u64 minimum_bytes(const SegmentOptions& options);

/// Errors: {store, ENOSPC} when `bytes` is below minimum_bytes; {store, EFBIG} above 16 GiB;
/// {store, EINVAL} for a count out of range (participants 1 … 16384, counters 1 … 2^20, striped 0 …
/// 4096).
[[nodiscard]] Result<Geometry> plan_geometry(const SegmentOptions& options);

}  // namespace cluster::store
