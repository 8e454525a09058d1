// The clocks. A loop asks once per turn and passes the value down; nothing below a shell includes
// this.
#pragma once

#include <cstdint>

#include "base/time.hpp"

namespace cluster::sys {

/// CLOCK_MONOTONIC.
[[nodiscard]] Instant monotonic_now();

/// CLOCK_REALTIME in milliseconds since 1970, for what people read. Never for policy.
[[nodiscard]] std::int64_t wall_ms();

}  // namespace cluster::sys
