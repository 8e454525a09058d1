// All lines of a worker at once: what rules count is added up, and nobody can tell.
#include <doctest/doctest.h>

#include "base/prng.hpp"
#include "unit/channel/memory.hpp"
#include "unit/channel/world.hpp"

namespace cluster::channel {
namespace {

core::ChannelRule counting(const std::string& type, const std::string& key) {
    core::ChannelRule rule;
    rule.match = {{"type", type}};
    rule.incr = key;
    rule.by = "by";
    return rule;
}

std::string count(const std::string& type, std::int64_t by) {
    return R"({"type":")" + type + R"(","by":)" + std::to_string(by) + "}\n";
}

/// The router of world.hpp, of which api.0 speaks through a ring, and nobody watches.
struct TestLines : TestRouter {
    TestLines() : memory({.max_line = 256, .max_queue = 4096}), intake(memory.memory) {
        world.is_watched = false;
        spec.rules = {counting("a", "a"), counting("b", "b"), counting("echo", "e")};
        spec.rules.back().broadcast = "echo";
        router.remove(run(0));
        router.add({.run = run(0),
                    .worker = "api",
                    .number = 0,
                    .group = "site",
                    .is_node = true,
                    .record = &memory.record()});
    }
    std::size_t take(const std::string& lines) {
        receive(memory, intake, lines);
        return router.on_lines(run(0), intake, now);
    }
    std::string value(const std::string& key) { return world.store.values[key].first; }

    TestMemory memory;
    Intake intake;
};

TEST_CASE("channel/lines: what adds to one key in a row is one change") {
    TestLines test;
    CHECK(test.take(count("a", 1) + count("a", 1) + count("a", 5)) == 3);
    CHECK(test.value("a") == "7");
    CHECK(test.world.store.changes == 1);
    CHECK(test.memory.record().counts.received == 3);
    CHECK(test.intake.is_empty());
}

TEST_CASE("channel/lines: another key, another sign and a sum out of range begin anew") {
    TestLines test;
    CHECK(test.take(count("a", 1) + count("a", 2) + count("b", 4) + count("b", 4)) == 4);
    CHECK(test.world.store.changes == 2);
    CHECK(test.take(count("a", 10) + count("a", -3) + count("a", -3) + count("a", 1)) == 4);
    CHECK(test.world.store.changes == 5);
    CHECK(test.value("a") == "8");
    CHECK(test.value("b") == "8");
    CHECK(test.take(count("a", -8) + count("a", INT64_MAX) + count("a", -INT64_MAX) +
                    count("b", INT64_MAX - 8) + count("b", -1)) == 5);
    CHECK(test.value("a") == "0");
    CHECK(test.value("b") == std::to_string(INT64_MAX - 1));
}

TEST_CASE("channel/lines: what stands behind a number sees it") {
    TestLines test;
    CHECK(test.take(count("a", 1) + count("a", 1) + R"({"cluster":"get","key":"a","id":1})" "\n" +
                    count("a", 1) + "no JSON\n" + count("a", 1)) == 6);
    CHECK(test.world.take_one(0).find(R"("value":"2")") != std::string::npos);
    CHECK(test.value("a") == "4");
    CHECK(test.world.store.changes == 3);
    CHECK(test.memory.record().counts.malformed == 1);
}

TEST_CASE("channel/lines: whoever hears of each gets each") {
    TestLines test;
    CHECK(test.take(count("echo", 1) + count("echo", 1)) == 2);
    CHECK(test.world.store.changes == 0);
    CHECK(test.world.take(1).size() == 2);
    test.world.is_watched = true;
    CHECK(test.take(count("a", 1) + count("a", 1)) == 2);
    CHECK(test.world.observed.size() == 2);
    CHECK(test.value("a") == "2");
}

TEST_CASE("channel/lines: where the store refuses the sum each is tried, and said once") {
    TestLines test;
    test.world.store.values["a"].first = "text";
    const std::string missing = "{\"type\":\"a\"}\n";
    CHECK(test.take(count("a", 1) + count("a", 2) + missing + count("b", 3) + count("b", 4)) == 5);
    CHECK(test.value("a") == "text");
    CHECK(test.value("b") == "7");
    CHECK(test.world.events.size() == 1);
    CHECK(test.memory.record().counts.unmatched == 1);
    CHECK(test.memory.record().counts.received == 5);
    test.world.has_store = false;
    CHECK(test.take(count("b", 1) + count("b", 1)) == 2);
    CHECK(test.value("b") == "7");
}

TEST_CASE("channel/lines: a sum that a kill has cut off is made once, or not at all in doubt") {
    for (const bool was_made : {true, false}) {
        TestLines test;
        receive(test.memory, test.intake, count("a", 1) + count("a", 2) + count("a", 4));
        for (int i = 0; i < 2; ++i) {
            REQUIRE(test.intake.peek_line());
            test.intake.keep_line();
        }
        StoreAttempt& attempt = test.intake.begin_sum();
        if (was_made) REQUIRE(test.world.store.increment("a", 3, attempt));
        Intake successor{test.memory.memory};
        test.router.settle_sum(test.run(0), successor);
        CHECK(test.router.on_lines(test.run(0), successor, test.now) == (was_made ? 1 : 3));
        CHECK(test.value("a") == "7");
    }
}

/// A line of any kind, with numbers more often than all others.
std::string any_line(Prng& prng) {
    switch (prng.below(12)) {
        case 0:
            return "{\"cluster\":\"incr\",\"key\":\"a\",\"id\":1}\n";
        case 1:
            return "\"text\"\n";
        case 2:
            return "{\"type\":\"a\"}\n";
        case 3:
            return std::string(300, 'x') + "\n";
        case 4:
            return "rubbish\n";
        case 5:
            return count("echo", 1);
        case 6:
            return "{\"cluster\":\"publish\",\"topic\":\"t\",\"data\":1}\n";
        default:
            break;
    }
    const char* const type = prng.below(4) == 0 ? "b" : "a";
    return count(type, static_cast<std::int64_t>(prng.below(3)) - 1);
}

TEST_CASE("channel/lines: added up or one by one, the end is the same") {
    Prng prng{17};
    for (int round = 0; round < 300; ++round) {
        TestLines together;
        TestLines apart;
        apart.world.is_watched = true;  // so that each is applied by itself
        for (TestLines* const test : {&together, &apart}) {
            test->say(1, R"({"cluster":"subscribe","topic":"t"})");
            if (round % 5 == 0) test->world.store.values["b"].first = "text";
        }
        std::string text;
        for (std::uint64_t i = 0, count = prng.below(60); i < count; ++i) text += any_line(prng);
        while (!text.empty()) {
            const std::string part = text.substr(0, 1 + prng.below(2000));
            text.erase(0, part.size());
            CHECK(together.take(part) == apart.take(part));
        }
        CHECK(together.world.lines == apart.world.lines);
        CHECK(together.world.events == apart.world.events);
        CHECK(together.value("a") == apart.value("a"));
        CHECK(together.value("b") == apart.value("b"));
        const Counts& some = together.memory.record().counts;
        const Counts& same = apart.memory.record().counts;
        CHECK(std::memcmp(&some, &same, sizeof some) == 0);
        CHECK(together.intake.is_empty() == apart.intake.is_empty());
    }
}

}  // namespace
}  // namespace cluster::channel
