#include "channel/router.hpp"

#include <doctest/doctest.h>

#include "channel/rules.hpp"
#include "unit/channel/world.hpp"

namespace cluster::channel {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;
using Lines = std::vector<std::string>;

TEST_CASE("channel/router: to an instance, a worker, a group, a pattern and everyone") {
    TestRouter t;
    t.say(0, R"({"cluster":"send","to":"api.2","data":{"n": 1.50}})");
    CHECK(t.world.take_one(2) == R"({"cluster":"message","from":"api.0","data":{"n": 1.50}})");
    t.say(0, R"({"cluster":"send","to":"api","data":7})");
    CHECK(t.world.take(0).empty());
    CHECK(t.world.take(1).size() == 1);
    CHECK(t.world.take(2).size() == 1);
    t.say(0, R"({"cluster":"send","to":"@site","id":1})");
    CHECK(t.world.take_one(0) == R"({"cluster":"reply","id":1,"delivered":2})");
    CHECK(t.world.take_one(1) == R"({"cluster":"message","from":"api.0","data":null})");
    t.world.lines.clear();
    t.say(1, R"({"cluster":"send","to":"a*","data":0})");
    CHECK(t.world.take(0).size() + t.world.take(2).size() == 2);
    CHECK(t.world.take(3).empty());
}

TEST_CASE(
    "channel/router: a json worker is among the many once it has spoken; named it always is") {
    TestRouter t;
    t.say(0, R"({"cluster":"send","to":"all","data":1})");
    CHECK(t.world.take(3).empty());
    t.say(0, R"({"cluster":"send","to":"job.0","data":1})");
    CHECK(t.world.take(3).size() == 1);
    t.say(3, R"({"hello":1})");
    t.say(0, R"({"cluster":"send","to":"all","data":1})");
    CHECK(t.world.take(3).size() == 1);
}

TEST_CASE("channel/router: nobody is no error, and the sender hears of it if it asks") {
    TestRouter t;
    t.say(0, R"({"cluster":"send","to":"nobody","data":1,"id":"x"})");
    CHECK(t.world.take_one(0) == R"({"cluster":"reply","id":"x","delivered":0})");
}

TEST_CASE("channel/router: raw messages arrive as they are, unless they pretend") {
    TestRouter t;
    t.say(0, R"({"cluster":"send","to":"api.1","raw":true,"data":{"type":"hi"}})");
    CHECK(t.world.take_one(1) == R"({"type":"hi"})");
    for (const char* data : {R"({"cmd":"NODE_HANDLE_ACK"})", R"({"cluster":"reply","id":1})",
                             R"({"cmd":"NODE_CLUSTER","act":"disconnect"})"}) {
        t.say(0, R"({"cluster":"send","to":"api.1","raw":true,"id":5,"data":)" + std::string{data} +
                     "}");
        CHECK(t.world.take(1).empty());
        CHECK(t.world.take_one(0).find("error") != std::string::npos);
    }
    CHECK(t.counts(0).malformed == 3);
}

TEST_CASE("channel/router: publish reaches each subscriber once, by name and by pattern") {
    TestRouter t;
    t.say(0, R"({"cluster":"subscribe","topic":"jobs.done","id":1})");
    CHECK(t.world.take_one(0) == R"({"cluster":"reply","id":1,"value":true})");
    t.say(0, R"({"cluster":"subscribe","topic":"jobs.*"})");
    t.say(0, R"({"cluster":"subscribe","topic":"jobs.*"})");
    t.say(1, R"({"cluster":"subscribe","topic":"*"})");
    t.say(2, R"({"cluster":"publish","topic":"jobs.done","data":{"n":1},"id":2})");
    CHECK(t.world.take_one(0) ==
          R"({"cluster":"message","topic":"jobs.done","from":"api.2","data":{"n":1}})");
    CHECK(t.world.take(1).size() == 1);
    CHECK(t.world.take_one(2) == R"({"cluster":"reply","id":2,"delivered":2})");
    t.say(0, R"({"cluster":"unsubscribe","topic":"jobs.*"})");
    t.say(0, R"({"cluster":"unsubscribe","topic":"jobs.done"})");
    t.say(2, R"({"cluster":"publish","topic":"jobs.done","data":1})");
    CHECK(t.world.take(0).empty());
    CHECK(t.world.take(1).size() == 1);
    CHECK(t.router.publish("x", "3") == 1);
    CHECK(t.world.take_one(1) == R"({"cluster":"message","topic":"x","data":3})");
}

TEST_CASE("channel/router: subscriptions are bounded and outlive the router") {
    TestRouter t;
    for (std::size_t i = 0; i <= kMaxSubscriptions; ++i) {
        t.say(0, R"({"cluster":"subscribe","id":1,"topic":"t)" + std::to_string(i) + "\"}");
    }
    CHECK(t.world.take(0).back() ==
          R"({"cluster":"reply","id":1,"error":"too many subscriptions"})");
    Router successor{t.spec, t.world};
    successor.add({.run = t.run(0),
                   .worker = "api",
                   .number = 0,
                   .group = "",
                   .is_node = true,
                   .record = t.records[0].get()});
    CHECK(successor.publish("t63", "1") == 1);
    CHECK(successor.publish("t64", "1") == 0);
}

