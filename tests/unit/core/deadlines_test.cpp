#include "core/deadlines.hpp"

#include <doctest/doctest.h>

#include <map>
#include <vector>

#include "base/prng.hpp"

namespace cluster::core {

TEST_CASE("core/deadlines: due slots come out by time, then by slot, and stay until they are set") {
    Deadlines deadlines{4};
    CHECK_FALSE(deadlines.next().has_value());
    deadlines.set(Slot{3}, from_ns(5));
    deadlines.set(Slot{1}, from_ns(5));
    deadlines.set(Slot{2}, from_ns(9));
    deadlines.set(Slot{0}, from_ns(4));
    CHECK(deadlines.next() == from_ns(4));
    std::vector<Slot> due;
    deadlines.collect_due(from_ns(5), due);
    CHECK(due == std::vector<Slot>{Slot{0}, Slot{1}, Slot{3}});
    deadlines.set(Slot{0}, std::nullopt);
    deadlines.set(Slot{1}, from_ns(10));
    due.clear();
    deadlines.collect_due(from_ns(8), due);
    CHECK(due == std::vector<Slot>{Slot{3}});
}

TEST_CASE("core/deadlines: it agrees with an ordered map over many random changes") {
    Prng prng{7};
    Deadlines deadlines{64};
    std::map<std::uint32_t, Instant> model;
    for (int i = 0; i < 20000; ++i) {
        const auto slot = static_cast<std::uint32_t>(prng.below(64));
        if (prng.chance(0.3)) {
            deadlines.set(Slot{slot}, std::nullopt);
            model.erase(slot);
        } else {
            const Instant at = from_ns(static_cast<std::int64_t>(prng.below(100)));
            deadlines.set(Slot{slot}, at);
            model[slot] = at;
        }
        const Instant now = from_ns(static_cast<std::int64_t>(prng.below(100)));
        std::map<std::pair<Instant, std::uint32_t>, Slot> expected;
        std::optional<Instant> next;
        for (const auto& [key, at] : model) {
            next = earliest(next, at);
            if (at <= now) expected[{at, key}] = Slot{key};
        }
        std::vector<Slot> due;
        deadlines.collect_due(now, due);
        REQUIRE(deadlines.next() == next);
        REQUIRE(due.size() == expected.size());
        auto slot_of = due.begin();
        for (const auto& [key, value] : expected) REQUIRE(*slot_of++ == value);
    }
}

}  // namespace cluster::core
