#include "keeper/guardian.hpp"

#include <doctest/doctest.h>

#include <vector>

using cluster::Duration;
using cluster::Instant;
using cluster::keeper::Guardian;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

const Instant kBegin = cluster::from_ns(1'000'000'000);

/// How long the next start is away after a supervisor that lived for `life`.
Duration delay_after(Guardian& guardian, Instant& now, Duration life) {
    now = *guardian.next_start();
    guardian.on_started(now);
    CHECK_FALSE(guardian.next_start());
    now += life;
    guardian.on_died(now);
    return *guardian.next_start() - now;
}

}  // namespace

TEST_CASE("keeper/guardian: the first start is due at once") {
    const Guardian guardian(kBegin);
    CHECK(guardian.next_start() == kBegin);
    CHECK_FALSE(guardian.prefers_previous());
}

TEST_CASE("keeper/guardian: deaths in a row wait longer, up to a second, for ever") {
    Guardian guardian(kBegin);
    Instant now = kBegin;
    for (const int expected : {0, 0, 100, 200, 400, 800, 1000, 1000, 1000}) {
        CHECK(delay_after(guardian, now, milliseconds(5)) == milliseconds(expected));
    }
}

TEST_CASE("keeper/guardian: a supervisor that lived long enough ends the row") {
    Guardian guardian(kBegin);
    Instant now = kBegin;
    for (int i = 0; i < 6; ++i) static_cast<void>(delay_after(guardian, now, milliseconds(1)));
    CHECK(delay_after(guardian, now, Guardian::kCalm - milliseconds(1)) == milliseconds(1000));
    CHECK(delay_after(guardian, now, Guardian::kCalm) == milliseconds(0));
    CHECK(delay_after(guardian, now, milliseconds(1)) == milliseconds(0));
    CHECK(delay_after(guardian, now, milliseconds(1)) == milliseconds(100));
}

TEST_CASE(
    "keeper/guardian: five deaths in ten seconds turn to the previous binary, five more back") {
    Guardian guardian(kBegin);
    Instant now = kBegin;
    std::vector<bool> turns;
    for (int i = 0; i < 12; ++i) {
        static_cast<void>(delay_after(guardian, now, milliseconds(1)));
        turns.push_back(guardian.prefers_previous());
    }
    CHECK(turns == std::vector{false, false, false, false, true, true, true, true, true, false,
                               false, false});
}

TEST_CASE("keeper/guardian: deaths that are far apart are nobody's fault") {
    Guardian guardian(kBegin);
    Instant now = kBegin;
    for (int i = 0; i < 20; ++i) {
        static_cast<void>(delay_after(guardian, now, seconds(3)));
        CHECK_FALSE(guardian.prefers_previous());
    }
}
