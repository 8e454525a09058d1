// The message channel with programs that know nothing of clusterd: Node with its process.send, and
// lines of JSON from Python.

#include <doctest/doctest.h>
#include <signal.h>

#include <algorithm>
#include <sstream>
#include <string>
#include <vector>

#include "support/daemon.hpp"
#include "support/keys.hpp"

namespace cluster::test {
namespace {

std::vector<std::string> lines_of(const std::string& text) {
    std::vector<std::string> lines;
    std::istringstream stream(text);
    for (std::string line; std::getline(stream, line);) lines.push_back(line);
    return lines;
}

/// What `describe` says of a channel.
Json channel_of(const Daemon& daemon, const std::string& id) {
    const Outcome described = daemon.ctl({"describe", id, "--json"});
    return Json::parse(described.out).at("instances").at(0).at("channel");
}

bool has_line(const std::string& text, const std::string& line) {
    const auto lines = lines_of(text);
    return std::find(lines.begin(), lines.end(), line) != lines.end();
}

/// Python without a library: `tell(object)`, `hear()`.
const std::string kPython = R"(import json, os, sys, socket, signal
channel = socket.socket(fileno=int(os.environ["CLUSTER_CHANNEL_FD"]))
stream = channel.makefile("rb")
def tell(message): channel.sendall(json.dumps(message).encode() + b"\n")
def hear(): return json.loads(stream.readline())
def say(*words): print(*words, flush=True)
)";

}  // namespace

