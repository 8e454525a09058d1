#include "store/snapshot.hpp"

#include "store/fault.hpp"

namespace cluster::store {

Look take_snapshot(const Segment& segment, const u64* word, Snapshot& snapshot) {
    const Geometry& geometry = segment.geometry();
    snapshot.word = load_acquire(word);
    snapshot.count = 0;
    snapshot.descriptor_state = 0;
    if (Bucket::is_empty(snapshot.word)) return Look::stable;
    const u64 granule = Bucket::granule(snapshot.word);
    if (!Bucket::is_descriptor(snapshot.word)) {
        snapshot.references[0] = granule;
        snapshot.count = 1;
        return geometry.holds(granule, kGranuleBytes) ? Look::stable : Look::broken;
    }
    const auto unsound = [&] {
        return is_unchanged(word, snapshot.word) ? Look::broken : Look::changed;
    };
    if (!geometry.holds(granule, kGranuleBytes)) return Look::broken;
    const u64* descriptor = segment.block(granule);
    snapshot.descriptor_state = load_acquire(descriptor);
    const u64 count = load_relaxed(descriptor + kReferenceCountWord);
    if (count == 0 || count > kMaxReferences || !geometry.holds(granule, descriptor_bytes(count))) {
        return unsound();
    }
    for (u64 i = 0; i < count; ++i) {
        const u64 reference = load_relaxed(descriptor + kFirstReferenceWord + i);
        if (!geometry.holds(Reference::granule(reference), kGranuleBytes)) return unsound();
        snapshot.references[i] = reference;
    }
    const bool is_proven = is_unchanged(word, snapshot.word);
    if (!is_proven && !planted(Fault::unvalidated_snapshot)) return Look::changed;
    snapshot.count = static_cast<u32>(count);
    return Look::stable;
}

}  // namespace cluster::store
