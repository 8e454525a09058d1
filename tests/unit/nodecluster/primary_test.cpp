#include <doctest/doctest.h>

#include <algorithm>
#include <cerrno>
#include <string>

#include "unit/nodecluster/world.hpp"

namespace cluster::nodecluster {
namespace {

using namespace std::chrono_literals;

bool contains(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

/// Runs that are online and ask for port 8000.
World with_runs(std::uint32_t count, bool is_round_robin) {
    World world;
    for (std::uint32_t slot = 1; slot <= count; ++slot) {
        world.add(World::run_of(slot), "api", is_round_robin);
        world.say(World::run_of(slot), kOnline);
        world.say(World::run_of(slot), query_line(1, 8000));
        world.take_lines(World::run_of(slot));
    }
    world.events.clear();
    return world;
}

const Run kFirst = World::run_of(1);
const Run kSecond = World::run_of(2);

TEST_CASE("nodecluster/sockets: runs of one app share them, those of another do not") {
    World world = with_runs(2, false);
    CHECK(world.sockets.size() == 1);
    world.add(World::run_of(3), "other", false);
    world.say(World::run_of(3), query_line(1, 8000));
    CHECK(world.sockets.size() == 2);
    CHECK(world.violation == "");
}

TEST_CASE("nodecluster/sockets: a TLS server's data of the first is that of all, and survives") {
    World world;
    world.add(kFirst, "api", false);
    world.add(kSecond, "api", false);
    world.say(kFirst, query_line(1, 8443, R"({"ticketKeys":"aa"})"));
    world.say(kSecond, query_line(1, 8443, R"({"ticketKeys":"bb"})"));
    CHECK(contains(world.runs[kFirst].lines.back(), R"("data":{"ticketKeys":"aa"})"));
    CHECK(contains(world.runs[kSecond].lines.back(), R"("data":{"ticketKeys":"aa"})"));
    world.restart();
    world.add(World::run_of(3), "api", false);
    world.say(World::run_of(3), query_line(1, 8443, R"({"ticketKeys":"cc"})"));
    CHECK(contains(world.runs[World::run_of(3)].lines.back(), R"("data":{"ticketKeys":"aa"})"));
}

TEST_CASE("nodecluster/sockets: data that comes later than the socket is kept, too") {
    World world = with_runs(1, false);
    world.add(kSecond, "api", false);
    world.say(kSecond, query_line(1, 8000, R"({"ticketKeys":"bb"})"));
    CHECK(contains(world.runs[kSecond].lines.back(), R"("data":{"ticketKeys":"bb"})"));
    CHECK(world.sockets.begin()->second.data == R"({"ticketKeys":"bb"})");
}

TEST_CASE("nodecluster/sockets: one that cannot be opened is an error with a negative number") {
    World world;
    world.add(kFirst, "api", false);
    world.open_error = EACCES;
    world.say(kFirst, query_line(7, 80, R"({"ticketKeys":"aa"})"));
    const std::string line = world.runs[kFirst].lines.back();
    CHECK(contains(line, R"("errno":-13)"));
    CHECK(contains(line, R"("ack":7)"));
    CHECK(contains(line, R"("data":{"ticketKeys":"aa"})"));
    world.open_error = 0;
    world.say(kFirst, query_line(8, 80));
    CHECK(contains(world.runs[kFirst].lines.back(), R"("errno":0)"));
}

TEST_CASE("nodecluster/sockets: they outlive their last run by five seconds") {
    World world = with_runs(1, false);
    world.end(kFirst);
    world.pass(4999ms);
    CHECK(world.sockets.size() == 1);
    world.add(World::run_of(1, 2), "api", false);
    world.say(World::run_of(1, 2), query_line(1, 8000));
    world.pass(60s);
    CHECK(world.sockets.size() == 1);
    world.end(World::run_of(1, 2));
    world.pass(5s);
    CHECK(world.sockets.empty());
    CHECK(world.violation == "");
}

TEST_CASE("nodecluster/sockets: those of an app that is forgotten are closed at once") {
    World world = with_runs(1, false);
    world.primary.forget("api");
    world.settle();
    CHECK(world.sockets.size() == 1);  // a run has it
    world.end(kFirst);
    world.primary.forget("api");
    world.settle();
    CHECK(world.sockets.empty());
}

TEST_CASE("nodecluster/bounds: a run has so many addresses and no more") {
    World world;
    world.add(kFirst, "api", false);
    for (std::uint64_t i = 0; i < kMaxHeld; ++i) {
        world.say(kFirst, query_line(i + 1, 10'000 + static_cast<int>(i)));
    }
    CHECK(world.sockets.size() == kMaxHeld);
    world.say(kFirst, query_line(1000, 20'000));
    CHECK(contains(world.runs[kFirst].lines.back(), R"("errno":-24)"));
    CHECK(world.violation == "");
}

TEST_CASE("nodecluster/bounds: a run that takes and leaves addresses does not collect sockets") {
    World world;
    world.add(kFirst, "api", false);
    for (std::uint64_t i = 0; i < 1000; ++i) {
        const int port = 10'000 + static_cast<int>(i);
        world.say(kFirst, query_line(i + 1, port));
        world.say(kFirst, R"({"cmd":"NODE_CLUSTER","act":"close","key":"127.0.0.1:)" +
                              std::to_string(port) + R"(:4"})");
        CHECK(world.sockets.size() <= kMaxHandles);
    }
    CHECK(world.violation == "");
    world.pass(5s);
    CHECK(world.sockets.empty());
}

TEST_CASE("nodecluster/takeover: a question that was cut off is answered once more, and only it") {
    World world = with_runs(1, true);
    world.restart();
    world.say(kFirst, query_line(1, 8000));
    CHECK(contains(world.runs[kFirst].lines.back(), R"("errno":null)"));
    world.say(kFirst, query_line(2, 8000));
    CHECK(contains(world.runs[kFirst].lines.back(), R"("errno":-98)"));
    CHECK(world.connect(HandleId{1}));
    CHECK(world.runs[kFirst].unanswered.size() == 1);
    CHECK(world.violation == "");
}

TEST_CASE("nodecluster/stop: drain, disconnect, signal") {
    World world = with_runs(1, false);
    world.say(kFirst, kHello);
    CHECK(world.stop(kFirst, 10s));
    CHECK(contains(world.take_lines(kFirst).back(), "NODE_CLUSTERD_DRAIN"));
    CHECK(world.stop(kFirst, 10s));
    CHECK(world.take_lines(kFirst).empty());  // once
    world.say(kFirst, kDrained);
    CHECK(contains(world.take_lines(kFirst).back(), R"("act":"disconnect")"));
    world.close_channel(kFirst);
    world.pass(999ms);
    CHECK(world.events.back() != "signal run 1/1");
    world.pass(1ms);
    CHECK(world.events.back() == "signal run 1/1");
    CHECK_FALSE(world.primary.next_deadline().has_value());
}

TEST_CASE("nodecluster/stop: a drain that does not end is ended before the grace is") {
    World world = with_runs(1, false);
    world.say(kFirst, kHello);
    CHECK(world.stop(kFirst, 10s));
    CHECK(contains(world.take_lines(kFirst).back(), R"("grace_ms":9250)"));
    world.pass(9499ms);
    CHECK(world.take_lines(kFirst).empty());
    world.pass(1ms);
    CHECK(contains(world.take_lines(kFirst).back(), R"("act":"disconnect")"));
}

TEST_CASE("nodecluster/stop: who keeps its channel gets the signal before it is killed, once") {
    for (const bool drains : {true, false}) {
        World world = with_runs(1, false);
        if (drains) world.say(kFirst, kHello);
        CHECK(world.stop(kFirst, 10s));
        world.pass(9749ms);
        CHECK(world.events.back() != "signal run 1/1");
        world.pass(1ms);
        CHECK(world.events.back() == "signal run 1/1");
        CHECK_FALSE(world.primary.next_deadline().has_value());
        // The channel is closed late: no second one.
        world.close_channel(kFirst);
        world.pass(5s);
        CHECK(std::count(world.events.begin(), world.events.end(), "signal run 1/1") == 1);
    }
    World hasty = with_runs(1, false);
    CHECK(hasty.stop(kFirst, 400ms));
    hasty.pass(300ms);
    CHECK(hasty.events.back() == "signal run 1/1");
}

TEST_CASE("nodecluster/stop: who asks for more time gets the signal later, never earlier") {
    World world = with_runs(1, false);
    world.primary.extend(kFirst, 60s, world.now);  // nobody has told it to end
    CHECK_FALSE(world.primary.next_deadline().has_value());
    CHECK(world.stop(kFirst, 2s));
    world.pass(1s);
    world.primary.extend(kFirst, 500ms, world.now);  // less than it has
    world.pass(749ms);
    CHECK(world.events.back() != "signal run 1/1");
    world.primary.extend(kFirst, 3s, world.now);
    world.pass(2749ms);
    CHECK(world.events.back() != "signal run 1/1");
    world.pass(1ms);
    CHECK(world.events.back() == "signal run 1/1");
    world.primary.extend(kFirst, 10s, world.now);
    CHECK_FALSE(world.primary.next_deadline().has_value());  // once

    World closed = with_runs(1, false);
    CHECK(closed.stop(kFirst, 1s));
    closed.primary.extend(kFirst, 10s, closed.now);
    closed.pass(500ms);
    closed.close_channel(kFirst);
    closed.pass(999ms);
    CHECK(closed.events.back() != "signal run 1/1");
    closed.pass(1ms);
    CHECK(closed.events.back() == "signal run 1/1");
}

TEST_CASE("nodecluster/stop: without a preload, or without the wish, nobody is asked to drain") {
    World world = with_runs(1, false);
    CHECK(world.stop(kFirst, 10s));
    CHECK(contains(world.take_lines(kFirst).back(), R"("act":"disconnect")"));
    world.add(kSecond, "api", false, false);
    world.say(kSecond, kOnline);
    world.say(kSecond, kHello);
    CHECK(world.stop(kSecond, 10s));
    CHECK(contains(world.take_lines(kSecond).back(), R"("act":"disconnect")"));
}

TEST_CASE("nodecluster/stop: what was never a worker of a cluster gets its signal") {
    World world;
    world.add(kFirst, "api", false);
    CHECK_FALSE(world.stop(kFirst, 10s));
    CHECK_FALSE(world.stop(kSecond, 10s));
    World other = with_runs(1, false);
    other.close_channel(kFirst);
    CHECK_FALSE(other.stop(kFirst, 10s));
}

TEST_CASE("nodecluster/stop: a kill in between asks for nothing twice") {
    World world = with_runs(1, false);
    world.say(kFirst, kHello);
    CHECK(world.stop(kFirst, 10s));
    world.restart();
    CHECK(world.stop(kFirst, 10s));
    CHECK(world.take_lines(kFirst).size() == 1);
    world.say(kFirst, kDrained);
    world.restart();
    CHECK(world.stop(kFirst, 10s));
    CHECK(world.take_lines(kFirst).size() == 1);
}

TEST_CASE("nodecluster/connections: they are handed out by turns, up to the window") {
    World world = with_runs(3, true);
    for (std::size_t i = 0; i < 3 * kWindow; ++i) CHECK(world.connect(HandleId{1}));
    for (std::uint32_t slot = 1; slot <= 3; ++slot) {
        CHECK(world.runs[World::run_of(slot)].unanswered.size() == kWindow);
    }
    CHECK_FALSE(world.connect(HandleId{1}));  // it waits in the backlog, not here
    auto& unanswered = world.runs[kFirst].unanswered;
    const std::uint64_t sequence = *unanswered.begin();
    unanswered.erase(sequence);
    world.say(kFirst, answer_line(sequence, true));
    CHECK(world.connections.size() == 3 * kWindow - 1);
    CHECK(world.connect(HandleId{1}));
    CHECK(world.violation == "");
}

TEST_CASE("nodecluster/connections: a run that refuses gets none for 20 ms") {
    World world = with_runs(1, true);
    CHECK(world.connect(HandleId{1}));
    auto& unanswered = world.runs[kFirst].unanswered;
    const std::uint64_t sequence = *unanswered.begin();
    unanswered.clear();
    world.say(kFirst, answer_line(sequence, false));
    CHECK(unanswered.empty());
    CHECK(world.accepting.empty());
    CHECK(world.primary.next_deadline() == world.now + 20ms);
    world.pass(20ms);
    CHECK(unanswered.size() == 1);
    CHECK(world.connections.size() == 1);
}

TEST_CASE("nodecluster/connections: all are busy when nobody would take one at once") {
    World world = with_runs(2, true);
    const HandleId handle{1};
    for (std::size_t i = 0; i < 2 * kBusy; ++i) {
        CHECK_FALSE(world.primary.is_busy(handle));
        CHECK(world.connect(handle));
    }
    CHECK(world.primary.is_busy(handle));
    CHECK(world.primary.unanswered(handle) == std::vector<Run>{kFirst, kSecond});
    // One that refuses takes no part for a while.
    auto& unanswered = world.runs[kFirst].unanswered;
    while (!unanswered.empty()) {
        const std::uint64_t sequence = *unanswered.begin();
        unanswered.erase(sequence);
        world.say(kFirst, answer_line(sequence, unanswered.size() + 1 < kBusy));
    }
    CHECK(world.primary.is_busy(handle));
    CHECK(world.primary.unanswered(handle) == std::vector<Run>{kSecond});
    world.pass(kBackOff);
    CHECK_FALSE(world.primary.is_busy(handle));
    CHECK_FALSE(world.primary.is_busy(HandleId{9}));
    world.end(kFirst);
    CHECK(world.primary.is_busy(handle));
    world.end(kSecond);
    CHECK_FALSE(world.primary.is_busy(handle));
}

TEST_CASE("nodecluster/connections: those of a run that dies go to others, in their order") {
    World world = with_runs(2, true);
    for (int i = 0; i < 6; ++i) CHECK(world.connect(HandleId{1}));
    world.events.clear();
    world.end(kFirst);
    CHECK(world.runs[kSecond].unanswered.size() == 6);
    std::string text;
    for (const std::string& event : world.events) text += event;
    CHECK(text.find("connection 1 ") < text.find("connection 3 "));
    CHECK(text.find("connection 3 ") < text.find("connection 5 "));
    CHECK(world.violation == "");
}

TEST_CASE("nodecluster/connections: a run that is asked to end gets no more") {
    World world = with_runs(2, true);
    CHECK(world.stop(kFirst, 10s));
    for (int i = 0; i < 4; ++i) CHECK(world.connect(HandleId{1}));
    CHECK(world.runs[kFirst].unanswered.empty());
    world.primary.withdraw(kSecond);
    world.settle();
    CHECK(world.accepting.empty());
}

TEST_CASE("nodecluster/connections: a channel that takes nothing now is no end") {
    World world = with_runs(2, true);
    world.clogged.insert(kFirst);
    CHECK(world.connect(HandleId{1}));
    CHECK(world.runs[kSecond].unanswered.size() == 1);
    world.clogged.insert(kSecond);
    CHECK(world.connect(HandleId{1}));
    CHECK(world.connections.size() == 2);
    world.clogged.clear();
    world.pass(20ms);
    CHECK(world.runs[kFirst].unanswered.size() + world.runs[kSecond].unanswered.size() == 2);
}

TEST_CASE("nodecluster/connections: what still waits when the socket is closed is closed") {
    World world = with_runs(1, true);
    CHECK(world.connect(HandleId{1}));
    world.end(kFirst);
    CHECK(world.connections.size() == 1);
    world.pass(5s);
    CHECK(world.connections.empty());
    CHECK(world.violation == "");
}

TEST_CASE("nodecluster/connections: who comes after the last one gets what waits, and more") {
    World world = with_runs(1, true);
    CHECK(world.connect(HandleId{1}));
    world.end(kFirst);
    CHECK(world.accepting.empty());
    const Run next = World::run_of(1, 2);
    world.add(next, "api", true);
    world.say(next, query_line(1, 8000));
    CHECK(world.runs[next].unanswered.size() == 1);
    CHECK(world.connect(HandleId{1}));
    CHECK(world.runs[next].unanswered.size() == 2);
    CHECK(world.violation == "");
}

TEST_CASE("nodecluster/connections: answers to what was never handed over change nothing") {
    World world = with_runs(2, true);
    CHECK(world.connect(HandleId{1}));
    const std::uint64_t sequence = *world.runs[kFirst].unanswered.begin();
    world.say(kSecond, answer_line(sequence, true));
    world.say(kFirst, answer_line(sequence + 100, true));
    CHECK(world.connections.size() == 1);
    world.say(kFirst, answer_line(sequence, true));
    world.say(kFirst, answer_line(sequence, true));
    CHECK(world.connections.empty());
    CHECK(world.violation == "");
}

TEST_CASE("nodecluster/message: keys are those of Node.js") {
    channel::Json json;
    const auto key = [&](const std::string& fields) {
        const auto message = parse_message(
            json, R"({"cmd":"NODE_CLUSTER","act":"queryServer","seq":1,)" + fields + "}");
        REQUIRE(message);
        return std::get<in::Query>(*message).key;
    };
    CHECK(key(R"("address":null,"port":8000,"addressType":4)") == "null:8000:4");
    CHECK(key(R"("address":"::1","port":0,"addressType":6,"index":2)") == "::1:0:6:2");
    CHECK(key(R"("address":"/run/x","port":-1,"addressType":-1)") == "/run/x:-1");
    CHECK(key(R"("address":"0.0.0.0","port":53,"addressType":"udp4")") == "0.0.0.0:53:udp4");
}

TEST_CASE("nodecluster/message: fields of any type are no danger") {
    channel::Json json;
    for (const char* value : {"null", "true", "-1", "1e400", "99999999999999999999", "[]", "{}",
                              "\"x\"", "\"\\u0000\"", "0.5"}) {
        for (const char* name : {"seq", "address", "port", "addressType", "fd", "index", "flags",
                                 "backlog", "readableAll", "data", "key", "act", "ack"}) {
            const std::string line =
                R"({"cmd":"NODE_CLUSTER","act":"queryServer","seq":1,"address":"::","port":1,)"
                R"("addressType":6,"data":null,")" +
                std::string{name} + "\":" + value + "}";
            CAPTURE(line);
            World world;
            world.add(kFirst, "api", true);
            world.say(kFirst, line);
            CHECK(world.violation == "");
            for (const std::string& sent : world.runs[kFirst].lines) CHECK(json.parse(sent));
        }
    }
}

}  // namespace
}  // namespace cluster::nodecluster