TEST_SUITE("e2e") {
    TEST_CASE("channel/node: process.send and process.on('message') in an unmodified worker") {
        const std::string node = program_or_skip("node");
        if (node.empty()) return;
        const Daemon daemon;
        const std::string program = daemon.write("worker.js", R"(
process.on('message', (m) => console.log('got ' + JSON.stringify(m)));
console.log('connected ' + process.connected + ' fd ' + process.env.NODE_CHANNEL_FD);
process.send({ cluster: 'status', text: 'warm' });
process.send({ cluster: 'subscribe', topic: 'news.*', id: 1 });
process.send('ready');
)");
        const std::string python = daemon.write("speaker.py", kPython + R"(
tell({"cluster": "send", "to": "web.0", "data": {"n": [1.50, "é"]}, "id": 5})
say(hear())
tell({"cluster": "publish", "topic": "news.today", "data": "hello", "id": 6})
say(hear())
signal.pause()
)");
        REQUIRE(daemon.start(worker_table("web", {node, program}, kQuick + "ready = \"channel\"\n"))
                    .code == 0);
        CHECK(daemon.worker("web.0").at("ready") == true);
        CHECK(daemon.worker("web.0").at("status_text") == "warm");
        CHECK(daemon.ctl({"status"}).out.find(" MiB  warm\n") != std::string::npos);
        CHECK(daemon.ctl({"describe", "web.0"}).out.find("  says       warm\n") !=
              std::string::npos);
        CHECK(wait_until(
            [&] { return has_line(daemon.out_log("web.0"), "connected true fd undefined"); }));
        const std::string interpreter = program_or_skip("python3");
        if (interpreter.empty()) return;
        REQUIRE(daemon.start(worker_table("speaker", {interpreter, python}, kQuick)).code == 0);
        CHECK(wait_until([&] {
            return has_line(
                daemon.out_log("web.0"),
                R"(got {"cluster":"message","from":"speaker.0","data":{"n":[1.5,"é"]}})");
        }));
        CHECK(wait_until([&] {
            return has_line(
                daemon.out_log("web.0"),
                R"(got {"cluster":"message","topic":"news.today","from":"speaker.0","data":"hello"})");
        }));
        CHECK(has_line(daemon.out_log("web.0"), R"(got {"cluster":"reply","id":1,"value":true})"));
        CHECK(wait_until([&] {
            return has_line(daemon.out_log("speaker.0"),
                            "{'cluster': 'reply', 'id': 6, 'delivered': 1}");
        }));
    }

    TEST_CASE("channel/takeover: each message is applied once over kills of the supervisor") {
        const std::string python = program_or_skip("python3");
        if (python.empty()) return;
        const Daemon daemon;
        // Each number goes from one worker to the other; the reader looks for gaps and repetitions.
        const std::string sender = daemon.write("sender.py", kPython + R"(
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
number = 0
while not os.path.exists("stop"):
    tell({"cluster": "send", "to": "reader.0", "data": number})
    number += 1
tell({"cluster": "send", "to": "reader.0", "data": "end", "raw": False})
say("sent", number)
signal.pause()
)");
        const std::string reader = daemon.write("reader.py", kPython + R"(
expected, lost, doubled, dropped = 0, 0, 0, 0
while True:
    message = hear()
    if message["cluster"] == "dropped":
        dropped += message["count"]
        continue
    number = message["data"]
    if number == "end": break
    if number < expected: doubled += 1
    lost += max(0, number - expected)
    expected = max(expected, number + 1)
say("received up to", expected, "lost", lost, "doubled", doubled, "dropped", dropped)
signal.pause()
)");
        REQUIRE(daemon
                    .start(worker_table("reader", {python, reader}, kQuick) +
                           worker_table("sender", {python, sender}, kQuick))
                    .code == 0);
        constexpr int kKills = 10;
        for (int i = 0; i < kKills; ++i) {
            pause(milliseconds{30 + 17 * i});
            kill_supervisor(daemon);
        }
        static_cast<void>(daemon.write("stop", ""));
        REQUIRE(wait_until([&] { return !daemon.out_log("reader.0").empty(); }, seconds{60}));
        REQUIRE(wait_until([&] { return !daemon.out_log("sender.0").empty(); }, seconds{60}));
        std::istringstream sent_line(daemon.out_log("sender.0"));
        std::istringstream got_line(daemon.out_log("reader.0"));
        std::string word;
        long sent = 0;
        long received = 0;
        long lost = 0;
        long doubled = 0;
        long dropped = 0;
        sent_line >> word >> sent;
        got_line >> word >> word >> word >> received >> word >> lost >> word >> doubled >> word >>
            dropped;
        INFO(daemon.out_log("reader.0"));
        CHECK(doubled == 0);
        CHECK(lost - dropped >= 0);
        CHECK(lost - dropped <= kKills);
        CHECK(received <= sent);
        CHECK(sent - received <= kKills);
        MESSAGE(sent << " sent, " << lost - dropped << " lost by " << kKills << " kills, "
                     << dropped << " dropped");
    }

    TEST_CASE("channel/input: rubbish of every kind ends nothing, and the next message counts") {
        const std::string python = program_or_skip("python3");
        if (python.empty()) return;
        const Daemon daemon;
        const std::string program = daemon.write("rude.py", kPython + R"(
import array
for rubbish in (b"\n", b"garbage\n", b"\0\0\0\n", b"{\n", b"[" * 100000 + b"\n", b"\xff\xfe\n",
                b'{"cluster":"nonsense"}\n', b'{"cluster":"reply","id":7}\n'):
    channel.sendall(rubbish)
for _ in range(100): channel.sendall(b"x" * (1 << 20))
channel.sendall(b"\n")
with open("/dev/null") as null:
    channel.sendmsg([b'{"a":1}\n'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [null.fileno()] * 3))])
tell({"cluster": "send", "to": "rude.0", "data": "still here", "id": 1})
say(hear(), hear())
tell({"cluster": "ready"})
signal.pause()
)");
        REQUIRE(
            daemon.start(worker_table("rude", {python, program}, kQuick + "ready = \"channel\"\n"))
                .code == 0);
        CHECK(daemon.worker("rude.0").at("ready") == true);
        CHECK(daemon.worker("rude.0").at("restarts") == 0);
        const Json channel = channel_of(daemon, "rude.0");
        INFO(channel.dump(1));
        CHECK(channel.at("mode") == "json");
        CHECK(channel.at("state") == "open");
        CHECK(channel.at("malformed") == 7);
        CHECK(channel.at("too_long") == 1);
        CHECK(channel.at("unanswered") == 1);
        CHECK(channel.at("descriptors") == 3);
        CHECK(channel.at("sent") == 2);
        CHECK(channel.at("heartbeat_ms").is_null());
        CHECK(daemon.ctl({"describe", "rude.0"}).out.find("trouble    7 malformed, 1 too long") !=
              std::string::npos);
    }

    TEST_CASE("channel/slow: one that never reads delays nobody") {
        const std::string python = program_or_skip("python3");
        if (python.empty()) return;
        const Daemon daemon;
        const std::string deaf = daemon.write("deaf.py", kPython + R"(
tell({"cluster": "subscribe", "topic": "*"})
say("deaf")
signal.pause()
)");
        const std::string keen = daemon.write("keen.py", kPython + R"(
tell({"cluster": "subscribe", "topic": "*", "id": 1})
hear()
say("subscribed")
count = 0
while True:
    message = hear()
    if message["cluster"] != "message": continue
    count += 1
    if message["data"] == "last": break
say("all", count)
signal.pause()
)");
        const std::string loud = daemon.write("loud.py", kPython + R"(
body = "x" * 1000
for i in range(20000):
    tell({"cluster": "publish", "topic": "t", "data": body, "id": i})
    if i % 100 == 99:
        for _ in range(100): hear()
tell({"cluster": "publish", "topic": "t", "data": "last"})
signal.pause()
)");
        REQUIRE(daemon
                    .start(worker_table("deaf", {python, deaf}, kQuick) +
                           worker_table("keen", {python, keen}, kQuick))
                    .code == 0);
        REQUIRE(wait_until([&] {
            return has_line(daemon.out_log("keen.0"), "subscribed") &&
                   has_line(daemon.out_log("deaf.0"), "deaf");
        }));
        REQUIRE(daemon.start(worker_table("loud", {python, loud}, kQuick)).code == 0);
        CHECK(wait_until([&] { return has_line(daemon.out_log("keen.0"), "all 20001"); },
                         seconds{60}));
        const Json channel = channel_of(daemon, "deaf.0");
        INFO(channel.dump(1));
        CHECK(channel.at("state") == "open");
        CHECK(channel.at("dropped").get<int>() > 5000);
        CHECK(channel.at("queued_bytes").get<int>() <= 8 << 20);
        CHECK(channel_of(daemon, "keen.0").at("dropped") == 0);
    }

    TEST_CASE("channel/slow: with disconnect one that never reads loses its channel, and no more") {
        const std::string python = program_or_skip("python3");
        if (python.empty()) return;
        const Daemon daemon;
        const std::string deaf = daemon.write("deaf.py", kPython + R"(
tell({"cluster": "subscribe", "topic": "*"})
tell({"cluster": "ready"})
signal.pause()
)");
        const std::string loud = daemon.write("loud.py", kPython + R"(
count = 0
while True:
    tell({"cluster": "publish", "topic": "t", "data": "x" * 10000, "id": 1})
    count += 1
    if hear()["delivered"] == 0: break
say("gone after", count > 100)
signal.pause()
)");
        REQUIRE(daemon
                    .start("[channel]\nslow_reader = \"disconnect\"\n" +
                           worker_table("deaf", {python, deaf}, kQuick + "ready = \"channel\"\n"))
                    .code == 0);
        const pid_t before = daemon.pid_of("deaf.0");
        REQUIRE(daemon.start(worker_table("loud", {python, loud}, kQuick)).code == 0);
        CHECK(wait_until([&] { return daemon.out_log("loud.0") == "gone after True\n"; },
                         seconds{60}));
        CHECK(channel_of(daemon, "deaf.0").at("state") == "it did not read its messages");
        CHECK(daemon.pid_of("deaf.0") == before);
        CHECK(daemon.ctl({"describe", "deaf.0"}).out.find("closed: it did not read") !=
              std::string::npos);
    }

    TEST_CASE("channel/closed: a worker that closes its end runs on, and nobody waits for it") {
        const std::string python = program_or_skip("python3");
        if (python.empty()) return;
        const Daemon daemon;
        const std::string quiet = daemon.write("quiet.py", kPython + R"(
tell({"cluster": "subscribe", "topic": "t", "id": 1})
hear()
channel.sendall(b'{"cluster":"publish"')
stream.close()
channel.close()
say("closed")
signal.pause()
)");
        const std::string asker = daemon.write("asker.py", kPython + R"(
tell({"cluster": "request", "to": "quiet.0", "data": 1, "id": 1})
tell({"cluster": "publish", "topic": "t", "data": 1, "id": 2})
tell({"cluster": "send", "to": "all", "data": 1, "id": 3})
for _ in range(3): say(hear())
signal.pause()
)");
        REQUIRE(daemon.start(worker_table("quiet", {python, quiet}, kQuick)).code == 0);
        REQUIRE(wait_until([&] { return has_line(daemon.out_log("quiet.0"), "closed"); }));
        REQUIRE(wait_until(
            [&] { return channel_of(daemon, "quiet.0").at("state") == "the worker has closed it"; }));
        CHECK(channel_of(daemon, "quiet.0").at("unfinished") == 1);
        REQUIRE(daemon.start(worker_table("asker", {python, asker}, kQuick)).code == 0);
        CHECK(wait_until([&] {
            return daemon.out_log("asker.0") ==
                   "{'cluster': 'reply', 'id': 1, 'error': 'nobody there'}\n"
                   "{'cluster': 'reply', 'id': 2, 'delivered': 0}\n"
                   "{'cluster': 'reply', 'id': 3, 'delivered': 0}\n";
        }));
        CHECK(daemon.state_of("quiet.0") == "running");
        CHECK(daemon.worker("quiet.0").at("restarts") == 0);
    }

    TEST_CASE("channel/end: ten thousand messages and an exit at once are all applied") {
        const std::string python = program_or_skip("python3");
        if (python.empty()) return;
        const Daemon daemon;
        const std::string counter = daemon.write("counter.py", kPython + R"(
tell({"cluster": "subscribe", "topic": "n", "id": 1})
hear()
say("subscribed")
count = 0
while count < 10000:
    message = hear()
    count += message["count"] if message["cluster"] == "dropped" else 1
say("all of them")
signal.pause()
)");
        const std::string burst = daemon.write("burst.py", kPython + R"(
channel.sendall(b'{"cluster":"publish","topic":"n","data":1}\n' * 10000)
)");
        REQUIRE(daemon.start(worker_table("counter", {python, counter}, kQuick)).code == 0);
        REQUIRE(wait_until([&] { return has_line(daemon.out_log("counter.0"), "subscribed"); }));
        static_cast<void>(daemon.start(
            worker_table("burst", {python, burst}, "min_uptime = \"0s\"\nrestart = \"never\"\n")));
        CHECK(wait_until([&] { return has_line(daemon.out_log("counter.0"), "all of them"); }));
    }

    TEST_CASE(
        "channel/stop: \"shutdown\" where the config asks for it, \"stopping\" to subscribers") {
        const std::string node = program_or_skip("node");
        const std::string python = program_or_skip("python3");
        if (node.empty() || python.empty()) return;
        const Daemon daemon;
        const std::string program = daemon.write("graceful.js", R"(
process.on('message', (m) => { if (m === 'shutdown') { console.log('asked'); process.exit(0); } });
process.on('SIGTERM', () => { console.log('signal'); process.exit(1); });
process.send('ready');
)");
        const std::string told = daemon.write("told.py", kPython + R"(
signal.signal(signal.SIGTERM, signal.SIG_IGN)
tell({"cluster": "subscribe", "topic": "cluster.stopping", "id": 1})
hear()
tell({"cluster": "ready"})
say(hear())
)");
        REQUIRE(daemon
                    .start(worker_table("js", {node, program},
                                        kQuick + "ready = \"channel\"\nstop_message = true\n") +
                           worker_table("py", {python, told},
                                        kQuick + "ready = \"channel\"\nstop_timeout = \"20s\"\n"))
                    .code == 0);
        REQUIRE(daemon.ctl({"stop", "all"}).code == 0);
        CHECK(daemon.out_log("js.0") == "asked\n");
        CHECK(daemon.out_log("py.0") == "{'cluster': 'stopping', 'grace_ms': 20000}\n");
    }
}

}  // namespace cluster::test
