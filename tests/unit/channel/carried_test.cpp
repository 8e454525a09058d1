// Lines that carry a descriptor: each a call of its own, with the right one, over kills and moves.
#include <doctest/doctest.h>

#include <algorithm>

#include "base/prng.hpp"
#include "channel/outlet.hpp"
#include "unit/channel/memory.hpp"

namespace cluster::channel {
namespace {

using core::SlowReader;
using Pushed = Outlet::Pushed;

std::string carrier(std::uint64_t number, std::size_t size = 60) {
    std::string line = "{\"cmd\":\"NODE_" + std::to_string(number) + "\"";
    line.resize(size - 2, ' ');
    return line + "}\n";
}

TEST_CASE("channel/carried: a line with a descriptor goes alone, between its neighbours") {
    TestMemory test;
    Outlet outlet{test.memory, SlowReader::drop_oldest};
    CHECK(outlet.push("one\n") == Pushed::queued);
    CHECK(outlet.push("two\n") == Pushed::queued);
    CHECK(outlet.push(carrier(7), 7) == Pushed::queued);
    CHECK(outlet.push(carrier(8), 8) == Pushed::queued);
    CHECK(outlet.push("three\n") == Pushed::queued);
    CHECK(outlet.next_descriptor() == 0);
    CHECK(send(test, outlet) == "one\ntwo\n");
    CHECK(outlet.next_descriptor() == 7);
    CHECK(send(test, outlet) == carrier(7));
    CHECK(outlet.next_descriptor() == 8);
    CHECK(send(test, outlet) == carrier(8));
    CHECK(outlet.next_descriptor() == 0);
    CHECK(send(test, outlet) == "three\n");
}

TEST_CASE("channel/carried: so many may wait, and places are used again") {
    TestMemory test{{.max_line = 64, .max_queue = 16384}};
    Outlet outlet{test.memory, SlowReader::drop_oldest};
    for (int round = 0; round < 3; ++round) {
        for (std::uint64_t i = 1; i <= kMaxCarried; ++i) {
            CHECK(outlet.push(carrier(i), i) == Pushed::queued);
        }
        CHECK(outlet.push(carrier(99), 99) == Pushed::refused);
        for (std::uint64_t i = 1; i <= kMaxCarried; ++i) {
            CHECK(outlet.next_descriptor() == i);
            CHECK(send(test, outlet) == carrier(i));
        }
    }
}

TEST_CASE("channel/carried: one whose descriptor is gone takes its line with it") {
    TestMemory test;
    Outlet outlet{test.memory, SlowReader::drop_oldest};
    CHECK(outlet.push(carrier(7), 7) == Pushed::queued);
    CHECK(outlet.push("after\n") == Pushed::queued);
    outlet.skip_chunk();
    CHECK(send(test, outlet) == "after\n");
    CHECK(test.record().counts.undeliverable == 1);
}

TEST_CASE("channel/carried: a successor sends the very same") {
    TestMemory test;
    {
        Outlet outlet{test.memory, SlowReader::drop_oldest};
        CHECK(outlet.push("one\n") == Pushed::queued);
        CHECK(outlet.push(carrier(7), 7) == Pushed::queued);
        static_cast<void>(send(test, outlet, ~std::size_t{0}, false));  // killed before the note
    }
    const auto memory = Memory::attach(test.bytes());
    REQUIRE(memory);
    Outlet outlet{*memory, SlowReader::drop_oldest};
    CHECK(outlet.next_descriptor() == 7);
    CHECK(send(test, outlet) == carrier(7));
    CHECK(outlet.is_empty());
}

TEST_CASE("channel/carried: a note whose line was never queued means nothing") {
    TestMemory test;
    Record& record = test.record();
    record.carried[3].begin = record.out_queued;
    record.carried[3].descriptor = 5;
    const auto memory = Memory::attach(test.bytes());
    REQUIRE(memory);
    Outlet outlet{*memory, SlowReader::drop_oldest};
    CHECK(outlet.push("plain\n") == Pushed::queued);
    CHECK(outlet.next_descriptor() == 0);
    CHECK(send(test, outlet) == "plain\n");
}

TEST_CASE("channel/carried: lines that make room take their descriptors along") {
    TestMemory test{{.max_line = 64, .max_queue = 4096}};
    Outlet outlet{test.memory, SlowReader::drop_oldest};
    // As a socket that is full: nothing is sent meanwhile.
    std::uint64_t number = 0;
    Prng prng{4};
    std::vector<std::uint64_t> expected;
    for (int i = 0; i < 2000; ++i) {
        if (i % 50 == 0 && expected.size() < 20) {
            ++number;
            CHECK(outlet.push(carrier(number), number) != Pushed::refused);
            expected.push_back(number);
        } else {
            std::string line(10 + prng.below(60), 'x');
            static_cast<void>(outlet.push(line + "\n"));
        }
    }
    std::vector<std::uint64_t> seen;
    while (!outlet.is_empty()) {
        const std::uint64_t descriptor = outlet.next_descriptor();
        const std::string chunk = send(test, outlet);
        if (descriptor != 0) {
            seen.push_back(descriptor);
            CHECK(chunk == carrier(descriptor));
        } else {
            CHECK(chunk.find("NODE_") == std::string::npos);
        }
    }
    // Those that made room stand behind what came meanwhile.
    std::sort(seen.begin(), seen.end());
    CHECK(seen == expected);
}

}  // namespace
}  // namespace cluster::channel
