#include "store/settle.hpp"

#include "store/fault.hpp"
#include "store/snapshot.hpp"

namespace cluster::store {
namespace {

void clear(Intent& intent) {
    for (u64& fresh : intent.fresh) store_release(&fresh, 0);
    for (u64& old : intent.old) store_release(&old, 0);
    store_release(&intent.word, 0);
}

/// Frees the block if it is still the incarnation that the dead one meant, and out of reach. That
/// it is out of reach is true for good: the dead publish nothing, and everybody else refers to what
/// was in the bucket. `owner` is kMaxParticipants where it may be anyone's.
bool free_unless_reachable(Segment& segment, const Snapshot& snapshot, u64 incarnation, u32 owner) {
    const u64 granule = Incarnation::granule(incarnation);
    if (incarnation == 0 || segment.class_of_block(granule) == kClasses) return false;
    u64* state_word = segment.block(granule);
    const u64 state = load_acquire(state_word);
    if (!BlockState::is_used(state) || !Incarnation::matches(incarnation, state)) return false;
    // Somebody else may have won the block that the dead one reached for.
    const bool is_others = owner != kMaxParticipants && BlockState::owner(state) != owner;
    if (is_others && !planted(Fault::skipped_owner_check)) return false;
    if (snapshot.refers_to(granule) && !planted(Fault::settle_reachable)) return false;
    return change_word(state_word, state, BlockState::freed(state));
}

}  // namespace

u32 settle_slot(Segment& segment, u32 slot) {
    Intent& intent = segment.slot(slot).intent;
    const u64 offset = load_acquire(&intent.word);
    std::array<u64, 2> fresh{};
    std::array<u64, 2> old{};
    for (std::size_t i = 0; i < 2; ++i) {
        fresh[i] = load_acquire(&intent.fresh[i]);
        old[i] = load_acquire(&intent.old[i]);
    }
    if (offset == 0 && (fresh[0] | fresh[1] | old[0] | old[1]) == 0) return 0;
    // Killed between the two, it may have published an entry with a deadline and not said so.
    if (fresh[0] != 0 && !planted(Fault::deadline_unsaid)) {
        store_relaxed(&segment.live().deadlines, static_cast<u64>(DeadlineHint::some));
    }
    if (planted(Fault::settle_clears_first)) clear(intent);

    u32 freed = 0;
    if (segment.geometry().can_be_changed(offset)) {
        Snapshot snapshot;
        Look look = Look::changed;
        for (u32 i = 0; i < kMaxAttempts && look == Look::changed; ++i) {
            look = take_snapshot(segment, segment.word_at(offset), snapshot);
        }
        if (look == Look::stable) {
            for (const u64 incarnation : fresh) {
                freed += free_unless_reachable(segment, snapshot, incarnation, slot) ? 1U : 0U;
            }
            for (const u64 incarnation : old) {
                freed += free_unless_reachable(segment, snapshot, incarnation, kMaxParticipants)
                             ? 1U
                             : 0U;
            }
        }
    }
    clear(intent);
    if (freed != 0) add_relaxed(&segment.live().settled_blocks, freed);
    return freed;
}

}  // namespace cluster::store
