#include "keeper/guardian.hpp"

#include "base/retry.hpp"

namespace cluster::keeper {

void Guardian::on_started(Instant now) {
    started_ = now;
    next_start_.reset();
}

void Guardian::on_died(Instant now) {
    if (now - started_ >= kCalm) deaths_in_row_ = 0;
    next_start_ = now + retry_delay(deaths_in_row_);
    ++deaths_in_row_;

    recent_[recent_count_ % recent_.size()] = now;
    ++recent_count_;
    if (recent_count_ < kDeathsUntilOther) return;
    const Instant oldest = recent_[recent_count_ % recent_.size()];
    if (now - oldest > kCalm) return;
    prefers_previous_ = !prefers_previous_;
    recent_count_ = 0;
}

}  // namespace cluster::keeper
