#include "store/census.hpp"

#include "store/snapshot.hpp"

namespace cluster::store {
namespace {

void count_entries(const Segment& segment, Census& census) {
    for (u64 i = 0; i < segment.geometry().buckets.count; ++i) {
        Snapshot snapshot;
        const u64* word = segment.bucket(i);
        if (Bucket::is_empty(load_relaxed(word))) continue;
        Look look = Look::changed;
        for (u32 attempt = 0; attempt < 16 && look == Look::changed; ++attempt) {
            look = take_snapshot(segment, word, snapshot);
        }
        if (look != Look::stable) continue;
        census.keys += snapshot.count;
        for (u32 k = 0; k < snapshot.count; ++k) {
            const u64* block = segment.block(Reference::granule(snapshot.references[k]));
            const Lengths lengths = Lengths::of(load_relaxed(block + kLengthsWord));
            census.bytes += u64{lengths.key} + lengths.value;
        }
    }
}

void count_blocks(const Segment& segment, Census& census) {
    for (u32 chunk = 0; chunk < segment.geometry().chunk_count; ++chunk) {
        const u32 size_class = segment.class_of_chunk(chunk);
        if (size_class == kClasses) {
            ++census.free_chunks;
            continue;
        }
        ClassCensus& count = census.classes[size_class];
        ++count.chunks;
        for (u32 i = 0; i < blocks_per_chunk(size_class); ++i) {
            const u64 granule = segment.chunk_granule(chunk) + u64{i} * class_granules(size_class);
            const bool is_used = BlockState::is_used(load_relaxed(segment.block(granule)));
            ++(is_used ? count.used_blocks : count.free_blocks);
        }
    }
}

}  // namespace

Census take_census(const Segment& segment) {
    Census census;
    for (u32 i = 0; i < kClasses; ++i) {
        census.classes[i].block_bytes = class_granules(i) * static_cast<u32>(kGranuleBytes);
    }
    count_entries(segment, census);
    count_blocks(segment, census);
    for (u32 i = 0; i < segment.geometry().counters; ++i) {
        census.counters += Bucket::is_empty(load_relaxed(&segment.place(i).name)) ? 0U : 1U;
    }
    for (u32 i = 0; i < segment.geometry().participants_count; ++i) {
        census.participants += load_relaxed(&segment.slot(i).claim) == 0 ? 0U : 1U;
    }
    census.settled_participants = load_relaxed(&segment.live().settled_participants);
    census.settled_blocks = load_relaxed(&segment.live().settled_blocks);
    return census;
}

}  // namespace cluster::store