TEST_CASE("channel/router: a request comes back with the id it was made with") {
    TestRouter t;
    t.say(0, R"({"cluster":"request","to":"api.1","id":"q1","data":"?"})");
    const std::string asked = t.world.take_one(1);
    Json json;
    REQUIRE(json.parse(asked));
    CHECK(json.find("from")->text == "\"api.0\"");
    CHECK(json.find("data")->text == "\"?\"");
    const std::string id{json.find("id")->text};
    CHECK(std::stoull(id) < (std::uint64_t{1} << 53U));
    t.say(2, R"({"cluster":"reply","data":"forged","id":)" + id + "}");
    CHECK(t.world.take(0).empty());
    CHECK(t.counts(2).unanswered == 1);
    t.say(1, R"({"cluster":"reply","data":"!","id":)" + id + "}");
    CHECK(t.world.take_one(0) == R"({"cluster":"reply","id":"q1","from":"api.1","data":"!"})");
    t.say(1, R"({"cluster":"reply","data":"twice","id":)" + id + "}");
    CHECK(t.world.take(0).empty());
    CHECK(t.counts(1).unanswered == 1);
    CHECK_FALSE(t.router.next_deadline());
}

TEST_CASE("channel/router: a request that nobody answers ends with its deadline") {
    TestRouter t;
    t.say(0, R"({"cluster":"request","to":"api.1","id":1,"timeout_ms":50})");
    t.say(0, R"({"cluster":"request","to":"api.1","id":2})");
    REQUIRE(t.router.next_deadline() == t.now + 50ms);
    t.router.on_time(t.now + 49ms);
    CHECK(t.world.take(0).empty());
    t.router.on_time(t.now + 50ms);
    CHECK(t.world.take_one(0) == R"({"cluster":"reply","id":1,"error":"timeout"})");
    CHECK(t.router.next_deadline() == t.now + 10s);
}

TEST_CASE("channel/router: requests fail at once where there is nobody, no room, or no more") {
    TestRouter t;
    t.say(0, R"({"cluster":"request","to":"nobody","id":1})");
    CHECK(t.world.take_one(0) == R"({"cluster":"reply","id":1,"error":"nobody there"})");
    t.say(0, R"({"cluster":"request","to":"api.1","id":2})");
    t.router.remove(t.run(1));
    CHECK(t.world.take_one(0) ==
          R"({"cluster":"reply","id":2,"from":"api.1","error":"it has left"})");
    for (std::size_t i = 0; i <= kMaxPending; ++i) {
        t.say(0, R"({"cluster":"request","to":"api.2","id":3})");
    }
    CHECK(t.world.take_one(0) == R"({"cluster":"reply","id":3,"error":"too many requests"})");
    CHECK(t.world.take(2).size() == kMaxPending);
}

