// The shared store by message: for programs that cannot map memory, and by the rules of the config
// for programs that know nothing of clusterd.
#include <doctest/doctest.h>

#include <algorithm>
#include <sstream>
#include <string>

#include "support/daemon.hpp"
#include "support/failpoints.hpp"
#include "support/keys.hpp"

namespace cluster::test {
namespace {

/// `ask(command, …)` says what is answered, without the name of the envelope and the id.
const std::string kPython = R"(import json, os, signal, socket
channel = socket.socket(fileno=int(os.environ["CLUSTER_CHANNEL_FD"]))
stream = channel.makefile("rb")
last = 0
def tell(message): channel.sendall(json.dumps(message).encode() + b"\n")
def ask(command, **more):
    global last
    last += 1
    tell({"cluster": command, "id": last, **more})
    reply = {}
    while "cluster" not in reply: reply = json.loads(stream.readline())  # or the total of a rule
    assert reply.pop("cluster") == "reply" and reply.pop("id") == last, reply
    return reply
def say(*words): print(*words, flush=True)
def expect(found, wanted): say("" if found == wanted else f"expected {wanted}, not {found}")
def finish():
    say("done")
    signal.pause()
)";

std::size_t count_of(const std::string& text, const std::string& part) {
    std::size_t count = 0;
    for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
    return count;
}

/// What it said besides empty lines, once it has said "done".
std::string complaints_of(const Daemon& daemon, const std::string& id) {
    INFO(daemon.err_log(id));
    REQUIRE(wait_until([&] { return daemon.out_log(id).find("done\n") != std::string::npos; }));
    std::istringstream stream(daemon.out_log(id));
    std::string complaints;
    for (std::string line; std::getline(stream, line);) {
        if (!line.empty() && line != "done") complaints += line + "\n";
    }
    return complaints;
}

std::string stored(const Daemon& daemon, const std::string& key) {
    return daemon.ctl({"store", "get", key}).out;
}

std::string story_of(const Daemon& daemon) {
    return text_of(daemon.log_dir() + "/clusterd.log");
}

}  // namespace

