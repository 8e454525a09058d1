// When something is started again that must not stay away: the supervisor by the keeper, and a keeper
// by the supervisor.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>

#include "base/time.hpp"

namespace cluster {

/// Before the first attempt after a death, the second …: twice at once, since a crash is rare and
/// clusterctl waits; then ever slower up to a second, so that what cannot start costs next to
/// nothing, and is back within a second once it can.
[[nodiscard]] inline Duration retry_delay(std::size_t attempt) {
    using std::chrono::milliseconds;
    constexpr std::array<milliseconds, 7> kDelays{
        milliseconds(0),   milliseconds(0),   milliseconds(100), milliseconds(200),
        milliseconds(400), milliseconds(800), milliseconds(1000)};
    return kDelays[std::min(attempt, kDelays.size() - 1)];
}

}  // namespace cluster
