// Time as the project means it: points on the kernel's CLOCK_MONOTONIC, and nothing else below the
// edges.
//
// There is deliberately no now() here. Whoever owns a loop reads the clock once per turn
// (sys/clock.hpp) and passes the value down. Instants of one boot may be stored and compared by
// another process of the same boot.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

namespace cluster {

using Duration = std::chrono::nanoseconds;

/// Tag of CLOCK_MONOTONIC; a clock that cannot be asked.
struct MonotonicTag {
    using rep = Duration::rep;
    using period = Duration::period;
    using duration = Duration;
};

using Instant = std::chrono::time_point<MonotonicTag, Duration>;

/// Nanoseconds since boot, the form in which an Instant is stored. 0 stands for "none" in records.
[[nodiscard]] constexpr std::int64_t to_ns(Instant instant) {
    return instant.time_since_epoch().count();
}
[[nodiscard]] constexpr Instant from_ns(std::int64_t ns) {
    return Instant{Duration{ns}};
}

[[nodiscard]] constexpr std::int64_t to_ms(Duration duration) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
}

/// The earlier of two deadlines, where none means never.
[[nodiscard]] constexpr std::optional<Instant> earliest(std::optional<Instant> a,
                                                        std::optional<Instant> b) {
    if (!a) return b;
    if (!b) return a;
    return *a < *b ? a : b;
}

}  // namespace cluster
