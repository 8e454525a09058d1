// A change that is written down before it is made, so that whoever comes after its maker's death
// can tell whether it was.
//
// That follows from the word that was to be changed: its version only grows. Where others have
// changed it since, it follows from the entry that was written for the change: published, it was
// unlinked and freed by one of them, or is named in the intent of one who died over that; never
// published, it is still used, by the dead one's slot.
#pragma once

#include "store/segment.hpp"

namespace cluster::store {

/// Memory of the caller's that outlives it. Zeroed: nothing was tried.
using AttemptWords = std::array<u64, 5>;

/// Requires: the words outlive it.
class Attempt {
public:
    explicit Attempt(AttemptWords& words) : words_(words) {}

    /// The change of the word at this offset to `after`, by which `entry` (an Incarnation) would be
    /// published, is tried next; call before each try. The slot is the maker's.
    void write(const Segment& segment, u64 offset, u64 after, u64 entry, u32 slot);
    void clear() { store_release(&words_[kAfter], 0); }

    /// Whether the change was made. Requires: the maker is dead, and nobody has settled its slot
    /// since. Where that is not so (a joining participant takes the slots of the dead when no other
    /// is left) and the word was changed by others too, it is unknown.
    enum class Outcome : std::uint8_t { made, not_made, unknown };
    [[nodiscard]] Outcome outcome(const Segment& segment) const;

private:
    enum Word : std::size_t { kAfter, kOffset, kEntry, kSlot, kClaim };

    AttemptWords& words_;
};

}  // namespace cluster::store
