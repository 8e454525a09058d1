// One pass over the whole table that gives back the memory of what has expired.
//
// For the daemon, a piece at a time between other things; the table does the same for itself only
// when it is full (table.hpp). Like everything here it believes nothing that the segment says.
#pragma once

#include "store/table.hpp"

namespace cluster::store {

class Sweep {
public:
    /// False when no entry has a deadline, as far as is known: a look at one word.
    [[nodiscard]] static bool is_due(const Segment& segment);

    /// Takes part in the segment until it is destroyed. Requires: the segment outlives it and is
    /// not moved. Errors: as Participant::join.
    [[nodiscard]] static Result<Sweep> begin(Segment& segment);

    /// The next so many buckets, or fewer where one of them is in the way. True: that was the end.
    [[nodiscard]] bool step(u64 buckets);
    [[nodiscard]] u32 removed() const { return swept_.removed; }

private:
    Sweep(Segment& segment, Participant me) : segment_(&segment), me_(std::move(me)) {}

    Segment* segment_;
    Participant me_;
    Cursor cursor_;
    Swept swept_;
};

}  // namespace cluster::store
