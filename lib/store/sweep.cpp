#include "store/sweep.hpp"

namespace cluster::store {
namespace {

constexpr u64 number_of(DeadlineHint hint) {
    return static_cast<u64>(hint);
}

}  // namespace

bool Sweep::is_due(const Segment& segment) {
    return load_relaxed(&segment.live().deadlines) != number_of(DeadlineHint::none);
}

Result<Sweep> Sweep::begin(Segment& segment) {
    auto me = Participant::join(segment);
    if (!me) return tl::unexpected<Error>(me.error());
    // Whoever publishes a deadline from here on writes `some`, and whatever was published before is
    // there to be met. A pass that is given up leaves a hint that asks for the next one.
    std::atomic_ref<u64>(segment.live().deadlines).exchange(number_of(DeadlineHint::sweeping));
    return Sweep{segment, std::move(*me)};
}

bool Sweep::step(u64 buckets) {
    Table table{*segment_};
    const auto is_at_end = table.sweep(me_, cursor_, buckets, swept_);
    if (!is_at_end) {
        // A full store that has no block for the change, or somebody who never rests: later.
        ++swept_.waiting;
        ++cursor_.bucket;
        return cursor_.bucket >= segment_->geometry().buckets.count;
    }
    if (!*is_at_end) return false;
    u64* hint = &segment_->live().deadlines;
    u64 expected = number_of(DeadlineHint::sweeping);
    if (swept_.waiting != 0) {
        store_relaxed(hint, number_of(DeadlineHint::some));
    } else {
        (void)compare_exchange(hint, expected, number_of(DeadlineHint::none));
    }
    return true;
}

}  // namespace cluster::store
