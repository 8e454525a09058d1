#include "keeper/guardian.hpp"

#include <algorithm>

namespace cluster::keeper {

namespace {

using std::chrono::milliseconds;

// Twice at once: a crash is rare and clusterctl waits. Then ever slower up to a second, so that a
// supervisor which cannot start costs next to nothing, and is back within a second once it can.
constexpr std::array<milliseconds, 7> kDelays{
    milliseconds(0),   milliseconds(0),   milliseconds(100), milliseconds(200),
    milliseconds(400), milliseconds(800), milliseconds(1000)};

}  // namespace

void Guardian::on_started(Instant now) {
    started_ = now;
    next_start_.reset();
}

void Guardian::on_died(Instant now) {
    if (now - started_ >= kCalm) deaths_in_row_ = 0;
    next_start_ = now + kDelays[std::min(deaths_in_row_, kDelays.size() - 1)];
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
