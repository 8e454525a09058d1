#include "core/limits.hpp"

#include <algorithm>

namespace cluster::core {

bool would_exceed(const RestartLimit& limit, const History& history, Instant at) {
    const std::uint32_t count = std::clamp(limit.count, 1U, kMaxRestartLimitCount);
    if (history.restart_count < count) return false;
    // Restarts are noted in order of time, so the count-th newest alone answers for all before it.
    const std::size_t index = (history.restart_count - count) % kMaxRestartLimitCount;
    return at - history.restart_times[index] < limit.window;
}

void note_restart(History& history, Instant at) {
    if (history.restart_times.size() < kMaxRestartLimitCount) {
        history.restart_times.push_back(at);
    } else {
        history.restart_times[history.restart_count % kMaxRestartLimitCount] = at;
    }
    ++history.restart_count;
    ++history.restarts;
}

void forget_restarts(History& history) {
    history.restarts = 0;
    history.failures_in_row = 0;
    history.restart_times.clear();
    history.restart_count = 0;
}

}  // namespace cluster::core
