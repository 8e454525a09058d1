#include "channel/intake.hpp"

#include <doctest/doctest.h>

#include "base/prng.hpp"
#include "unit/channel/memory.hpp"

namespace cluster::channel {
namespace {

std::vector<std::string> lines_of(Intake& intake) {
    std::vector<std::string> lines;
    while (const auto line = intake.next_line()) lines.emplace_back(*line);
    return lines;
}

using Lines = std::vector<std::string>;

TEST_CASE("channel/intake: lines come out whole, however they came in") {
    TestMemory test;
    Intake intake{test.memory};
    CHECK_FALSE(intake.next_line());
    receive(test, intake, "one\ntw");
    CHECK(lines_of(intake) == Lines{"one"});
    CHECK_FALSE(intake.is_empty());
    receive(test, intake, "o\n\nthree\r\n");
    CHECK(lines_of(intake) == Lines{"two", "", "three\r"});
    CHECK(intake.is_empty());
    CHECK(test.record().counts.received == 4);
}

TEST_CASE(
    "channel/intake: a line that is too long is thrown away as it comes, the next one counts") {
    TestMemory test;
    Intake intake{test.memory};
    receive(test, intake, std::string(64, 'x') + "\n" + std::string(65, 'y') + "\nz\n");
    CHECK(lines_of(intake) == Lines{std::string(64, 'x'), "z"});
    for (int i = 0; i < 100; ++i) {
        receive(test, intake, std::string(50'000, 'a'));
        CHECK(lines_of(intake).empty());
        CHECK(intake.is_empty());
    }
    receive(test, intake, "aaa\nafter\n");
    CHECK(lines_of(intake) == Lines{"after"});
    CHECK(test.record().counts.too_long == 2);
}

TEST_CASE("channel/intake: there is always room, and lines go around the end of the ring") {
    TestMemory test{{.max_line = 4096, .max_queue = 4096}};
    Intake intake{test.memory};
    Prng prng{3};
    std::string expected;
    std::string waiting;
    for (int i = 0; i < 5000; ++i) {
        const std::string line =
            std::to_string(i) + std::string(static_cast<std::size_t>(prng.below(4000)), 'q');
        expected += line + "\n";
        waiting += line + "\n";
        while (waiting.size() > 30'000) {
            const std::size_t part = static_cast<std::size_t>(1 + prng.below(20'000));
            REQUIRE(intake.room(part).size() > 0);
            const std::size_t size = std::min(part, intake.room(part).size());
            receive(test, intake, waiting.substr(0, size));
            waiting.erase(0, size);
            // Some lines stay where they are, so that the ring never empties.
            for (std::uint64_t left = prng.below(8); left > 0; --left) {
                const auto next = intake.next_line();
                if (!next) break;
                REQUIRE(std::string_view(expected).substr(0, next->size()) == *next);
                expected.erase(0, next->size() + 1);
            }
            if (intake.room(1).size() == 0) {
                const auto next = intake.next_line();
                REQUIRE(next);
                expected.erase(0, next->size() + 1);
            }
        }
    }
    CHECK(test.record().counts.too_long == 0);
}

TEST_CASE("channel/intake: a quiet channel begins at the first page again") {
    TestMemory test;
    Intake intake{test.memory};
    for (int i = 0; i < 10'000; ++i) {
        receive(test, intake, "message\n");
        REQUIRE(lines_of(intake).size() == 1);
    }
    CHECK(intake.high_water() <= 8);
}

TEST_CASE("channel/intake: an end cuts off what has no newline") {
    TestMemory test;
    Intake intake{test.memory};
    receive(test, intake, "whole\npart");
    CHECK(lines_of(intake) == Lines{"whole"});
    intake.on_end();
    CHECK(intake.is_empty());
    CHECK(test.record().counts.unfinished == 1);
}

TEST_CASE("channel/intake: a successor goes on behind the line that was begun") {
    TestMemory test;
    {
        Intake intake{test.memory};
        receive(test, intake, "first\nsecond\nthi");
        CHECK(*intake.next_line() == "first");
    }
    auto memory = Memory::attach(test.bytes());
    REQUIRE(memory);
    Intake successor{*memory};
    CHECK(*successor.line_cut_off() == "first");
    CHECK(lines_of(successor) == Lines{"second"});
    receive(test, successor, "rd\n");
    CHECK(lines_of(successor) == Lines{"third"});
    CHECK_FALSE(Intake{*memory}.line_cut_off() == std::nullopt);
}

TEST_CASE("channel/intake: bytes that came when nobody lived to take note of them are there") {
    TestMemory test;
    {
        Intake intake{test.memory};
        receive(test, intake, "first\n");
        CHECK(lines_of(intake).size() == 1);
        receive(test, intake, "second\nthird\n", false);
    }
    auto memory = Memory::attach(test.bytes());
    REQUIRE(memory);
    Intake successor{*memory};
    CHECK(lines_of(successor) == Lines{"second", "third"});
    CHECK_FALSE(Memory::attach(test.bytes()) == std::nullopt);
    CHECK(lines_of(successor).empty());
}

TEST_CASE("channel/intake: a long line stays thrown away under a successor") {
    TestMemory test;
    {
        Intake intake{test.memory};
        receive(test, intake, std::string(1000, 'x'));
        CHECK(lines_of(intake).empty());
    }
    auto memory = Memory::attach(test.bytes());
    REQUIRE(memory);
    Intake successor{*memory};
    receive(test, successor, "\"tail\"\n\"next\"\n");
    CHECK(lines_of(successor) == Lines{"\"next\""});
    CHECK(test.record().counts.too_long == 1);
}

TEST_CASE("channel/record: what makes no sense is not attached") {
    const auto refuses = [](auto change) {
        TestMemory test;
        change(test.record());
        return !Memory::attach(test.bytes());
    };
    CHECK_FALSE(refuses([](Record&) {}));
    CHECK(refuses([](Record& record) { record.magic = 0; }));
    CHECK(refuses([](Record& record) { record.version = 2; }));
    CHECK(refuses([](Record& record) { record.record_bytes = 8; }));
    CHECK(refuses([](Record& record) { record.in_bytes = ~std::uint64_t{0}; }));
    CHECK(refuses([](Record& record) { record.out_bytes = 0; }));
    CHECK(refuses([](Record& record) { record.in_received = record.in_bytes + 1; }));
    CHECK(refuses([](Record& record) { record.out_queued = record.out_bytes + 1; }));
    CHECK(refuses([](Record& record) { record.subscriptions[3].size = 255; }));
    CHECK(refuses([](Record& record) { record.cut_off = 4; }));
    CHECK(refuses([](Record& record) {
        record.next_sequence = 1;
        record.pending[9].id_size = 255;
    }));
    TestMemory test;
    CHECK_FALSE(Memory::attach(test.bytes().first(100)));
    CHECK_FALSE(Memory::attach(test.bytes().first(test.bytes().size() - 8)));
}

TEST_CASE("channel/record: a successor knows that the channel was closed on our side, and why") {
    TestMemory test;
    test.record().cluster_notes = 3;
    CHECK(CutOff{Memory::attach(test.bytes())->record().cut_off} == CutOff::none);
    publish(test.record().cut_off, static_cast<std::uint32_t>(CutOff::unread_answers));
    const auto memory = Memory::attach(test.bytes());
    REQUIRE(memory);
    CHECK(CutOff{memory->record().cut_off} == CutOff::unread_answers);
    CHECK(memory->record().cluster_notes == 3);
}

TEST_CASE("channel/intake: lines that are kept are taken when their sum is there, or come again") {
    TestMemory test;
    Intake intake{test.memory};
    receive(test, intake, "one\ntwo\nthree\nfo");
    CHECK(intake.peek_line() == "one");
    CHECK(intake.peek_line() == "one");
    intake.keep_line();
    CHECK(intake.peek_line() == "two");
    intake.keep_line();
    CHECK(test.record().in_done == 0);
    CHECK(test.record().counts.received == 0);
    CHECK(intake.forget_kept() == 2);
    CHECK(intake.peek_line() == "one");
    intake.keep_line();
    CHECK(intake.peek_line() == "two");
    intake.keep_line();
    static_cast<void>(intake.begin_sum());
    intake.end_sum();
    CHECK(test.record().in_done == 8);
    CHECK(test.record().counts.received == 2);
    CHECK_FALSE(intake.sum_cut_off());
    CHECK(lines_of(intake) == Lines{"three"});
    receive(test, intake, "ur\n");
    CHECK(lines_of(intake) == Lines{"four"});
    CHECK(test.record().counts.received == 4);
}

TEST_CASE("channel/intake: a line that is too long waits for those that are kept") {
    TestMemory test;
    Intake intake{test.memory};
    receive(test, intake, "one\n" + std::string(65, 'y') + "\nz\n");
    CHECK(intake.peek_line() == "one");
    intake.keep_line();
    CHECK_FALSE(intake.peek_line());
    CHECK(test.record().counts.too_long == 0);
    static_cast<void>(intake.begin_sum());
    intake.end_sum();
    CHECK(lines_of(intake) == Lines{"z"});
    CHECK(test.record().counts.too_long == 1);
}

TEST_CASE("channel/intake: a successor finds a sum that was cut off, and its lines") {
    for (const bool was_made : {true, false}) {
        TestMemory test;
        {
            Intake intake{test.memory};
            receive(test, intake, "one\ntwo\nthree\n");
            for (int i = 0; i < 2; ++i) {
                REQUIRE(intake.peek_line());
                intake.keep_line();
            }
            intake.begin_sum() = {1, 2, 3, 4, 5};
        }
        const auto memory = Memory::attach(test.bytes());
        REQUIRE(memory);
        Intake successor{*memory};
        StoreAttempt* const attempt = successor.sum_cut_off();
        REQUIRE(attempt != nullptr);
        CHECK(*attempt == StoreAttempt{1, 2, 3, 4, 5});
        successor.settle_sum(was_made);
        CHECK_FALSE(successor.sum_cut_off());
        CHECK(test.record().counts.received == (was_made ? 2 : 0));
        CHECK(lines_of(successor) == (was_made ? Lines{"three"} : Lines{"one", "two", "three"}));
        CHECK(test.record().counts.received == 3);
    }
}

TEST_CASE("channel/intake: a sum that ends where there are no lines is none") {
    TestMemory test;
    Intake intake{test.memory};
    receive(test, intake, "one\n");
    for (const std::uint64_t end : {std::uint64_t{0}, std::uint64_t{5}, ~std::uint64_t{0}}) {
        test.record().sum.end = end;
        CHECK_FALSE(intake.sum_cut_off());
    }
    test.record().sum.end = 2;  // of no line
    REQUIRE(intake.sum_cut_off());
    intake.settle_sum(true);
    CHECK_FALSE(intake.sum_cut_off());
    CHECK(intake.is_empty());
}

}  // namespace
}  // namespace cluster::channel
