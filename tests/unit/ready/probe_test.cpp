#include "ready/probe.hpp"

#include <doctest/doctest.h>

namespace cluster::ready {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;
using Order = Probe::Order;

constexpr Instant kStart = from_ns(1'000'000'000);

core::Probe spec() {
    core::Probe ready;
    ready.kind = core::Probe::Kind::tcp;
    ready.period = 100ms;
    ready.timeout = 1s;
    return ready;
}

TEST_CASE("ready/probe: intervals double from 20 ms up to the period") {
    Probe probe(spec(), kStart);
    Instant now = kStart;
    for (const Duration wait : {20ms, 40ms, 80ms, 100ms, 100ms}) {
        REQUIRE(probe.on_time(now) == Order::begin);
        REQUIRE(probe.on_time(now) == Order::wait);
        now += 5ms;
        probe.on_result(false, now);
        CHECK(probe.next_deadline() == now + wait);
        CHECK(probe.on_time(now + wait - 1ms) == Order::wait);
        now += wait;
    }
}

TEST_CASE("ready/probe: a success ends it, and nothing is due any more") {
    Probe probe(spec(), kStart);
    REQUIRE(probe.on_time(kStart) == Order::begin);
    probe.on_result(true, kStart);
    CHECK(probe.is_ready());
    CHECK_FALSE(probe.next_deadline());
    CHECK(probe.on_time(kStart + 1000s) == Order::wait);
}

TEST_CASE("ready/probe: successes count in a row only") {
    core::Probe ready = spec();
    ready.success_threshold = 2;
    Probe probe(ready, kStart);
    Instant now = kStart;
    for (const bool result : {true, false, true, true}) {
        CHECK_FALSE(probe.is_ready());
        REQUIRE(probe.on_time(now) == Order::begin);
        probe.on_result(result, now);
        now = probe.next_deadline().value_or(now);
    }
    CHECK(probe.is_ready());
}

TEST_CASE("ready/probe: one that takes too long is abandoned and counts as a failure") {
    Probe probe(spec(), kStart);
    REQUIRE(probe.on_time(kStart) == Order::begin);
    CHECK(probe.next_deadline() == kStart + 1s);
    CHECK(probe.on_time(kStart + 1s) == Order::abandon);
    CHECK(probe.on_time(kStart + 1s) == Order::wait);
    CHECK(probe.on_time(kStart + 1s + 20ms) == Order::begin);
}

TEST_CASE("ready/probe: initial_delay comes before the first one, a short period before any") {
    core::Probe ready = spec();
    ready.initial_delay = 3s;
    ready.period = 10ms;
    Probe probe(ready, kStart);
    CHECK(probe.on_time(kStart + 2s) == Order::wait);
    REQUIRE(probe.on_time(kStart + 3s) == Order::begin);
    probe.on_result(false, kStart + 3s);
    CHECK(probe.next_deadline() == kStart + 3s + 10ms);
}

}  // namespace
}  // namespace cluster::ready
