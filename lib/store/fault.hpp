// Mistakes that the crash tests plant into the store, to prove that they would be found.
//
// Only the library that those tests build with CLUSTER_STORE_FAULTS has them; in every other build
// `planted` is a constant and leaves nothing behind.
#pragma once

#include <cstdint>

namespace cluster::store {

enum class Fault : std::uint8_t {
    none,
    missing_fresh_intent,    // a block is taken without having been named
    missing_old_intent,      // a block is unlinked without having been named
    free_before_publish,     // the old blocks are given back before the bucket is changed
    version_not_advanced,    // taking a block leaves its version as it was
    bucket_version_kept,     // changing a bucket leaves its version as it was
    skipped_owner_check,     // settling frees a block that somebody else took
    settle_reachable,        // settling frees what the bucket still refers to
    no_rollback,             // a change that is given up keeps its blocks
    publish_before_fill,     // the bucket is changed before the entry is written
    intent_cleared_early,    // the intent goes before the old blocks are free
    intent_word_late,        // the fresh block is named before the word that it is for
    unvalidated_snapshot,    // old blocks are named from a bucket that may have changed
    unchecked_read,          // a value is believed without the second look
    settle_clears_first,     // settling forgets the intent and then acts on it
    claim_without_settling,  // a slot of the dead is used as if it were clean
    deadline_unsaid,         // settling forgets that the dead one may have set a deadline
    attempt_late,            // a change is written down after it was made
    // A fence that is missing shows on no x86, so these do by hand what another processor could
    // then do: move the loads behind a fence before it, and the stores as well.
    read_fence_missing,  // the second look at a bucket comes before the value is copied
    take_fence_missing,  // a block is written to before it is taken
    count
};

#if defined(CLUSTER_STORE_FAULTS)
extern Fault planted_fault;
[[nodiscard]] inline bool planted(Fault fault) {
    return planted_fault == fault;
}
#else
[[nodiscard]] constexpr bool planted(Fault /*fault*/) {
    return false;
}
#endif

}  // namespace cluster::store
