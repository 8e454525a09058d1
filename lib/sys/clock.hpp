// The clocks. A loop asks once per turn and passes the value down; nothing below a shell includes
// this.
#pragma once

#include <cstdint>

#include "base/time.hpp"

namespace cluster::sys {

/// CLOCK_MONOTONIC.
[[nodiscard]] Instant monotonic_now();

/// CLOCK_MONOTONIC_COARSE: the same clock as of the last tick (1 to 10 ms ago), at a quarter of the
/// cost.
[[nodiscard]] Instant monotonic_coarse_now();

/// CLOCK_REALTIME in milliseconds since 1970, for what people read. Never for policy.
[[nodiscard]] std::int64_t wall_ms();

}  // namespace cluster::sys
