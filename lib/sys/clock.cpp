#include "sys/clock.hpp"

#include <ctime>

namespace cluster::sys {

Instant monotonic_coarse_now() {
    timespec time{};
    ::clock_gettime(CLOCK_MONOTONIC_COARSE, &time);
    return Instant{std::chrono::seconds{time.tv_sec} + Duration{time.tv_nsec}};
}

}  // namespace cluster::sys
