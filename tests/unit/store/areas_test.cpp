#include "store/areas.hpp"

#include <algorithm>
#include <string>
#include <thread>
#include <vector>

#include "store_fixture.hpp"
#include "support/store_audit.hpp"

namespace cluster::store::test {
namespace {

TEST_CASE("store/areas: one name is one memory for everybody, and begins as zero") {
    Place place;
    // A block that had something in it before.
    REQUIRE(place.set("old", std::string(900, 'x')));
    REQUIRE(place.table.remove(place.me, bytes("old")));
    const auto first = open_area(*place.segment, place.me, "area", 900);
    const auto second = open_area(*place.segment, place.me, "area", 900);
    const auto other = open_area(*place.segment, place.me, "another", 900);
    REQUIRE(first);
    REQUIRE(second);
    REQUIRE(other);
    CHECK(first->size() == 900);
    CHECK(first->data() == second->data());
    CHECK(first->data() != other->data());
    CHECK(reinterpret_cast<std::uintptr_t>(first->data()) % 8 == 0);
    CHECK(std::count(first->begin(), first->end(), std::byte{0}) == 900);
    std::fill(first->begin(), first->end(), std::byte{7});
    // What others do to the store does not touch it.
    for (int i = 0; i < 200; ++i) {
        const std::string key = "key " + std::to_string(i);
        REQUIRE(place.set(key, std::string(900, 'y')));
        REQUIRE(place.table.remove(place.me, bytes(key)));
    }
    CHECK(std::count(second->begin(), second->end(), std::byte{7}) == 900);
    CHECK(audit(*place.segment) == "");
}

TEST_CASE("store/areas: a name stands for one thing of one size") {
    Place place;
    REQUIRE(open_area(*place.segment, place.me, "area", 8));
    REQUIRE(place.counters.open(place.me, "counter"));
    CHECK(code_of(open_area(*place.segment, place.me, "area", 16)) == EMEDIUMTYPE);
    CHECK(code_of(open_area(*place.segment, place.me, "counter", 8)) == EMEDIUMTYPE);
    CHECK(code_of(place.counters.open(place.me, "area")) == EMEDIUMTYPE);
    CHECK(code_of(place.counters.open_striped(place.me, "area")) == EMEDIUMTYPE);
    u32 at = 0;
    const auto only = place.counters.next(&at);
    REQUIRE(only);
    CHECK(only->name_view() == "counter");
    CHECK_FALSE(place.counters.next(&at));
}

TEST_CASE("store/areas: sizes and names are checked, and what is full says so") {
    Place place;
    CHECK(code_of(open_area(*place.segment, place.me, "area", 0)) == EINVAL);
    CHECK(code_of(open_area(*place.segment, place.me, "", 8)) == EINVAL);
    CHECK(code_of(open_area(*place.segment, place.me, std::string(129, 'x'), 8)) == ENAMETOOLONG);
    CHECK(code_of(open_area(*place.segment, place.me, "\xff", 8)) == EILSEQ);
    CHECK(code_of(open_area(*place.segment, place.me, "area", kMaxAreaBytes + 1)) == EFBIG);
    CHECK(code_of(open_area(*place.segment, place.me, std::string(128, 'x'), kMaxAreaBytes)) == 0);
    int code = 0;
    for (int i = 0; code == 0; ++i) {
        code = code_of(open_area(*place.segment, place.me, "big " + std::to_string(i), 500'000));
    }
    CHECK(code == ENOSPC);
    code = 0;
    for (int i = 0; code == 0; ++i) {
        code = code_of(open_area(*place.segment, place.me, "name " + std::to_string(i), 8));
    }
    CHECK(code == ENFILE);
    CHECK(audit(*place.segment) == "");
}

TEST_CASE("store/areas: several that make it at once have the same") {
    Place place;
    std::vector<std::byte*> seen(4);
    std::vector<std::thread> threads;
    for (std::size_t t = 0; t < seen.size(); ++t) {
        threads.emplace_back([&, t] {
            auto me = Participant::join(*place.segment);
            REQUIRE(me);
            for (int i = 0; i < 20; ++i) {
                const auto area = open_area(*place.segment, *me, "area " + std::to_string(i), 64);
                REQUIRE(area);
                std::atomic_ref<u64>(*reinterpret_cast<u64*>(area->data())).fetch_add(1);
                seen[t] = area->data();
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    CHECK(std::count(seen.begin(), seen.end(), seen[0]) == 4);
    for (int i = 0; i < 20; ++i) {
        const auto area = open_area(*place.segment, place.me, "area " + std::to_string(i), 64);
        REQUIRE(area);
        CHECK(*reinterpret_cast<u64*>(area->data()) == 4);
    }
    CHECK(audit(*place.segment) == "");
}

TEST_CASE("store/areas: who may only read has none") {
    Place place;
    REQUIRE(open_area(*place.segment, place.me, "area", 8));
    const auto reader = Segment::attach(place.file.get(), Access::read_only);
    REQUIRE(reader);
    CHECK(code_of(open_area(*reader, place.me, "area", 8)) == EROFS);
}

}  // namespace
}  // namespace cluster::store::test
