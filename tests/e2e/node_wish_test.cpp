// The two programs of Node.js that began all this, as they stand in config/examples: a cluster that counts by messages to its
// primary, and one that counts in a SharedArrayBuffer. Four instances, one port, thousands of requests from outside, a reload and
// a kill in the middle: whoever is asked in the end, the number is exact.
#include <doctest/doctest.h>
#include <signal.h>

#include <functional>
#include <set>

#include "support/daemon.hpp"
#include "support/node_cluster.hpp"
#include "support/ports.hpp"
#include "support/recipe.hpp"

namespace cluster::test {
namespace {

constexpr long kThousand = 1000;
constexpr long kConnections = 8;

/// The number at the end of an answer; -1 when there was none.
long number_in(const std::string& answer) {
    const auto at = answer.rfind(": ");
    return at == std::string::npos ? -1 : std::stol(answer.substr(at + 2));
}

/// What each of `count` processes says, asked until all of them have answered.
std::set<long> numbers_of_all(int port, std::size_t count) {
    std::set<std::string> answerers;
    std::set<long> numbers;
    REQUIRE(wait_until([&] {
        const std::string answer = get(url_of(port));
        if (answer.empty()) return false;
        answerers.insert(answer.substr(0, answer.find(',')));
        numbers.insert(number_in(answer));
        return answerers.size() == count;
    }));
    return numbers;
}

/// The daemon that runs a recipe on that port.
Outcome start(const Daemon& daemon, const std::string& name, int port) {
    (void)recipe(daemon, name + ".js", {});
    const std::string config =
        recipe(daemon, name + ".toml",
               {{"instances = 4\n",
                 "instances = 4\nmin_uptime = \"50ms\"\nenv = { PORT = " + std::to_string(port) +
                     " }\n"}});
    return daemon.ctl({"start", config});
}

/// Thousands of requests without a pause, a reload and a kill -9 of a worker in the middle; `count` says how far they are.
/// Returns what the client saw.
Json ask_through_it_all(const Daemon& daemon, int port, const std::function<long()>& count) {
    Process asking({.argv = {"node", CLUSTER_SOURCE_DIR "/tests/support/workers/ask.js",
                             std::to_string(port), "/increment", std::to_string(kConnections)},
                    .env = {},
                    .cwd = ""});
    const auto await_more = [&](long more) {
        const long from = count();
        REQUIRE(wait_until([&] { return count() >= from + more; }, seconds{60}));
    };
    await_more(kThousand);
    const Outcome reloaded = daemon.ctl({"reload", "counter"});
    INFO(reloaded.err);
    CHECK(reloaded.code == 0);
    await_more(kThousand);
    REQUIRE(::kill(daemon.pid_of("counter.1"), SIGKILL) == 0);
    await_more(kThousand);
    REQUIRE(asking.is_running());
    REQUIRE(::kill(asking.pid(), SIGTERM) == 0);
    const Outcome outcome = asking.wait(seconds{60});
    INFO(outcome.out, outcome.err);
    REQUIRE(outcome.code == 0);
    const Json seen = Json::parse(outcome.out);
    // The reload has cost nothing; the kill at most what that worker had under way.
    CHECK(seen.at("answered").get<long>() + seen.at("failed").get<long>() == seen.at("asked"));
    CHECK(seen.at("failed").get<long>() <= kConnections);
    REQUIRE(daemon.wait_for_state("counter.1", "running"));
    return seen;
}

}  // namespace

TEST_SUITE("e2e") {
    TEST_CASE("node_wish/messages: process.send({ type: 'updateCounter', increment: 1 })") {
        if (node_or_skip().empty()) return;
        const Daemon daemon;
        const int port = free_ports(1);
        const Outcome started = start(daemon, "node-cluster-messages", port);
        INFO(started.err);
        REQUIRE(started.code == 0);
        const auto counter = [&] {
            const Outcome got = daemon.ctl({"store", "get", "globalCounter"});
            return got.code == 0 ? std::stol(got.out) : 0;
        };
        const Json seen = ask_through_it_all(daemon, port, counter);
        // Of a request without an answer nobody can say whether it was counted; of any other it is certain.
        const long answered = seen.at("answered");
        REQUIRE(wait_until([&] { return counter() >= answered; }));
        CHECK(counter() <= seen.at("asked").get<long>());
        // One more tells everybody, also who was started last; then all of them know the same.
        const long before = counter();
        REQUIRE(numbers_of_all(port, 4).size() >= 1);
        (void)get(url_of(port) + "increment");
        REQUIRE(wait_until([&] { return counter() == before + 1; }));
        REQUIRE(wait_until([&] { return numbers_of_all(port, 4) == std::set<long>{before + 1}; }));
        CHECK(counter() == before + 1);
    }

    TEST_CASE("node_wish/memory: new SharedArrayBuffer(4) and Atomics.add") {
        if (node_or_skip().empty()) return;
        if (kIsSanitized) return skip("a sanitized libcluster wants a sanitized interpreter");
        const Daemon daemon;
        const int port = free_ports(1);
        const Outcome started = start(daemon, "node-cluster-memory", port);
        INFO(started.err);
        REQUIRE(started.code == 0);
        const auto counter = [&] { return number_in(get(url_of(port))); };
        const Json seen = ask_through_it_all(daemon, port, counter);
        const long answered = seen.at("answered");
        const std::set<long> numbers = numbers_of_all(port, 4);
        REQUIRE(numbers.size() == 1);
        CHECK(*numbers.begin() >= answered);
        CHECK(*numbers.begin() <= seen.at("asked").get<long>());
        // It goes on over a restart of all of them, and over the death of the supervisor.
        REQUIRE(::kill(daemon.supervisor_pid(), SIGKILL) == 0);
        REQUIRE(wait_until([&] { return daemon.is_answering(); }));
        REQUIRE(daemon.ctl({"restart", "counter"}).code == 0);
        CHECK(numbers_of_all(port, 4) == numbers);
    }

    TEST_CASE("node_wish/memory_unable: a Node that cannot have it ends the start with the reason") {
        const Daemon daemon;
        // Any version will do that neither has the function nor a module here: the one that is here, with another number.
        const std::string program = daemon.write("server.js", "new SharedArrayBuffer(4);\n");
        const std::string node = node_or_skip();
        if (node.empty() || kIsSanitized) return;
        const std::string wrapper = daemon.write(
            "other-version.js", "Object.defineProperty(process.versions, 'modules', { value: '1' });\n");
        const Outcome version = run({.argv = {node, "-p", "process.versions.modules >= 127"},
                                     .env = {},
                                     .cwd = ""});
        if (version.out == "true\n") return skip("this Node can do it by Node-API");
        // What clusterd puts in front of NODE_OPTIONS is loaded first, but for what is put in front of that.
        const std::string script = daemon.write(
            "node.sh", "NODE_OPTIONS=\"--require " + wrapper + " $NODE_OPTIONS\" exec " + node + " " +
                           program + "\n");
        const Outcome started = daemon.start(
            worker_table("memory", {"/bin/sh", script},
                         kNodeCluster + "node_shared_array_buffer = true\nrestart = \"never\"\n"));
        CHECK(started.code == 1);
        CAPTURE(started.err);
        CHECK(has_text(started.err, "cannot have SharedArrayBuffer in the store"));
        CHECK(has_text(started.err, "Use Node 22.23 or later"));
    }
}

}  // namespace cluster::test
