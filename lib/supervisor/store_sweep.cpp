#include "supervisor/store_sweep.hpp"

#include <algorithm>

namespace cluster::supervisor {

/// Goes on to the next store with deadlines; with none left the pass is over, and whether there
/// will be another one shows when it is due.
void StoreSweep::begin_next(const std::vector<store::Segment*>& segments, Instant now) {
    while (at_ < segments.size()) {
        store::Segment& segment = *segments[at_++];
        if (!store::Sweep::is_due(segment)) continue;
        auto sweep = store::Sweep::begin(segment);
        if (!sweep) continue;  // every slot is taken: another time
        sweep_.emplace(std::move(*sweep));
        next_at_ = now + kPause;
        return;
    }
    at_ = 0;
    next_at_ = now + kInterval;
}

void StoreSweep::on_time(const std::vector<store::Segment*>& segments, Instant now) {
    const bool is_in_pass = sweep_ || at_ != 0;
    if (!is_in_pass) {
        const bool is_due = std::any_of(segments.begin(), segments.end(), [](const auto* segment) {
            return store::Sweep::is_due(*segment);
        });
        if (!is_due) return next_at_.reset();
        if (!next_at_) next_at_ = now + kInterval;
    }
    if (!next_at_ || now < *next_at_) return;
    if (!sweep_) return begin_next(segments, now);
    next_at_ = now + kPause;
    if (!sweep_->step(kBucketsPerTurn)) return;
    sweep_.reset();
    begin_next(segments, now);
}

}  // namespace cluster::supervisor
