// node_cluster = true: servers that know nothing of clusterd, as several processes on one port,
// without a Node.js primary.
#include <doctest/doctest.h>

#include <map>
#include <set>
#include <string>
#include <vector>

#include "support/daemon.hpp"
#include "support/node_cluster.hpp"
#include "support/ports.hpp"
#include "support/wrk.hpp"

namespace cluster::test {
namespace {

bool drains(const Daemon& daemon) {
    const std::string answer = daemon.ctl({"describe", "api.0", "--json"}).out;
    return Json::parse(answer).at("instances").at(0).at("cluster").at("drains") == true;
}

void check_reloads(const std::string& schedule, bool is_kept) {
    const std::string node = node_or_skip();
    if (node.empty()) return;
    if (!find_program("wrk")) return skip("no wrk");
    const Daemon daemon;
    const int port = free_ports(1);
    const std::string program = daemon.write("server.js", http_server(port));
    REQUIRE(daemon
                .start(worker_table("api", {node, program},
                                    kNodeCluster + instances(4) + "node_schedule = \"" + schedule +
                                        "\"\n"))
                .code == 0);
    REQUIRE(drains(daemon));
    const pid_t first = daemon.pid_of("api.0");
    const LoadOutcome load =
        load_while({.url = url_of(port), .is_kept = is_kept, .connections = 20}, [&] {
            for (int round = 0; round < 3; ++round) {
                const Outcome outcome = daemon.ctl({"reload", "api"});
                INFO(outcome.err);
                CHECK(outcome.code == 0);
            }
        });
    MESSAGE(schedule << std::string{is_kept ? ", kept: " : ", close: "} << load.count.answered
                     << " answered, " << load.count.failed << " failed, in time: "
                     << load.was_in_time);
    CHECK(load.count.answered > 0);
    CHECK(load.count.failed == 0);
    CHECK(daemon.pid_of("api.0") != first);
}

}  // namespace

TEST_SUITE("e2e") {
    TEST_CASE("node cluster/shared: four processes of an unmodified server on one port") {
        const std::string node = node_or_skip();
        if (node.empty()) return;
        const Daemon daemon;
        const int port = free_ports(1);
        const std::string program = daemon.write("server.js", http_server(port, R"(
const cluster = require('cluster');
console.log('worker', cluster.isWorker, cluster.worker.id > 0, process.env.NODE_UNIQUE_ID,
            process.env.NODE_APP_INSTANCE, process.connected);
server.on('listening', () => console.log('address', JSON.stringify(server.address())));
)"));
        REQUIRE(daemon.start(worker_table("api", {node, program}, kNodeCluster + instances(4))).code ==
                0);
        std::set<std::string> pids;
        for (int i = 0; i < 4; ++i) {
            const std::string id = "api." + std::to_string(i);
            CHECK(daemon.worker(id).at("ready") == true);
            pids.insert(std::to_string(daemon.pid_of(id)) + "\n");
            CHECK(wait_until([&] {
                return daemon.out_log(id).find("worker true true undefined " + std::to_string(i) +
                                               " true\n") != std::string::npos;
            }));
            CHECK(wait_until([&] {
                return daemon.out_log(id).find(R"(address {"address":"127.0.0.1","family":"IPv4","port":)" +
                                               std::to_string(port) + "}") != std::string::npos;
            }));
        }
        const std::set<std::string> seen = answerers(port, 40);
        for (const std::string& pid : seen) CHECK(pids.count(pid) == 1);
        CHECK(seen.size() > 1);
    }

    TEST_CASE("node cluster/round robin: connections are handed out evenly") {
        const std::string node = node_or_skip();
        if (node.empty()) return;
        const Daemon daemon;
        const int port = free_ports(1);
        const std::string program = daemon.write("server.js", http_server(port, R"(
server.on('listening', () => console.log('address', JSON.stringify(server.address())));
)"));
        REQUIRE(daemon
                    .start(worker_table("api", {node, program},
                                        kNodeCluster + instances(4) +
                                            "node_schedule = \"round-robin\"\n"))
                    .code == 0);
        std::map<std::string, int> count;
        for (int i = 0; i < 40; ++i) ++count[get(url_of(port))];
        CHECK(count.size() == 4);
        for (const auto& [pid, answers] : count) CHECK(answers == 10);
        CHECK(wait_until([&] {
            return daemon.out_log("api.0").find(R"(address {"address":"127.0.0.1","family":"IPv4")") !=
                   std::string::npos;
        }));
    }

    TEST_CASE("node cluster/reload: shared, a connection per request: none fails") {
        check_reloads("shared", false);
    }
    TEST_CASE("node cluster/reload: round robin, a connection per request: none fails") {
        check_reloads("round-robin", false);
    }

    TEST_CASE("node cluster/reload: shared, kept connections: no request fails") {
        check_reloads("shared", true);
    }
    TEST_CASE("node cluster/reload: round robin, kept connections: no request fails") {
        check_reloads("round-robin", true);
    }
    TEST_CASE("node cluster/counter-example: without a drain kept connections are reset") {
        const std::string node = node_or_skip();
        if (node.empty()) return;
        if (!find_program("wrk")) return skip("no wrk");
        const Daemon daemon;
        const int port = free_ports(1);
        const std::string program = daemon.write("server.js", http_server(port));
        REQUIRE(daemon
                    .start(worker_table("api", {node, program},
                                        kNodeCluster + instances(4) + "node_drain = false\n"))
                    .code == 0);
        CHECK_FALSE(drains(daemon));
        const LoadOutcome load = load_while({.url = url_of(port), .connections = 20}, [&] {
            for (int round = 0; round < 3; ++round) CHECK(daemon.ctl({"reload", "api"}).code == 0);
        });
        MESSAGE(load.count.answered << " answered, " << load.count.failed << " failed");
        CHECK(load.count.answered > 0);
        CHECK(load.count.failed > 0);
    }

    TEST_CASE("node cluster/takeover: workers and clients do not notice a kill of the supervisor") {
        const std::string node = node_or_skip();
        if (node.empty()) return;
        if (!find_program("wrk")) return skip("no wrk");
        const Daemon daemon;
        const int port = free_ports(1);
        const std::string program = daemon.write("server.js", http_server(port, R"(
process.on('disconnect', () => console.log('disconnected'));
)"));
        REQUIRE(daemon.start(worker_table("api", {node, program}, kNodeCluster + instances(4))).code ==
                0);
        std::vector<pid_t> pids;
        for (int i = 0; i < 4; ++i) pids.push_back(daemon.pid_of("api." + std::to_string(i)));
        const LoadOutcome load =
            load_while({.url = url_of(port), .is_kept = false, .connections = 20, .seconds = 5}, [&] {
                for (int i = 0; i < 3; ++i) kill_supervisor(daemon);
            });
        CHECK(load.count.answered > 0);
        CHECK(load.count.failed == 0);
        for (int i = 0; i < 4; ++i) {
            const std::string id = "api." + std::to_string(i);
            CHECK(daemon.pid_of(id) == pids[static_cast<std::size_t>(i)]);
            CHECK(daemon.worker(id).at("ready") == true);
            CHECK(daemon.out_log(id).find("disconnected") == std::string::npos);
        }
        // The successor knows the socket and who has it.
        const LoadOutcome reloaded =
            load_while({.url = url_of(port), .is_kept = false, .connections = 8, .seconds = 8}, [&] {
                kill_supervisor(daemon);
                CHECK(daemon.ctl({"reload", "api"}).code == 0);
            });
        CHECK(reloaded.count.failed == 0);
        for (int i = 0; i < 4; ++i) {
            CHECK(daemon.pid_of("api." + std::to_string(i)) != pids[static_cast<std::size_t>(i)]);
        }
    }

    TEST_CASE("node cluster/reload: a version that throws is refused, and the old one serves") {
        const std::string node = node_or_skip();
        if (node.empty()) return;
        const Daemon daemon;
        const int port = free_ports(1);
        const std::string program = daemon.write("server.js", http_server(port));
        REQUIRE(daemon.start(worker_table("api", {node, program}, kNodeCluster + instances(2))).code ==
                0);
        const std::set<std::string> before = answerers(port, 8);
        daemon.write("server.js", "throw new Error('no such luck');\n");
        const Outcome outcome = daemon.ctl({"reload", "api"});
        CHECK(outcome.code == 1);
        CHECK(outcome.err.find("no such luck") != std::string::npos);
        for (const std::string& pid : answerers(port, 8)) CHECK(before.count(pid) == 1);
    }
}

}  // namespace cluster::test