TEST_SUITE("e2e") {
    TEST_CASE("channel store/commands: what a worker says is what clusterctl and libcluster see") {
        const std::string python = program_or_skip("python3");
        if (python.empty()) return;
        const Daemon daemon;
        const std::string program = daemon.write("store.py", kPython + R"(
expect(ask("get", key="nothing"), {"value": None})
first = ask("set", key="greeting", value="grüß dich")["token"]
expect(ask("get", key="greeting"), {"value": "grüß dich", "token": first})
expect(ask("set", key="object", value={"a": [1.50, None]}).keys(), {"token"})
expect(ask("cas", key="greeting", value="new", token=first).keys(), {"token"})
expect(ask("cas", key="greeting", value="lost", token=first), {"error": "changed meanwhile"})
expect(ask("cas", key="gone", value="lost", token=first), {"error": "not there"})
expect(ask("cas", key="only-once", value="1").keys(), {"token"})
expect(ask("cas", key="only-once", value="2"), {"error": "already there"})
expect(ask("incr", key="hits"), {"value": 1})
expect(ask("incr", key="hits", by=41), {"value": 42})
expect(ask("counter", key="atomic", by=7), {"value": 7})
expect(ask("counter", key="atomic", by=0), {"value": 7})
expect(ask("counter", key="atomic"), {"value": 8})
ask("set", key="doomed", value="x")
expect(ask("del", key="doomed"), {"value": True})
expect(ask("del", key="doomed"), {"error": "not there"})
# Larger than the first look into the table, and written without waiting for a reply.
tell({"cluster": "set", "key": "large", "value": "é" * 100000})
expect(len(ask("get", key="large")["value"]), 100000)
ask("set", key="brief", value="x", ttl_ms=30)
while ask("get", key="brief") != {"value": None}: pass
finish()
)");
        REQUIRE(daemon.start(worker_table("w", {python, program}, kQuick)).code == 0);
        CHECK(complaints_of(daemon, "w.0") == "");
        CHECK(stored(daemon, "greeting") == "new");
        CHECK(stored(daemon, "object") == R"({"a": [1.5, null]})");
        CHECK(stored(daemon, "hits") == "42");
        CHECK(stored(daemon, "only-once") == "1");
        const Json counters =
            Json::parse(daemon.ctl({"store", "counter", "list", "--json"}).out).at("counters");
        REQUIRE(counters.size() == 1);
        CHECK(counters.at(0).at("name") == "atomic");
        CHECK(counters.at(0).at("value") == 8);
        CHECK(daemon.ctl({"store", "get", "doomed"}).code != 0);
        CHECK(daemon.ctl({"store", "get", "brief"}).code != 0);
    }

    TEST_CASE("channel store/errors: each is a reply, and none is more than that") {
        const std::string python = program_or_skip("python3");
        if (python.empty()) return;
        const Daemon daemon;
        const std::string program = daemon.write("errors.py", kPython + R"(
def error(*words, **more): return ask(*words, **more).get("error", "none")
ask("set", key="text", value="no number")
ask("set", key="edge", value=str(2**63 - 1))
expect(error("incr", key="text"), "not a number")
expect(error("incr", key="edge"), "the number would not fit in 64 bits")
wrong_key = '"key" has to be a text of 1 to 1024 bytes'
expect(error("set", key="", value="x"), wrong_key)
expect(error("set", key="k" * 1025, value="x"), wrong_key)
expect(error("set", key="k", value="x" * 600000), "the value is too large")
expect(error("counter", key="c" * 129), "the key is too long")
for wrong in ({}, {"key": 7}, {"key": "k"}, {"key": "k", "value": "v", "ttl_ms": -1}):
    assert "error" in ask("set", **wrong), wrong
for wrong in ({"key": "k", "by": 1.5}, {"key": "k", "by": "1"}, {"key": "k", "by": 2**64}):
    assert "error" in ask("incr", **wrong), wrong
assert "error" in ask("cas", key="k", value="v", token=5)
assert "error" in ask("exchange", key="k", value="v")
expect(ask("get", key="k"), {"value": None})
tell({"cluster": "set", "key": "k"})
expect(ask("incr", key="n"), {"value": 1})
finish()
)");
        const std::string none = daemon.write("none.py", kPython + R"(
for command in ("get", "set", "cas", "del", "incr", "counter"):
    expect(ask(command, key="k", value="v")["error"], "this worker has no store")
finish()
)");
        REQUIRE(daemon
                    .start(worker_table("w", {python, program}, kQuick) +
                           worker_table("none", {python, none}, kQuick + "store = false\n"))
                    .code == 0);
        CHECK(complaints_of(daemon, "w.0") == "");
        CHECK(complaints_of(daemon, "none.0") == "");
        CHECK(daemon.worker("w.0").at("restarts") == 0);
    }

    TEST_CASE("channel store/stores: a worker's messages go to the store that its table names") {
        const std::string python = program_or_skip("python3");
        if (python.empty()) return;
        const Daemon daemon;
        const std::string program = daemon.write("which.py", kPython + R"(
ask("set", key="who", value=os.environ["CLUSTER_WORKER"])
finish()
)");
        REQUIRE(daemon
                    .start("[store.other]\nsize = \"16MiB\"\n" +
                           worker_table("one", {python, program}, kQuick) +
                           worker_table("two", {python, program}, kQuick + "store = \"other\"\n"))
                    .code == 0);
        CHECK(complaints_of(daemon, "one.0") == "");
        CHECK(complaints_of(daemon, "two.0") == "");
        CHECK(stored(daemon, "who") == "one");
        CHECK(daemon.ctl({"store", "get", "who", "--store", "other"}).out == "two");
    }

    TEST_CASE("channel store/takeover: no addition is made twice over kills of the supervisor") {
        const std::string python = program_or_skip("python3");
        if (python.empty()) return;
        constexpr int kKills = 5;
        const Daemon daemon;
        const std::string program = daemon.write("adder.py", kPython + R"(
sent = 0
while not os.path.exists("stop"):
    tell({"cluster": "incr", "key": "sum"})
    sent += 1
total = ask("incr", key="sum", by=0)["value"]
say("done" if sent - 5 <= total <= sent else f"sent {sent}, applied {total}")
signal.pause()
)");
        REQUIRE(daemon.start(worker_table("adder", {python, program}, kQuick)).code == 0);
        for (int i = 0; i < kKills; ++i) {
            pause(milliseconds{40 + 20 * i});
            kill_supervisor(daemon);
        }
        daemon.write("stop", "");
        REQUIRE(wait_until([&] { return !daemon.out_log("adder.0").empty(); }, seconds{60}));
        CHECK(daemon.out_log("adder.0") == "done\n");
    }
}

// --- rules

namespace {

const std::string kWish = R"(
[[channel.rule]]
match = { type = "updateCounter" }
incr = "globalCounter"
by = "increment"
broadcast = "globalCounter"
)";

/// The same, and nobody hears of it.
const std::string kCount = kWish.substr(0, kWish.find("broadcast"));

}  // namespace

