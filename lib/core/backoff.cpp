#include "core/backoff.hpp"

#include <algorithm>
#include <cmath>

namespace cluster::core {

Duration backoff_delay(const Backoff& backoff, std::uint32_t failures, Prng& prng) {
    // Not merely a shortcut: 0 · factor^k is not a number once the power overflows to infinity.
    if (backoff.initial <= Duration::zero()) return Duration::zero();
    const double longest = static_cast<double>(backoff.max.count());
    const double grown =
        static_cast<double>(backoff.initial.count()) * std::pow(backoff.factor, failures);
    const double capped = std::min(longest, grown);
    const double spread = 1.0 + backoff.jitter * (2.0 * prng.unit() - 1.0);
    return Duration{static_cast<Duration::rep>(std::max(0.0, capped * spread))};
}

}  // namespace cluster::core
