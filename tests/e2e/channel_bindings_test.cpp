// Workers in several languages that talk to each other through the packages, without a line about
// the protocol.
#include <doctest/doctest.h>

#include <string>

#include "support/daemon.hpp"
#include "support/paths.hpp"

namespace cluster::test {
namespace {

const std::string kReady = "min_uptime = \"50ms\"\nready = \"channel\"\n";

/// As TOML: where the packages of this build are.
const std::string kEnvironment =
    "env = { NODE_PATH = \"" CLUSTER_NODE_PATH "\", PYTHONPATH = \"" CLUSTER_SOURCE_DIR
    "/packaging/python\", PYTHONDONTWRITEBYTECODE = \"1\", LIBCLUSTER_PATH = "
    "\"" CLUSTER_LIBRARY_PATH "\" }\n";

/// True when the case is to be skipped, for a reason that it has said then.
bool cannot_run() {
    const char* const package = CLUSTER_NODE_PATH "/clusterd/channel.js";
    if (kIsSanitized) {
        skip("a sanitized libcluster wants a sanitized interpreter");
    } else if (!find_program("node") || text_of(package).empty()) {
        skip("no node, or no headers of Node-API to build the package");
    } else {
        return false;
    }
    return true;
}

const char* const kNode = R"(
const channel = require('clusterd/channel');
channel.answer(([a, b], { from }) => {
  if (typeof a !== 'number') throw new Error('no numbers from ' + from);
  return a + b;
});
channel.on('message', (data, { from }) => channel.publish('heard.node', [from, data]));
process.on('SIGTERM', () => {});
channel.on('stopping', (grace) => {
  console.log('stopping', grace > 0);
  process.exit(0);
});
channel.subscribe('cluster.stopping', () => {}).then(() => channel.ready());
)";

const char* const kPython = R"(
import asyncio, clusterd
async def main():
    async with clusterd.AsyncChannel() as channel:
        await channel.ready()
        async for message in channel:
            if message.is_request: await message.reply(message.data.upper())
asyncio.run(main())
)";

const char* const kJudge = R"(
import clusterd
channel = clusterd.channel()
def error(*words, **more):
    try: return channel.request(*words, **more)
    except clusterd.RequestError as reason: return str(reason)
assert channel.request("node", [20, 22], timeout=20) == 42
assert channel.request("python", "grüß", timeout=20) == "GRÜSS"
assert error("node.0", ["a", 1]) == "no numbers from judge.0"
assert error("nowhere", 1) == "nobody there"
channel.subscribe("heard.*")
channel.send("node", {"any": ["thing", 1.5]})
message = channel.receive(timeout=20)
assert message[:4] == ("message", ["judge.0", {"any": ["thing", 1.5]}], "node.0", "heard.node"), message
assert channel.unsubscribe("heard.*") and not channel.unsubscribe("heard.*")
for number in range(70):
    try: channel.subscribe(f"t{number}")
    except clusterd.RequestError as reason:
        assert (number, str(reason)) == (64, "too many subscriptions"), (number, reason)
        break
print("all true", flush=True)
)";

const char* const kWrapped = R"(
import subprocess, sys
subprocess.run([sys.executable, "-c", """
import clusterd
channel = clusterd.channel()
channel.ready()
for message in channel:
    if message.is_request: message.reply(message.data * 2)
"""])
)";

}  // namespace

TEST_SUITE("e2e") {
    TEST_CASE("channel bindings: a program that Python's subprocess has started gets the channel") {
        if (cannot_run()) return;
        const Daemon daemon;
        const std::string program = daemon.write("wrapper.py", kWrapped);
        REQUIRE(
            daemon.start(worker_table("w", {SYSTEM_PYTHON, program}, kReady + kEnvironment)).code ==
            0);
        const Outcome answered = daemon.ctl({"send", "w.0", "[7]", "--wait", "20000", "--json"});
        INFO(answered.out << answered.err << daemon.err_log("w.0"));
        CHECK(Json::parse(answered.out).at("reply") == Json::parse("[7,7]"));
    }

    TEST_CASE("channel bindings: Node and Python send, request, publish and subscribe") {
        if (cannot_run()) return;
        const Daemon daemon;
        const std::string node = daemon.write("adder.js", kNode);
        const std::string python = daemon.write("upper.py", kPython);
        const std::string judge = daemon.write("judge.py", kJudge);
        REQUIRE(
            daemon
                .start(worker_table("node", {*find_program("node"), node}, kReady + kEnvironment) +
                       worker_table("python", {SYSTEM_PYTHON, python}, kReady + kEnvironment) +
                       worker_table("judge", {SYSTEM_PYTHON, judge},
                                    kEnvironment + "autostart = false\nrestart = \"never\"\n"))
                .code == 0);
        (void)daemon.ctl({"start", "judge"});
        REQUIRE(daemon.wait_for_state("judge.0", "exited"));
        INFO(daemon.err_log("judge.0") << daemon.err_log("node.0") << daemon.err_log("python.0"));
        CHECK(daemon.out_log("judge.0") == "all true\n");
        REQUIRE(daemon.ctl({"stop", "node"}).code == 0);
        CHECK(daemon.out_log("node.0") == "stopping true\n");
    }
}

}  // namespace cluster::test
