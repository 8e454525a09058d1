// One change of one word: a bucket, or a name of the registry.
//
// Everything that a process does to the shared structure goes through here, and in this order: the
// word is named in the intent; blocks are named there and then taken; they are filled; the blocks
// that the change will unlink are named; where the caller wants to know after its death, the change
// is written down; one compare-and-exchange of the word makes it; the unlinked blocks are freed;
// the intent is cleared. Wherever the process dies, the change is
// complete or absent, and what is neither free nor reachable is named.
#pragma once

#include "store/attempt.hpp"
#include "store/blocks.hpp"
#include "store/snapshot.hpp"

namespace cluster::store {

class Change {
public:
    /// Requires: the participant has a slot and makes no other change meanwhile.
    Change(Participant& participant, u64* word, Need need);
    ~Change();
    Change(const Change&) = delete;
    Change& operator=(const Change&) = delete;

    /// Each try is written down there first.
    void write_down(Attempt& attempt) { attempt_ = &attempt; }
    /// Goes on with another word instead, with the blocks taken so far. Requires: nothing was
    /// published.
    void move_to(u64* word);

    /// The block that the new entry is written into; taken once. Errors: as take_block.
    [[nodiscard]] Result<u64*> entry_block(u64 bytes);
    [[nodiscard]] u64 entry_granule() const { return blocks_[kEntry].granule; }
    [[nodiscard]] u64 entry_token() const {
        return Incarnation::of(blocks_[kEntry].state, blocks_[kEntry].granule);
    }

    /// Tries to make the word refer to what it referred to in the snapshot, less the reference at
    /// `remove` (kNone: none), plus the entry block when `add` says so, whose hash is `hash`. False
    /// when the word has changed since the snapshot. Requires: a stable snapshot; the state of the
    /// entry to be removed as it was in that snapshot. Errors: {store, ENOSPC}.
    static constexpr u32 kNone = UINT32_MAX;
    struct Edit {
        u32 remove = kNone;
        u64 removed_state = 0;
        bool add = false;
        u64 hash = 0;
    };
    [[nodiscard]] Result<bool> publish(const Snapshot& snapshot, const Edit& edit);

private:
    static constexpr std::size_t kEntry = 0;
    static constexpr std::size_t kDescriptor = 1;

    [[nodiscard]] Result<u64> describe(const Snapshot& snapshot, const Edit& edit);
    [[nodiscard]] Status need_descriptor(u64 references);
    void give_back(std::size_t which);
    void name_old(const Snapshot& snapshot, const Edit& edit);
    void free_old(const Snapshot& snapshot, const Edit& edit);

    Participant& participant_;
    Segment& segment_;
    Intent& intent_;
    u64* word_;
    Need need_;
    Attempt* attempt_ = nullptr;
    std::array<Block, 2> blocks_{};  // taken and not yet published
};

}  // namespace cluster::store
