#include "ready/probe.hpp"

#include <doctest/doctest.h>

namespace cluster::ready {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;
using Order = Probe::Order;
using Result = Probe::Result;
using Verdict = Probe::Verdict;
constexpr auto kReadiness = Probe::Purpose::readiness;
constexpr auto kLiveness = Probe::Purpose::liveness;

constexpr Instant kStart = from_ns(1'000'000'000);

core::Probe spec() {
    core::Probe ready;
    ready.kind = core::Probe::Kind::tcp;
    ready.period = 100ms;
    ready.timeout = 1s;
    return ready;
}

TEST_CASE("ready/probe: intervals double from 20 ms up to the period") {
    Probe probe(kReadiness, spec(), kStart);
    Instant now = kStart;
    for (const Duration wait : {20ms, 40ms, 80ms, 100ms, 100ms}) {
        REQUIRE(probe.on_time(now) == Order::begin);
        REQUIRE(probe.on_time(now) == Order::wait);
        now += 5ms;
        probe.on_result(Result::bad, now);
        CHECK(probe.next_deadline() == now + wait);
        CHECK(probe.on_time(now + wait - 1ms) == Order::wait);
        now += wait;
    }
}

TEST_CASE("ready/probe: a success ends it, and nothing is due any more") {
    Probe probe(kReadiness, spec(), kStart);
    REQUIRE(probe.on_time(kStart) == Order::begin);
    probe.on_result(Result::good, kStart);
    CHECK(probe.verdict() == Verdict::ready);
    CHECK_FALSE(probe.next_deadline());
    CHECK(probe.on_time(kStart + 1000s) == Order::wait);
}

TEST_CASE("ready/probe: successes count in a row only") {
    core::Probe ready = spec();
    ready.success_threshold = 2;
    Probe probe(kReadiness, ready, kStart);
    Instant now = kStart;
    for (const Result result : {Result::good, Result::bad, Result::good, Result::good}) {
        CHECK(probe.verdict() == Verdict::open);
        REQUIRE(probe.on_time(now) == Order::begin);
        probe.on_result(result, now);
        now = probe.next_deadline().value_or(now);
    }
    CHECK(probe.verdict() == Verdict::ready);
}

TEST_CASE("ready/probe: one that takes too long is abandoned and counts as a failure") {
    Probe probe(kReadiness, spec(), kStart);
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
    Probe probe(kReadiness, ready, kStart);
    CHECK(probe.on_time(kStart + 2s) == Order::wait);
    REQUIRE(probe.on_time(kStart + 3s) == Order::begin);
    probe.on_result(Result::bad, kStart + 3s);
    CHECK(probe.next_deadline() == kStart + 3s + 10ms);
}

TEST_CASE("ready/probe: of liveness comes each period, and goes on for ever") {
    Probe probe(kLiveness, spec(), kStart);
    Instant now = kStart;
    for (int i = 0; i < 5; ++i) {
        REQUIRE(probe.on_time(now) == Order::begin);
        now += 5ms;
        probe.on_result(Result::good, now);
        CHECK(probe.verdict() == Verdict::open);
        CHECK(probe.next_deadline() == now + 100ms);
        now += 100ms;
    }
}

TEST_CASE("ready/probe: so many failures in a row are a hang, and too long an answer is one") {
    core::Probe liveness = spec();
    liveness.failure_threshold = 3;
    Probe probe(kLiveness, liveness, kStart);
    Instant now = kStart;
    for (const Result result : {Result::bad, Result::bad, Result::good, Result::bad, Result::bad}) {
        REQUIRE(probe.on_time(now) == Order::begin);
        probe.on_result(result, now);
        CHECK(probe.verdict() == Verdict::open);
        now = *probe.next_deadline();
    }
    REQUIRE(probe.on_time(now) == Order::begin);
    REQUIRE(probe.on_time(now + 1s) == Order::abandon);
    CHECK(probe.verdict() == Verdict::hung);
    probe.begin_again();
    CHECK(probe.verdict() == Verdict::open);
}

TEST_CASE("ready/probe: one that could not be asked says nothing") {
    core::Probe liveness = spec();
    liveness.failure_threshold = 2;
    Probe probe(kLiveness, liveness, kStart);
    Instant now = kStart;
    for (const Result result : {Result::bad, Result::not_asked, Result::not_asked, Result::bad}) {
        CHECK(probe.verdict() == Verdict::open);
        REQUIRE(probe.on_time(now) == Order::begin);
        probe.on_result(result, now);
        now = *probe.next_deadline();
    }
    CHECK(probe.verdict() == Verdict::hung);
}

}  // namespace
}  // namespace cluster::ready
