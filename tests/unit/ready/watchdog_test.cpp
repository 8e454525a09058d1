#include "ready/watchdog.hpp"

#include <doctest/doctest.h>

namespace cluster::ready {
namespace {

using std::chrono_literals::operator""s;

TEST_CASE("ready/watchdog: a silence of the whole interval, and none shorter, is too long") {
    const Instant start{};
    Watchdog watchdog(10s, start);
    CHECK(watchdog.next_deadline() == start + 10s);
    CHECK_FALSE(watchdog.has_run_out(start + 10s - Duration{1}));
    CHECK(watchdog.has_run_out(start + 10s));
    watchdog.on_sign_of_life(start + 9s);
    CHECK_FALSE(watchdog.has_run_out(start + 18s));
    CHECK(watchdog.has_run_out(start + 19s));
}

TEST_CASE("ready/watchdog: another interval begins when it is asked for, and zero ends it") {
    const Instant start{};
    Watchdog watchdog(10s, start);
    watchdog.set_interval(60s, start + 9s);
    CHECK_FALSE(watchdog.has_run_out(start + 68s));
    CHECK(watchdog.has_run_out(start + 69s));
    watchdog.set_interval(0s, start + 70s);
    CHECK_FALSE(watchdog.next_deadline());
    CHECK_FALSE(watchdog.has_run_out(start + 1000000s));
}

}  // namespace
}  // namespace cluster::ready