TEST_CASE("channel/router: requests to a worker go to its instances in turn, not to the sender") {
    TestRouter t;
    for (int i = 0; i < 10; ++i) t.say(0, R"({"cluster":"request","to":"api","id":1})");
    CHECK(t.world.take(0).empty());
    CHECK(t.world.take(1).size() == 5);
    CHECK(t.world.take(2).size() == 5);
}

TEST_CASE("channel/router: what waits for a reply goes on under a successor") {
    TestRouter t;
    t.say(0, R"({"cluster":"request","to":"api.1","id":77})");
    Json json;
    const std::string asked = t.world.take_one(1);
    REQUIRE(json.parse(asked));
    TestRouter next;
    next.router.remove(next.run(0));
    next.records[0] = std::move(t.records[0]);
    next.add(0, "api", 0);
    CHECK(next.router.next_deadline());
    next.say(1, R"({"cluster":"reply","data":1,"id":)" + std::string{json.find("id")->text} + "}");
    CHECK(next.world.take_one(0) == R"({"cluster":"reply","id":77,"from":"api.1","data":1})");
}

TEST_CASE("channel/router: life by message") {
    TestRouter t;
    t.say(0, R"("ready")");
    t.say(0, R"({"cluster":"ready"})");
    t.say(0, R"({"cluster":"heartbeat"})");
    t.say(0, R"({"cluster":"status","text":"warm"})");
    t.say(0, R"({"cmd":"NODE_CLUSTER","act":"online","seq":0})");
    CHECK(t.world.events == Lines{"0 ready", "0 ready", "0 heartbeat", "0 status warm",
                                  R"(0 internal {"cmd":"NODE_CLUSTER","act":"online","seq":0})"});
    t.router.tell_stopping(t.run(0), 5s);
    CHECK(t.world.take(0).empty());
    t.say(0, R"({"cluster":"subscribe","topic":"*"})");
    t.router.tell_stopping(t.run(0), 5s);
    CHECK(t.world.take(0).empty());
    t.say(0, R"({"cluster":"subscribe","topic":"cluster.stopping"})");
    t.router.tell_stopping(t.run(0), 5s);
    CHECK(t.world.take_one(0) == R"({"cluster":"stopping","grace_ms":5000})");
}

TEST_CASE("channel/router: what Node asks is answered once, and its sockets are none") {
    TestRouter t;
    t.say(0, R"({"cmd":"NODE_HANDLE","type":"net.Socket","msg":{"type":"x"},"key":"k"})");
    CHECK(t.world.take_one(0) == R"({"cmd":"NODE_HANDLE_ACK"})");
    CHECK(t.world.observed == Lines{R"(api.0||{"type":"x"})"});
    t.say(0, R"({"cmd":"NODE_SOCKET_GET_COUNT","key":"4:::80"})");
    CHECK(t.world.take_one(0) == R"({"cmd":"NODE_SOCKET_COUNT","key":"4:::80","count":0})");
    t.say(0, R"({"cmd":"NODE_SOCKET_NOTIFY_CLOSE","key":"k"})");
    CHECK(t.world.take_one(0) == R"({"cmd":"NODE_SOCKET_ALL_CLOSED","key":"k"})");
    for (const char* line : {R"({"cmd":"NODE_HANDLE_ACK"})", R"({"cmd":"NODE_HANDLE_NACK"})"}) {
        t.say(0, line);
        CHECK(t.world.take(0).empty());
    }
    t.world.observed.clear();
    for (const char* line : {R"({"cmd":"NODE_"})", R"({"cmd":"node_x"})", R"({"cmd":7})"}) {
        t.say(0, line);
    }
    CHECK(t.world.observed.size() == 3);
}

