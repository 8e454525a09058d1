// What is in a segment, counted by looking at it. Nothing that others wrote down about it is
// believed, but for the two numbers about the dead, which nothing else tells.
#pragma once

#include "store/segment.hpp"

namespace cluster::store {

struct ClassCensus {
    u32 block_bytes = 0;
    u32 chunks = 0;
    u64 used_blocks = 0;
    u64 free_blocks = 0;  // within the chunks of the class
};

struct Census {
    u64 keys = 0;   // entries, expired ones too until they are swept
    u64 bytes = 0;  // of their keys and values
    u32 counters = 0;
    u32 participants = 0;  // slots that are taken
    u32 free_chunks = 0;   // of 1 MiB, the reserved one included
    u64 settled_participants = 0;
    u64 settled_blocks = 0;
    std::array<ClassCensus, kClasses> classes{};
};

/// Visits every bucket and every block: about 10 ms for a full 64 MiB, so a job or a client does
/// it, not a loop. Exact when nobody writes, else a picture of no single moment.
[[nodiscard]] Census take_census(const Segment& segment);

}  // namespace cluster::store
