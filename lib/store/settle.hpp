// Giving back what the dead had in their hands.
#pragma once

#include "store/segment.hpp"

namespace cluster::store {

/// Looks at the intent of a slot and frees those of its blocks that are neither free nor reachable.
/// Idempotent; may itself be killed anywhere and be done again. Requires: the caller owns the slot
/// by its claim word, and its former owner is dead or has left. Returns how many blocks it freed.
u32 settle_slot(Segment& segment, u32 slot);

}  // namespace cluster::store