TEST_CASE("channel/router: a line that a kill has cut off is made good only where Node waits") {
    TestRouter t;
    t.router.complete(t.run(0), R"({"cmd":"NODE_HANDLE","type":"net.Socket","msg":{"type":"x"}})");
    CHECK(t.world.take_one(0) == R"({"cmd":"NODE_HANDLE_ACK"})");
    t.router.complete(t.run(0), R"({"cluster":"send","to":"api.1","data":1})");
    CHECK(t.world.take(1).empty());
    CHECK(t.world.observed.empty());
}

TEST_CASE("channel/router: the store by message") {
    TestRouter t;
    const auto ask = [&](std::string_view line) {
        t.say(0, line);
        return t.world.take_one(0);
    };
    CHECK(ask(R"({"cluster":"incr","key":"hits","by":41,"id":7})") ==
          R"({"cluster":"reply","id":7,"value":41})");
    CHECK(ask(R"({"cluster":"incr","key":"hits","id":7})") ==
          R"({"cluster":"reply","id":7,"value":42})");
    CHECK(ask(R"({"cluster":"counter","key":"c","by":-1,"id":8})") ==
          R"({"cluster":"reply","id":8,"value":-1})");
    CHECK(ask(R"({"cluster":"set","key":"k","value":{"a":1},"id":1,"ttl_ms":50})") ==
          R"({"cluster":"reply","id":1,"token":"3"})");
    CHECK(t.world.store.last_ttl == 50ms);
    CHECK(ask(R"({"cluster":"get","key":"k","id":1})") ==
          R"({"cluster":"reply","id":1,"value":"{\"a\":1}","token":"3"})");
    CHECK(ask(R"({"cluster":"cas","key":"k","token":"2","value":"x","id":1})") ==
          R"({"cluster":"reply","id":1,"error":"changed meanwhile"})");
    CHECK(ask(R"({"cluster":"cas","key":"k","token":"3","value":"x","id":1})") ==
          R"({"cluster":"reply","id":1,"token":"4"})");
    CHECK(ask(R"({"cluster":"cas","key":"k","value":"x","id":1})") ==
          R"({"cluster":"reply","id":1,"error":"already there"})");
    CHECK(ask(R"({"cluster":"del","key":"k","id":1})") ==
          R"({"cluster":"reply","id":1,"value":true})");
    CHECK(ask(R"({"cluster":"del","key":"k","id":1})") ==
          R"({"cluster":"reply","id":1,"error":"not there"})");
    CHECK(ask(R"({"cluster":"get","key":"k","id":1})") ==
          R"({"cluster":"reply","id":1,"value":null})");
    t.world.store.values["b"] = {"\xFF", 1};
    CHECK(ask(R"({"cluster":"get","key":"b","id":1})") ==
          R"({"cluster":"reply","id":1,"error":"the value is no text"})");
    t.world.has_store = false;
    CHECK(ask(R"({"cluster":"get","key":"b","id":1})") ==
          R"({"cluster":"reply","id":1,"error":"this worker has no store"})");
    CHECK(t.counts(0).malformed == 0);
}

TEST_CASE("channel/router: garbage is counted, and answered where it has an id") {
    TestRouter t;
    for (const char* line :
         {"", " ", "garbage", "{", "[1,", R"({"cluster":5})", R"({"cluster":"nonsense"})",
          R"({"cluster":"send"})", R"({"cluster":"send","to":7})",
          R"({"cluster":"publish","topic":""})", R"({"cluster":"request","to":"api.1"})",
          R"({"cluster":"reply"})", R"({"cluster":"publish","topic":"cluster.x"})",
          R"({"cluster":"incr","key":"a","by":1.5})"}) {
        const auto before = t.counts(0).malformed;
        t.say(0, line);
        CHECK_MESSAGE(t.counts(0).malformed == before + 1, line);
    }
    t.say(0, std::string_view{"\0\0", 2});
    CHECK(t.world.lines.empty());
    t.say(0, R"({"cluster":"nonsense","id":9})");
    CHECK(t.world.take_one(0) == R"({"cluster":"reply","id":9,"error":"no such command"})");
    CHECK(t.world.store.values.empty());
    t.router.on_line({Slot{0}, Generation{9}}, "1", t.now);
    CHECK(t.world.observed.empty());
}

