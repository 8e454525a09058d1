// [channel], [[channel.rule]] and the keys of a worker that concern its channel.
#include "loading.hpp"

namespace cluster::conf {
namespace {

using std::chrono_literals::operator""s;

const std::string kWorker = "\n[worker.w]\ncommand = \"x\"\n";

core::ChannelSpec channel_of(const std::string& text) {
    const LoadResult result = load_text(text + kWorker);
    if (!result) FAIL(format(result.error()));
    REQUIRE(result->channel);
    return *result->channel;
}

TEST_CASE("conf/channel: a file without the table says nothing of it") {
    const LoadResult result = load_text(kWorker);
    REQUIRE(result);
    CHECK_FALSE(result->channel);
    CHECK(channel_of("[channel]\n") == core::ChannelSpec{});
}

TEST_CASE("conf/channel: its settings, and a queue that grows with the longest line") {
    const core::ChannelSpec spec = channel_of(
        "[channel]\nmax_line = \"64KiB\"\nmax_queue = \"1MiB\"\nslow_reader = \"disconnect\"\n"
        "request_timeout = \"3s\"\n");
    CHECK(spec.max_line == 65536);
    CHECK(spec.max_queue == 1048576);
    CHECK(spec.slow_reader == core::SlowReader::disconnect);
    CHECK(spec.request_timeout == 3s);
    CHECK(channel_of("[channel]\nmax_line = \"16MiB\"\n").max_queue == std::uint64_t{32} << 20U);
}

TEST_CASE("conf/channel: rules in the order of the file") {
    const core::ChannelSpec spec = channel_of(
        "[[channel.rule]]\nmatch = { type = \"updateCounter\", n = 1, f = 1.5, b = true }\n"
        "incr = \"globalCounter\"\nby = \"increment\"\nbroadcast = \"globalCounter\"\n"
        "[[channel.rule]]\nmatch = {}\nlog = true\n"
        "[[channel.rule]]\nmatch = {}\nset = \"last\"\n");
    REQUIRE(spec.rules.size() == 3);
    const core::ChannelRule& rule = spec.rules[0];
    CHECK(rule.match.at("type") == core::ChannelRule::Scalar{std::string{"updateCounter"}});
    CHECK(rule.match.at("n") == core::ChannelRule::Scalar{std::int64_t{1}});
    CHECK(rule.match.at("f") == core::ChannelRule::Scalar{1.5});
    CHECK(rule.match.at("b") == core::ChannelRule::Scalar{true});
    CHECK(rule.incr == "globalCounter");
    CHECK(rule.by == "increment");
    CHECK(rule.broadcast == "globalCounter");
    CHECK(spec.rules[1].log);
    CHECK(spec.rules[2].value == "value");
}

TEST_CASE("conf/channel: mistakes have their place") {
    const struct {
        const char* text;
        const char* message;
    } kCases[] = {
        {"[channel]\nmax_line = \"1KiB\"",
         "2:12 channel.max_line: expected a size from \"4KiB\" to \"256MiB\"; got \"1KiB\""},
        {"[channel]\nmax_queue = \"1MiB\"",
         "2:13 channel.max_queue: is less than twice max_line: \"2MiB\" or more"},
        {"[channel]\nslow_reader = \"drop\"",
         "2:15 channel.slow_reader: expected \"drop-oldest\" or \"disconnect\"; got \"drop\""},
        {"[channel]\nrules = 1", "2:1 unknown key \"rules\" in [channel] (did you mean \"rule\"?)"},
        {"[[channel.rule]]\nmatch = {}",
         "1:1 channel.rule: expected exactly one of incr, set, publish, forward and log = true; "
         "got "
         "0"},
        {"[[channel.rule]]\nlog = true",
         "1:1 channel.rule: has no match; match = {} takes every message"},
        {"[[channel.rule]]\nmatch = {}\nlog = true\nby = \"x\"",
         "1:1 channel.rule: by belongs to incr"},
        {"[[channel.rule]]\nmatch = { a = [1] }\nlog = true",
         "2:15 channel.rule.match.a: expected a text, a number, true or false; got an array"},
        {"[[channel.rule]]\nmatch = {}\npublish = \"cluster.x\"",
         "3:11 channel.rule.publish: expected a topic of 1 to 126 bytes, not of \"cluster.\"; got "
         "\"cluster.x\""},
    };
    for (const auto& each : kCases) CHECK(mistake_of(each.text + kWorker) == each.message);
}

TEST_CASE("conf/worker: channel and stop_message") {
    const auto mode_of = [](const std::string& line) {
        const LoadResult result = load_text("[worker.w]\ncommand = \"x\"\n" + line);
        if (!result) FAIL(format(result.error()));
        return result->workers[0].launch.channel;
    };
    CHECK(mode_of("") == core::ChannelMode::automatic);
    CHECK(mode_of("channel = \"auto\"") == core::ChannelMode::automatic);
    CHECK(mode_of("channel = \"node\"") == core::ChannelMode::node);
    CHECK(mode_of("channel = \"json\"") == core::ChannelMode::json);
    CHECK(mode_of("channel = false") == core::ChannelMode::off);
    const std::string worker = "[worker.w]\ncommand = \"x\"\n";
    CHECK(mistake_of(worker + "channel = true") ==
          "3:11 worker.w.channel: expected \"auto\", \"node\", \"json\" or false; got true");
    CHECK(mistake_of(worker + "channel = \"jason\"").rfind("3:11 worker.w.channel: expected", 0) ==
          0);
    CHECK(load_text(worker + "stop_message = true")->workers[0].stop_message);
    CHECK(load_text(worker + "ready = \"channel\"")->workers[0].policy.ready.kind ==
          core::Readiness::Kind::channel);
    CHECK(mistake_of(worker + "ready = \"channel\"\nchannel = false") ==
          "4:11 worker.w.channel: is off, but ready = \"channel\" waits for a word over it");
}

}  // namespace
}  // namespace cluster::conf
