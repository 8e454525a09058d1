#include "store/attempt.hpp"

#include "store/fault.hpp"
#include "store/snapshot.hpp"

namespace cluster::store {
namespace {

/// Whether somebody has named the entry as one that he unlinks, which he can only have seen where
/// it was published.
bool is_named_as_old(const Segment& segment, u64 entry) {
    for (u32 i = 0; i < segment.geometry().participants_count; ++i) {
        for (const u64& old : segment.slot(i).intent.old) {
            if (load_acquire(&old) == entry) return true;
        }
    }
    return false;
}

bool is_reachable(const Segment& segment, u64 offset, u64 granule) {
    Snapshot snapshot;
    for (u32 i = 0; i < kMaxAttempts; ++i) {
        const Look look = take_snapshot(segment, segment.word_at(offset), snapshot);
        if (look == Look::changed) continue;
        return look == Look::stable && snapshot.refers_to(granule);
    }
    return false;
}

}  // namespace

void Attempt::write(const Segment& segment, u64 offset, u64 after, u64 entry, u32 slot) {
    clear();
    store_release(&words_[kOffset], offset);
    store_release(&words_[kEntry], entry);
    store_release(&words_[kSlot], slot);
    store_release(&words_[kClaim], load_relaxed(&segment.slot(slot).claim));
    if (!planted(Fault::attempt_late)) store_release(&words_[kAfter], after);
}

Attempt::Outcome Attempt::outcome(const Segment& segment) const {
    const u64 after = load_acquire(&words_[kAfter]);
    const u64 offset = words_[kOffset];
    const u64 slot = words_[kSlot];
    if (after == 0) return Outcome::not_made;
    if (!segment.geometry().can_be_changed(offset) ||
        slot >= segment.geometry().participants_count) {
        return Outcome::unknown;
    }
    const u64 now = load_acquire(segment.word_at(offset));
    if (now == after) return Outcome::made;
    // Versions wrap around after 2^35 changes.
    constexpr u64 kVersions = u64{1} << 35U;
    const u64 further = (Bucket::version(now) - Bucket::version(after)) % kVersions;
    if (further == 0 || further > kVersions / 2) return Outcome::not_made;
    // Others have changed it since: before it could be, or after it was.
    const u64 entry = words_[kEntry];
    const u64 granule = Incarnation::granule(entry);
    if (segment.class_of_block(granule) == kClasses) return Outcome::unknown;
    const auto is_used = [&] {
        const u64 state = load_acquire(segment.block(granule));
        return BlockState::is_used(state) && Incarnation::matches(entry, state);
    };
    if (is_used()) {
        if (is_reachable(segment, offset, granule)) return Outcome::made;
        if (is_named_as_old(segment, entry)) return Outcome::made;
        // Whoever unlinked it may have freed it while nobody was found to have named it.
        if (is_used()) return Outcome::not_made;
    }
    const bool is_settled = load_acquire(&segment.slot(static_cast<u32>(slot)).claim) !=
                            words_[kClaim];
    return is_settled ? Outcome::unknown : Outcome::made;
}

}  // namespace cluster::store