TEST_CASE("channel/router: the classic counter program needs a rule and no change") {
    TestRouter t;
    t.spec.rules.push_back({.match = {{"type", std::string{"updateCounter"}}},
                            .incr = "globalCounter",
                            .by = "increment",
                            .set = {},
                            .publish = {},
                            .forward = {},
                            .broadcast = "globalCounter"});
    t.say(0, R"({"type":"updateCounter","increment":1})");
    t.say(1, R"({"type":"updateCounter","increment":2})");
    t.say(1, R"({"type":"other","increment":2})");
    CHECK(t.world.store.values["globalCounter"].first == "3");
    for (std::uint32_t slot = 0; slot < 3; ++slot) {
        CHECK(t.world.take(slot) == Lines{R"({"type":"globalCounter","value":1})",
                                          R"({"type":"globalCounter","value":3})"});
    }
    CHECK(t.world.take(3).empty());
}

TEST_CASE("channel/router: a message that comes again is taken again, by the rules of that moment") {
    TestRouter t;
    const auto rule = [](const char* key) {
        return core::ChannelRule{.match = {{"type", std::string{"hit"}}},
                                 .incr = key,
                                 .by = "n",
                                 .set = {},
                                 .publish = {},
                                 .forward = {},
                                 .broadcast = {}};
    };
    const auto value = [&](const char* key) { return t.world.store.values[key].first; };
    t.spec.rules.push_back(rule("one"));
    const std::string long_text(RepeatedLine::kMaxBytes, 'x');
    const std::string long_line = R"({"type":"hit","n":5,"pad":")" + long_text + "\"}";
    {
        // A buffer that holds something else afterwards, as the ring does.
        std::string line = R"({"type":"hit","n":2})";
        for (int i = 0; i < 3; ++i) t.say(static_cast<std::uint32_t>(i % 2), line);
        line.replace(line.find('2'), 1, "3");
        t.say(0, line);
        line.assign(line.size(), '?');
    }
    CHECK(value("one") == "9");
    t.say(0, R"({"type":"hit","n":3})");
    t.say(0, R"({"type":"hit","n":30})");
    t.say(0, R"({"type":"hit","n":30})");
    CHECK(value("one") == "72");
    for (int i = 0; i < 3; ++i) t.say(0, long_line);
    CHECK(value("one") == "87");
    t.spec.rules.front() = rule("two");
    t.say(0, R"({"type":"hit","n":30})");
    t.say(1, R"({"type":"hit","n":30})");
    CHECK(value("one") == "87");
    CHECK(value("two") == "60");
    // What is no application's message is never taken for one.
    for (int i = 0; i < 3; ++i) t.say(0, R"({"cluster":"incr","key":"two","by":1})");
    for (int i = 0; i < 3; ++i) t.say(0, R"({"type":"hit","n":1)");
    CHECK(value("two") == "63");
    CHECK(t.counts(0).malformed == 3);
}

TEST_CASE("channel/router: a rule that names a missing field is reported once per worker") {
    TestRouter t;
    t.spec.rules.push_back({.match = {},
                            .incr = "n",
                            .by = "amount",
                            .set = {},
                            .publish = {},
                            .forward = {},
                            .broadcast = {}});
    for (int i = 0; i < 5; ++i) t.say(static_cast<std::uint32_t>(i % 3), R"({"x":1})");
    t.say(3, R"({"amount":"no"})");
    CHECK(t.world.events == Lines{R"(0 rule 0: the message has no "amount" that it can take)",
                                  R"(3 rule 0: the message has no "amount" that it can take)"});
    CHECK(t.counts(0).unmatched == 2);
    CHECK(t.world.store.values.empty());
}

