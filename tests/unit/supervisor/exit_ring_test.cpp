#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <vector>

#include "supervisor/exit_ring.hpp"

namespace sup = cluster::supervisor;
using sup::ExitEntry;
using sup::ExitRing;

namespace {

ExitEntry entry(std::int64_t at_ns) {
    ExitEntry result{};
    result.at_ns = at_ns;
    result.generation = static_cast<std::uint64_t>(at_ns);
    result.uptime_ns = 7;
    result.value = 3;
    return result;
}

}  // namespace

TEST_CASE("supervisor/exit_ring: exits come back oldest first, and the newest twenty stay") {
    const auto ring = std::make_unique<ExitRing>();
    CHECK(sup::read_exits(*ring).empty());
    for (std::int64_t i = 1; i <= 50; ++i) {
        sup::append_exit(*ring, entry(i));
        const std::vector<ExitEntry> exits = sup::read_exits(*ring);
        REQUIRE(exits.size() == static_cast<std::size_t>(std::min<std::int64_t>(i, 20)));
        CHECK(exits.back() == entry(i));
        CHECK(exits.front() == entry(std::max<std::int64_t>(1, i - 19)));
    }
}

TEST_CASE("supervisor/exit_ring: the newest exit told again is not another one") {
    ExitRing ring{};
    sup::append_exit(ring, entry(5));
    sup::append_exit(ring, entry(5));
    CHECK(sup::read_exits(ring).size() == 1);
    sup::append_exit(ring, entry(6));
    CHECK(sup::read_exits(ring).size() == 2);
}

TEST_CASE("supervisor/exit_ring: cleared, it is empty and counts anew") {
    ExitRing ring{};
    for (std::int64_t i = 1; i <= 25; ++i) sup::append_exit(ring, entry(i));
    sup::clear_exits(ring);
    CHECK(sup::read_exits(ring).empty());
    const ExitRing zero{};
    CHECK(std::memcmp(&ring, &zero, sizeof ring) == 0);
    sup::append_exit(ring, entry(1));
    CHECK(sup::read_exits(ring).size() == 1);
}

TEST_CASE("supervisor/exit_ring: a write that was cut anywhere costs the oldest exit at most") {
    for (const std::int64_t there : {0, 1, 19, 20, 33}) {
        ExitRing before{};
        for (std::int64_t i = 1; i <= there; ++i) sup::append_exit(before, entry(i));
        ExitRing after = before;
        sup::append_exit(after, entry(there + 1));
        // Entry, then checksum, then sequence: a kill leaves the first `cut` bytes of these.
        const auto index = static_cast<std::size_t>(there + 1) % sup::kExitsKept;
        std::vector<std::size_t> order;
        for (std::size_t i = 16; i < sizeof(sup::StoredExit); ++i) order.push_back(i);
        for (std::size_t i = 8; i < 16; ++i) order.push_back(i);
        for (std::size_t i = 0; i < 8; ++i) order.push_back(i);
        for (std::size_t cut = 0; cut < order.size(); ++cut) {
            ExitRing torn = before;
            auto* to = reinterpret_cast<unsigned char*>(&torn.exits[index]);
            const auto* from = reinterpret_cast<const unsigned char*>(&after.exits[index]);
            for (std::size_t i = 0; i < cut; ++i) to[order[i]] = from[order[i]];
            const std::vector<ExitEntry> exits = sup::read_exits(torn);
            for (const ExitEntry& each : exits) REQUIRE(each == entry(each.at_ns));
            const std::int64_t kept = std::min<std::int64_t>(there, 20);
            REQUIRE(static_cast<std::int64_t>(exits.size()) >= kept - 1);
            // A successor that tells it again completes the ring.
            sup::append_exit(torn, entry(there + 1));
            REQUIRE(sup::read_exits(torn).back() == entry(there + 1));
        }
    }
}
