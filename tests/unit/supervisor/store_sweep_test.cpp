#include "supervisor/store_sweep.hpp"

#include <doctest/doctest.h>

#include <memory>

#include "store/census.hpp"

namespace cluster::supervisor {
namespace {

using std::chrono::milliseconds;

store::Bytes bytes(std::string_view text) {
    return std::as_bytes(std::span{text.data(), text.size()});
}

struct Ground {
    Ground()
        : file(*store::create({.bytes = std::uint64_t{12} << 20U, .participants = 4})),
          segment(std::make_unique<store::Segment>(
              *store::Segment::attach(file.get(), store::Access::read_write))),
          me(*store::Participant::join(*segment)) {}

    void set(std::string_view key, Duration ttl) {
        REQUIRE(store::Table{*segment}.set(me, bytes(key), bytes("v"), ttl));
    }
    /// Returns when it has expired.
    void set_expired(std::string_view key) {
        set(key, milliseconds{5});
        std::array<std::byte, 8> buffer{};
        while (store::Table{*segment}.get(bytes(key), buffer)) {
        }
    }
    [[nodiscard]] std::uint64_t keys() const { return store::take_census(*segment).keys; }

    sys::UniqueFd file;
    std::unique_ptr<store::Segment> segment;
    store::Participant me;
};

/// One pass from the turn in which it is due; returns how many turns it took.
int pass(StoreSweep& sweep, const std::vector<store::Segment*>& segments, Instant& now) {
    int turns = 0;
    do {
        REQUIRE(sweep.next_deadline());
        now = *sweep.next_deadline();
        sweep.on_time(segments, now);
        ++turns;
    } while (*sweep.next_deadline() == now + StoreSweep::kPause);
    return turns;
}

}  // namespace

TEST_CASE("supervisor/store_sweep: nobody is woken for stores without deadlines") {
    Ground ground;
    ground.set("stays", {});
    StoreSweep sweep;
    sweep.on_time({}, Instant{});
    CHECK_FALSE(sweep.next_deadline());
    sweep.on_time({ground.segment.get()}, Instant{});
    CHECK_FALSE(sweep.next_deadline());
}

TEST_CASE(
    "supervisor/store_sweep: what has expired goes in a pass of bounded turns, then silence") {
    Ground first;
    Ground second;
    const std::vector<store::Segment*> segments{first.segment.get(), second.segment.get()};
    first.set_expired("a");
    second.set_expired("b");
    second.set("stays", {});
    StoreSweep sweep;
    Instant now{};
    sweep.on_time(segments, now);
    CHECK(sweep.next_deadline() == now + StoreSweep::kInterval);
    CHECK(first.keys() == 1);
    const auto buckets = first.segment->geometry().buckets.count;
    CHECK(pass(sweep, segments, now) >=
          static_cast<int>(2 * buckets / StoreSweep::kBucketsPerTurn));
    CHECK(first.keys() == 0);
    CHECK(second.keys() == 1);
    CHECK(store::take_census(*second.segment).participants == 1);
    now += StoreSweep::kInterval;
    sweep.on_time(segments, now);
    CHECK_FALSE(sweep.next_deadline());
}

TEST_CASE("supervisor/store_sweep: a store without a free slot is left for another time") {
    Ground ground;
    ground.set_expired("a");
    std::vector<store::Participant> others;
    for (int i = 0; i < 3; ++i) {
        others.push_back(std::move(*store::Participant::join(*ground.segment)));
    }
    const std::vector<store::Segment*> segments{ground.segment.get()};
    StoreSweep sweep;
    Instant now{};
    sweep.on_time(segments, now);
    CHECK(pass(sweep, segments, now) == 1);
    CHECK(ground.keys() == 1);
    others.clear();
    (void)pass(sweep, segments, now);
    CHECK(ground.keys() == 0);
}

}  // namespace cluster::supervisor
