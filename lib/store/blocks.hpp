// Blocks: taking one out of the shared chunks and giving it back.
//
// A block is free or used by what its own first word says, and nothing else: there is no free list
// that somebody could die in. Where free blocks may be is only a hint: a private stack per
// participant, a lossy ring and a scan position per size class.
#pragma once

#include "store/participant.hpp"

namespace cluster::store {

struct Block {
    u64 granule = 0;  // 0 is none
    u64 state = 0;    // its first word, as long as it is ours
    u32 size_class = 0;
};

/// How far an allocation may go when memory is short.
enum class Need : std::uint8_t {
    ordinary,  // a block of at most eight times the size will do
    to_free,   // this change gives memory back: any block, and the reserved chunk
};

/// A block of at least so many bytes, named in *intent before it is taken. Requires: the
/// participant has a slot. Errors: {store, ENOSPC}.
[[nodiscard]] Result<Block> take_block(Participant& participant, u64* intent, u64 bytes, Need need);

/// Frees exactly this incarnation. False when somebody else has done so already.
bool free_block(Participant& participant, u64 granule, u64 state);

}  // namespace cluster::store
