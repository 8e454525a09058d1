// Gives back the memory of entries that have expired, in all stores, a piece of the table at a
// time.
//
// Whether a store has entries with a deadline at all is one word of it, looked at whenever this
// process is awake anyway: where nobody gives a time to live it is never woken. While a pass goes
// on this process is a participant of the store, like any worker; what a hostile one makes of the
// segment costs a refusal (store/sweep.hpp), and what a killed one had in its hands is given back
// by its successor.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/time.hpp"
#include "store/sweep.hpp"

namespace cluster::supervisor {

class StoreSweep {
public:
    /// Between the end of a pass over all stores and the next one.
    static constexpr Duration kInterval = std::chrono::seconds{10};
    /// Of one turn, at most about a millisecond; five where all of it has expired.
    static constexpr std::uint64_t kBucketsPerTurn = 16'384;
    /// Between two such turns, so that a pass takes a few percent of the time while it lasts: two
    /// seconds for a store of 64 MiB.
    static constexpr Duration kPause = std::chrono::milliseconds{50};

    /// Requires: the segments stay where they are, as long as this does.
    void on_time(const std::vector<store::Segment*>& segments, Instant now);
    [[nodiscard]] std::optional<Instant> next_deadline() const { return next_at_; }

private:
    void begin_next(const std::vector<store::Segment*>& segments, Instant now);

    std::optional<store::Sweep> sweep_;  // of segments[at_ - 1]
    std::size_t at_ = 0;                 // the next one to be swept in this pass
    std::optional<Instant> next_at_;     // none: no store has deadlines
};

}  // namespace cluster::supervisor
