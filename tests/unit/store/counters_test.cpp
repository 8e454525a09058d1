#include "store/counters.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <set>
#include <thread>
#include <vector>

#include "store/utf8.hpp"
#include "store_fixture.hpp"
#include "support/store_audit.hpp"

namespace cluster::store::test {
namespace {

TEST_CASE("store/counters: one name is one counter for everybody") {
    Place place;
    const auto first = place.counters.open(place.me, "requests");
    const auto second = place.counters.open(place.me, "requests");
    const auto other = place.counters.open(place.me, "errors");
    REQUIRE(first);
    REQUIRE(second);
    REQUIRE(other);
    CHECK(first->add(5) == 5);
    CHECK(second->add(-7) == -2);
    CHECK(other->get() == 0);
    CHECK(first->index() == second->index());
    CHECK(first->index() != other->index());
    CHECK(second->exchange(40) == -2);
    first->set(41);
    std::int64_t expected = 40;
    CHECK_FALSE(first->compare_exchange(expected, 50));
    CHECK(expected == 41);
    CHECK(first->compare_exchange(expected, 50));
    CHECK(place.counters.find("requests")->get() == 50);
    first->set(INT64_MAX);
    CHECK(first->add(1) == INT64_MIN);
}

TEST_CASE("store/counters: names are checked") {
    Place place;
    CHECK(code_of(place.counters.open(place.me, "")) == EINVAL);
    CHECK(code_of(place.counters.open(place.me, std::string(129, 'x'))) == ENAMETOOLONG);
    CHECK(code_of(place.counters.open(place.me, std::string(128, 'x'))) == 0);
    CHECK(code_of(place.counters.open(place.me, "caf\xE9")) == EILSEQ);
    CHECK(code_of(place.counters.open(place.me, std::string_view{"a\0b", 3})) == EILSEQ);
    CHECK(code_of(place.counters.open(place.me, "café ☃ 😀")) == 0);
    CHECK(code_of(place.counters.find("no such")) == ENOENT);
}

TEST_CASE("store/counters: UTF-8 is told from what only looks like it") {
    for (const char* good : {"a", "\xC2\x80", "\xDF\xBF", "\xE0\xA0\x80", "\xED\x9F\xBF",
                             "\xEE\x80\x80", "\xF0\x90\x80\x80", "\xF4\x8F\xBF\xBF"}) {
        CHECK(is_utf8(good));
    }
    for (const char* bad : {"\x80", "\xC0\x80", "\xC1\xBF", "\xC2", "\xE0\x9F\xBF", "\xED\xA0\x80",
                            "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xC2\x41",
                            "\xFF", "a\xE2\x82"}) {
        CHECK_FALSE(is_utf8(bad));
    }
}

TEST_CASE("store/counters: the kind belongs to the name") {
    Place place;
    REQUIRE(place.counters.open(place.me, "atomic"));
    REQUIRE(place.counters.open_striped(place.me, "striped"));
    CHECK(code_of(place.counters.open_striped(place.me, "atomic")) == EMEDIUMTYPE);
    CHECK(code_of(place.counters.open(place.me, "striped")) == EMEDIUMTYPE);
    CHECK(code_of(place.counters.find("striped")) == EMEDIUMTYPE);
}

TEST_CASE("store/counters: a striped counter sums what every participant added") {
    Place place;
    const auto counter = place.counters.open_striped(place.me, "hits");
    const auto other = place.counters.open_striped(place.me, "misses");
    REQUIRE(counter);
    REQUIRE(other);
    std::vector<std::thread> threads;
    for (int t = 0; t < 3; ++t) {
        threads.emplace_back([&place, &counter] {
            auto me = Participant::join(*place.segment);
            for (int i = 0; i < 10'000; ++i) (void)counter->add(*me, 2);
        });
    }
    for (std::thread& thread : threads) thread.join();
    CHECK(counter->add(place.me, -1));
    CHECK(counter->get() == 3 * 20'000 - 1);
    CHECK(other->get() == 0);
    CHECK(place.counters.find_striped("hits")->get() == 59'999);
    // A cell goes on with whoever has the slot next.
    auto next = Participant::join(*place.segment);
    REQUIRE(next);
    CHECK(counter->add(*next, 1));
    CHECK(counter->get() == 60'000);
}

TEST_CASE("store/counters: a striped add in a forked child goes to a cell of its own") {
    Place place;
    const auto counter = place.counters.open_striped(place.me, "hits");
    REQUIRE(counter);
    REQUIRE(counter->add(place.me, 1));
    const pid_t pid = ::fork();
    if (pid == 0) {
        for (int i = 0; i < 1000; ++i) (void)counter->add(place.me, 1);
        ::_exit(0);
    }
    for (int i = 0; i < 1000; ++i) (void)counter->add(place.me, 1);
    ::waitpid(pid, nullptr, 0);
    CHECK(counter->get() == 2001);
}

TEST_CASE("store/counters: the table of counters fills up as a typed error") {
    Place place;
    std::set<u32> indices;
    for (u32 i = 0; i < small_options().counters; ++i) {
        const auto counter = place.counters.open(place.me, "c" + std::to_string(i));
        REQUIRE(counter);
        CHECK(indices.insert(counter->index()).second);
    }
    CHECK(code_of(place.counters.open(place.me, "one more")) == ENFILE);
    CHECK(code_of(place.counters.open(place.me, "c5")) == 0);
    CHECK(audit(*place.segment) == "");
}

TEST_CASE("store/counters: striped ones have their own limit") {
    Place place;
    for (u32 i = 0; i < small_options().striped; ++i) {
        REQUIRE(place.counters.open_striped(place.me, "s" + std::to_string(i)));
    }
    CHECK(code_of(place.counters.open_striped(place.me, "one more")) == ENFILE);
    CHECK(code_of(place.counters.open_striped(place.me, "s0")) == 0);
    // What was refused has left no name behind, which would stay for good.
    CHECK(code_of(place.counters.find_striped("one more")) == ENOENT);
    CHECK(take_census(*place.segment).counters == small_options().striped);
    CHECK(code_of(place.counters.open(place.me, "one more")) == 0);
    CHECK(audit(*place.segment) == "");
}

TEST_CASE("store/counters: all are listed, with kind and value") {
    Place place;
    place.counters.open(place.me, "a")->add(3);
    REQUIRE(place.counters.open_striped(place.me, "b")->add(place.me, 4));
    std::set<std::string> seen;
    u32 at = 0;
    while (const auto item = place.counters.next(&at)) {
        seen.insert(std::string(item->name_view()) + "=" + std::to_string(item->value) +
                    (item->kind == CounterKind::striped ? " striped" : " atomic"));
    }
    CHECK(seen == std::set<std::string>{"a=3 atomic", "b=4 striped"});
}

TEST_CASE("store/counters: threads that open the same names at once agree") {
    for (int round = 0; round < 30; ++round) {
        Place place;
        std::array<std::array<u32, 20>, 4> indices{};
        std::vector<std::thread> threads;
        for (std::size_t t = 0; t < indices.size(); ++t) {
            threads.emplace_back([&place, &indices, t] {
                auto me = Participant::join(*place.segment);
                Counters counters{*place.segment};
                for (std::size_t i = 0; i < 20; ++i) {
                    const auto counter = counters.open(*me, "c" + std::to_string(i));
                    counter->add(1);
                    indices[t][i] = counter->index();
                }
                for (std::size_t i = 0; i < 4; ++i) {
                    const auto striped = counters.open_striped(*me, "s" + std::to_string(i));
                    (void)striped->add(*me, 1);
                }
            });
        }
        for (std::thread& thread : threads) thread.join();
        for (std::size_t t = 1; t < indices.size(); ++t) REQUIRE(indices[t] == indices[0]);
        REQUIRE(place.counters.find("c7")->get() == 4);
        for (int i = 0; i < 4; ++i) {
            REQUIRE(place.counters.find_striped("s" + std::to_string(i))->get() == 4);
        }
        REQUIRE(audit(*place.segment) == "");
    }
}

}  // namespace
}  // namespace cluster::store::test