TEST_SUITE("e2e") {
    TEST_CASE("channel rules/wish: four unmodified Node workers share one counter") {
        const std::string node = program_or_skip("node");
        if (node.empty()) return;
        const Daemon daemon;
        // The worker half of the classic program: it has no idea who its primary is.
        const std::string program = daemon.write("counter.js", R"(
process.on('message', (message) => {
  if (message.type === 'globalCounter' && message.value === 1000) console.log('all');
});
process.send('ready');
for (let i = 0; i < 250; i++) process.send({ type: 'updateCounter', increment: 1 });
)");
        REQUIRE(daemon
                    .start(kWish + worker_table("web", {node, program},
                                                kQuick + "instances = 4\nready = \"channel\"\n"))
                    .code == 0);
        for (int i = 0; i < 4; ++i) {
            const std::string id = "web." + std::to_string(i);
            INFO(id << ": " << daemon.err_log(id));
            CHECK(wait_until([&] { return daemon.out_log(id) == "all\n"; }));
        }
        CHECK(stored(daemon, "globalCounter") == "1000");
    }

    TEST_CASE("channel rules/takeover: of what is counted a kill loses nothing") {
        const std::string python = program_or_skip("python3");
        if (python.empty()) return;
        constexpr int kKills = 8;
        const Daemon daemon;
        const std::string program = daemon.write("counter.py", kPython + R"(
sent = 0
while not os.path.exists("stop"):
    tell({"type": "updateCounter", "increment": 1 + sent % 3})
    sent += 1
ask("get", key="globalCounter")
say(sum(1 + i % 3 for i in range(sent)))
signal.pause()
)");
        REQUIRE(daemon.start(kCount + worker_table("w", {python, program}, kQuick +
                                                                           "instances = 2\n"))
                    .code == 0);
        for (int i = 0; i < kKills; ++i) {
            pause(milliseconds{40 + 20 * i});
            kill_supervisor(daemon);
        }
        daemon.write("stop", "");
        std::int64_t sent = 0;
        for (const char* const id : {"w.0", "w.1"}) {
            REQUIRE(wait_until([&] { return !daemon.out_log(id).empty(); }, seconds{60}));
            sent += std::stoll(daemon.out_log(id));
        }
        CHECK(stored(daemon, "globalCounter") == std::to_string(sent));
    }

    TEST_CASE("channel rules/failpoints: a crash before a sum is stored and behind it") {
        const std::string python = program_or_skip("python3");
        if (python.empty() || !has_failpoints()) return;
        for (const Failpoint point : {Failpoint::sum_begun, Failpoint::sum_stored}) {
            CAPTURE(failpoint_name(point));
            Daemon daemon;
            const Failpoints points(daemon);
            const std::string program = daemon.write("counter.py", kPython + R"(
for i in range(2000): tell({"type": "updateCounter", "increment": 1, "number": i})
say(ask("get", key="globalCounter")["value"])
signal.pause()
)");
            points.arm(kSupervisor, point, "crash 2");
            REQUIRE(daemon.start(kCount + worker_table("w", {python, program}, kQuick)).code == 0);
            CHECK(wait_until([&] { return daemon.out_log("w.0") == "2000\n"; }));
            CHECK_FALSE(points.is_armed(kSupervisor, point));
        }
    }

    TEST_CASE("channel rules/failures: said once for each worker, and the rule goes on") {
        const std::string python = program_or_skip("python3");
        if (python.empty()) return;
        const Daemon daemon;
        const std::string program = daemon.write("forgetful.py", kPython + R"(
for _ in range(3):
    tell({"type": "updateCounter"})
    tell({"type": "updateCounter", "increment": "many"})
tell({"type": "updateCounter", "increment": 5})
tell({"type": "remember", "what": {"deep": True}})
tell({"type": "another", "increment": 100})
while "value" not in ask("get", key="remembered") or ask("get", key="remembered")["value"] is None: pass
finish()
)");
        const std::string rules =
            kWish + "[[channel.rule]]\nmatch = { type = \"remember\" }\nset = \"remembered\"\n" +
            "value = \"what\"\n";
        REQUIRE(daemon
                    .start(rules +
                           worker_table("one", {python, program}, kQuick + "instances = 2\n") +
                           worker_table("two", {python, program}, kQuick))
                    .code == 0);
        for (const char* id : {"one.0", "one.1", "two.0"}) {
            CHECK(complaints_of(daemon, id) == "");
        }
        CHECK(stored(daemon, "globalCounter") == "15");
        CHECK(stored(daemon, "remembered") == R"({"deep": true})");
        const std::string story = story_of(daemon);
        CHECK(count_of(story, "[[channel.rule]] number 1 cannot be applied") == 2);
        CHECK(count_of(story, R"(the message has no "increment" that it can take)") == 2);
    }

    TEST_CASE("channel rules/no store: the message is lost, and the log says so once") {
        const std::string python = program_or_skip("python3");
        if (python.empty()) return;
        const Daemon daemon;
        const std::string program = daemon.write("poor.py", kPython + R"(
for _ in range(3): tell({"type": "updateCounter", "increment": 1})
expect(ask("get", key="k")["error"], "this worker has no store")
finish()
)");
        REQUIRE(
            daemon
                .start(kWish + worker_table("poor", {python, program}, kQuick + "store = false\n"))
                .code == 0);
        CHECK(complaints_of(daemon, "poor.0") == "");
        CHECK(count_of(story_of(daemon), "cannot be applied: the worker has no store") == 1);
    }
}

}  // namespace cluster::test