TEST_CASE("channel/router: the other rules") {
    TestRouter t;
    const auto rule = [&t](const char* type) -> core::ChannelRule& {
        t.spec.rules.emplace_back().match = {{"type", std::string{type}}};
        return t.spec.rules.back();
    };
    rule("s").set = "last";
    rule("p").publish = "news";
    rule("f").forward = "api.2";
    rule("l").log = true;
    t.say(1, R"({"cluster":"subscribe","topic":"news"})");
    t.say(0, R"({"type":"s","value":"v"})");
    CHECK(t.world.store.values["last"].first == "v");
    t.say(0, R"({"type":"p"})");
    CHECK(t.world.take_one(1) ==
          R"({"cluster":"message","topic":"news","from":"api.0","data":{"type":"p"}})");
    t.say(0, R"({"type":"f"})");
    CHECK(t.world.take_one(2) == R"({"type":"f"})");
    t.say(0, R"({"type":"l"})");
    CHECK(t.world.events == Lines{R"(0 log {"type":"l"})"});
}

TEST_CASE("channel/rules: fields are equal by value") {
    const auto matched = [](core::ChannelRule::Scalar wanted, std::string_view text) {
        core::ChannelRule rule;
        rule.match["f"] = std::move(wanted);
        Json json;
        REQUIRE(json.parse(text));
        return matches(rule, json);
    };
    CHECK(matched(std::string{"x"}, R"({"f":"x"})"));
    CHECK(matched(std::string{"x"}, R"({"f":"\u0078"})"));
    CHECK_FALSE(matched(std::string{"x"}, R"({"f":"xx"})"));
    CHECK_FALSE(matched(std::string{"1"}, R"({"f":1})"));
    CHECK(matched(std::int64_t{1}, R"({"f":1.0})"));
    CHECK_FALSE(matched(std::int64_t{1}, R"({"f":"1"})"));
    CHECK(matched(1.5, R"({"f":15e-1})"));
    CHECK(matched(true, R"({"f":true})"));
    CHECK_FALSE(matched(false, R"({"f":true})"));
    CHECK_FALSE(matched(true, R"({"g":true})"));
    CHECK_FALSE(matched(true, R"([true])"));
}

TEST_CASE("channel/router: from outside, with and without a reply") {
    TestRouter t;
    CHECK(t.router.send("api", R"({"type":"x"})") == 3U);
    CHECK(t.world.take_one(1) == R"({"type":"x"})");
    CHECK_FALSE(t.router.send("api", R"({"cmd":"NODE_HANDLE_ACK"})"));
    CHECK_FALSE(t.router.send("api", "garbage"));
    t.world.lines.clear();
    const std::uint64_t id = t.router.request("api.1", "1", 100ms, t.now);
    CHECK(t.world.take_one(1) ==
          R"({"cluster":"request","id":)" + std::to_string(id) + R"(,"data":1})");
    t.say(1, R"({"cluster":"reply","data":[2],"id":)" + std::to_string(id) + "}");
    REQUIRE(t.world.answers.size() == 1);
    CHECK(t.world.answers[0].request == id);
    CHECK(t.world.answers[0].from == "api.1");
    CHECK(t.world.answers[0].data == "[2]");
    static_cast<void>(t.router.request("api.1", "1", 100ms, t.now));
    t.router.on_time(t.now + 100ms);
    CHECK(t.world.answers[1].error == "timeout");
    static_cast<void>(t.router.request("nobody", "1", 100ms, t.now));
    CHECK(t.world.answers[2].error == "nobody there");
}

TEST_CASE("channel/router: one copy for an instance that has two runs during a reload each") {
    TestRouter t;
    t.add(9, "api", 1);
    t.say(0, R"({"cluster":"request","to":"api.1","id":1})");
    CHECK(t.world.take(1).empty());
    CHECK(t.world.take(9).size() == 1);
    t.router.remove(t.run(9));
    t.say(0, R"({"cluster":"request","to":"api.1","id":1})");
    CHECK(t.world.take(1).size() == 1);
}

}  // namespace
}  // namespace cluster::channel
