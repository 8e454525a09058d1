#include "channel/outlet.hpp"

#include <doctest/doctest.h>

#include "base/prng.hpp"
#include "unit/channel/memory.hpp"

namespace cluster::channel {
namespace {

using core::SlowReader;
using Pushed = Outlet::Pushed;

std::string line_of(int number, std::size_t size = 100) {
    std::string line = std::to_string(number);
    line.resize(size - 1, '.');
    return line + "\n";
}

std::vector<std::string> lines_of(const std::string& text) {
    std::vector<std::string> lines;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = text.find('\n', at);
        REQUIRE(end != std::string::npos);
        lines.push_back(text.substr(at, end + 1 - at));
        at = end + 1;
    }
    return lines;
}

TEST_CASE("channel/outlet: lines go out in order, several with one call") {
    TestMemory test;
    Outlet outlet{test.memory, SlowReader::drop_oldest};
    CHECK(outlet.is_empty());
    CHECK(outlet.push("one\n") == Pushed::queued);
    CHECK(outlet.push("two\n") == Pushed::queued);
    CHECK(send(test, outlet) == "one\ntwo\n");
    CHECK(outlet.is_empty());
    CHECK(test.record().counts.sent == 2);
}

TEST_CASE("channel/outlet: what was sent in part is completed before anything else") {
    TestMemory test;
    Outlet outlet{test.memory, SlowReader::drop_oldest};
    static_cast<void>(outlet.push(line_of(1, 300)));
    static_cast<void>(outlet.push(line_of(2, 300)));
    std::string sent = send(test, outlet, 450);
    sent += send(test, outlet);
    CHECK(sent == line_of(1, 300) + line_of(2, 300));
}

TEST_CASE("channel/outlet: a full queue drops the oldest and delivers their number") {
    TestMemory test;
    Outlet outlet{test.memory, SlowReader::drop_oldest};
    for (int i = 0; i < 200; ++i) CHECK(outlet.push(line_of(i)) != Pushed::refused);
    const auto lines = lines_of(send_all(test, outlet));
    int last = -1;
    std::uint64_t kept = 0;
    std::uint64_t told = 0;
    for (const std::string& line : lines) {
        if (line.find("dropped") != std::string::npos) {
            told += std::stoul(line.substr(line.find("count") + 7));
            continue;
        }
        CHECK(std::stoi(line) > last);
        last = std::stoi(line);
        CHECK(line == line_of(last));
        ++kept;
    }
    CHECK(last == 199);
    CHECK(kept > 30);
    CHECK(told == 200 - kept);
    CHECK(test.record().counts.dropped == 200 - kept);
}

TEST_CASE("channel/outlet: what its reader will never read is counted, and the rest goes on") {
    TestMemory test;
    Outlet outlet{test.memory, SlowReader::drop_oldest};
    static_cast<void>(outlet.push(line_of(1, 300)));
    static_cast<void>(outlet.push(line_of(2, 300)));
    static_cast<void>(send(test, outlet, 450));
    outlet.discard();
    CHECK(outlet.is_empty());
    CHECK(test.record().counts.dropped == 1);
    static_cast<void>(outlet.push("next\n"));
    CHECK(send(test, outlet) == "next\n");
}

TEST_CASE("channel/outlet: with disconnect a full queue says so and keeps what it has") {
    TestMemory test;
    Outlet outlet{test.memory, SlowReader::disconnect};
    int queued = 0;
    while (outlet.push(line_of(queued)) == Pushed::queued) ++queued;
    CHECK(queued == 40);
    CHECK(outlet.push(line_of(0)) == Pushed::overflow);
    CHECK(lines_of(send_all(test, outlet)).size() == 40);
}

TEST_CASE("channel/outlet: a line longer than the queue is refused and counted") {
    TestMemory test;
    Outlet outlet{test.memory, SlowReader::drop_oldest};
    CHECK(outlet.push(line_of(1, 4096)) == Pushed::refused);
    CHECK(test.record().counts.undeliverable == 1);
    CHECK(outlet.is_empty());
    CHECK(outlet.push(line_of(1, 4000)) == Pushed::queued);
}

TEST_CASE("channel/outlet: a line that is being sent does not give way; the new one does") {
    TestMemory test;
    Outlet outlet{test.memory, SlowReader::drop_oldest};
    CHECK(outlet.push(line_of(1, 3900)) == Pushed::queued);
    std::string sent = send(test, outlet, 10);
    CHECK(outlet.push(line_of(2, 3000)) == Pushed::refused);
    sent += send_all(test, outlet);
    CHECK(sent == line_of(1, 3900) + "{\"cluster\":\"dropped\",\"count\":1}\n");
}

TEST_CASE("channel/outlet: what Node waits for is never dropped") {
    TestMemory test;
    Outlet outlet{test.memory, SlowReader::drop_oldest};
    for (int i = 0; i < 30; ++i) static_cast<void>(outlet.push(line_of(i)));
    static_cast<void>(outlet.push("{\"cmd\":\"NODE_HANDLE_ACK\"}\n"));
    for (int i = 0; i < 500; ++i) static_cast<void>(outlet.push(line_of(i)));
    int acks = 0;
    for (const std::string& line : lines_of(send_all(test, outlet))) {
        acks += line == "{\"cmd\":\"NODE_HANDLE_ACK\"}\n" ? 1 : 0;
    }
    CHECK(acks == 1);
}

TEST_CASE("channel/outlet: a successor knows what the kernel took, to the byte") {
    for (const std::size_t taken :
         {std::size_t{0}, std::size_t{40}, std::size_t{100}, std::size_t{101}, std::size_t{200}}) {
        TestMemory test;
        std::string sent;
        {
            Outlet outlet{test.memory, SlowReader::drop_oldest};
            static_cast<void>(outlet.push(line_of(1)));
            static_cast<void>(outlet.push(line_of(2)));
            sent = send(test, outlet, taken, false);
        }
        auto memory = Memory::attach(test.bytes());
        REQUIRE(memory);
        Outlet successor{*memory, SlowReader::drop_oldest};
        // A flood between the part and its rest changes nothing of the line that was begun.
        for (int i = 3; i < 100; ++i) static_cast<void>(successor.push(line_of(i)));
        sent += send_all(test, successor);
        for (const std::string& line : lines_of(sent)) {
            CHECK((line.size() == 100 || line.find("dropped") != std::string::npos));
        }
        const bool is_begun = taken > 0;
        CHECK((sent.substr(0, 100) == line_of(1)) == is_begun);
    }
}

TEST_CASE("channel/outlet: whatever is pushed and taken, only whole lines in order arrive") {
    for (std::uint64_t seed = 1; seed <= 200; ++seed) {
        TestMemory test;
        Prng prng{seed};
        std::string sent;
        int number = 0;
        std::optional<Outlet> outlet{std::in_place, test.memory, SlowReader::drop_oldest};
        for (int i = 0; i < 600; ++i) {
            if (prng.below(3) != 0) {
                const auto size = static_cast<std::size_t>(10 + prng.below(900));
                static_cast<void>(outlet->push(line_of(number++, size)));
            } else if (!outlet->is_empty()) {
                const bool is_noted = prng.below(4) != 0;
                sent += send(test, *outlet, static_cast<std::size_t>(prng.below(3000)), is_noted);
                if (!is_noted) {
                    const auto memory = Memory::attach(test.bytes());
                    REQUIRE(memory);
                    outlet.emplace(*memory, SlowReader::drop_oldest);
                }
            }
        }
        sent += send_all(test, *outlet);
        int last = -1;
        std::uint64_t told = 0;
        std::uint64_t kept = 0;
        for (const std::string& line : lines_of(sent)) {
            if (line[0] == '{') {
                told += std::stoul(line.substr(line.find("count") + 7));
                continue;
            }
            const int current = std::stoi(line);
            REQUIRE(current > last);
            REQUIRE(line == line_of(current, line.size()));
            last = current;
            ++kept;
        }
        REQUIRE(kept + told == static_cast<std::uint64_t>(number));
    }
}

}  // namespace
}  // namespace cluster::channel
