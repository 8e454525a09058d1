// How long to wait before the next automatic restart.
#pragma once

#include <cstdint>

#include "base/prng.hpp"
#include "base/time.hpp"
#include "core/spec.hpp"

namespace cluster::core {

/// min(max, initial · factor^failures), then ± jitter. `failures` counts the failures in a row
/// before this one, so the first restart waits `initial`. Never negative; exactly zero when
/// `initial` is.
[[nodiscard]] Duration backoff_delay(const Backoff& backoff, std::uint32_t failures, Prng& prng);

}  // namespace cluster::core
