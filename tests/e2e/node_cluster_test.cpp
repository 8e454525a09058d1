// node_cluster = true: servers that know nothing of clusterd, as several processes on one port,
// without a Node.js primary.
#include <doctest/doctest.h>

#include <map>
#include <set>
#include <string>
#include <vector>

#include "support/daemon.hpp"
#include "support/node_cluster.hpp"

namespace cluster::test {
namespace {

void check_reloads(const std::string& schedule, bool is_kept) {
    const Site site;
    if (!site.has_node()) return;
    if (!find_program("wrk")) return skip("no wrk");
    site.start(http_server(site.port()), instances(4) + schedule_of(schedule));
    REQUIRE(cluster_of(site.daemon(), "api.0").at("drains") == true);
    check_lossless_reloads(site, {.url = site.url(), .is_kept = is_kept, .connections = 20});
}

/// Kills of the supervisor while a client connects without a pause: how many connections failed.
/// No worker notices.
long failures_over_kills(const Site& site, int kills) {
    const std::vector<pid_t> before = site.pids(4);
    const LoadOutcome load = load_while(
        {.url = site.url(), .is_kept = false, .connections = 20, .seconds = 5}, [&] {
            for (int i = 0; i < kills; ++i) kill_supervisor(site.daemon());
        });
    MESSAGE(load.count.answered << " answered, " << load.count.failed << " failed");
    CHECK(load.was_in_time);
    CHECK(load.count.answered > 0);
    CHECK(site.pids(4) == before);
    for (int i = 0; i < 4; ++i) {
        const std::string id = "api." + std::to_string(i);
        CHECK(site.daemon().worker(id).at("ready") == true);
        CHECK_FALSE(has_text(site.daemon().out_log(id), "disconnected"));
    }
    return load.count.failed;
}

const std::string kTellsOfDisconnect =
    "process.on('disconnect', () => console.log('disconnected'));\n";

}  // namespace

TEST_SUITE("e2e") {
    TEST_CASE("node cluster/shared: four processes of an unmodified server on one port") {
        const Site site;
        if (!site.has_node()) return;
        const Daemon& daemon = site.daemon();
        site.start(http_server(site.port(), R"(
const cluster = require('cluster');
console.log('worker', cluster.isWorker, cluster.worker.id > 0, process.env.NODE_UNIQUE_ID,
            process.env.NODE_APP_INSTANCE, process.connected);
server.on('listening', () => console.log('address', JSON.stringify(server.address())));
)"),
                   instances(4));
        std::set<std::string> pids;
        for (int i = 0; i < 4; ++i) {
            const std::string id = "api." + std::to_string(i);
            CHECK(daemon.worker(id).at("ready") == true);
            pids.insert(std::to_string(daemon.pid_of(id)) + "\n");
            CHECK(wait_until([&] {
                return has_text(daemon.out_log(id),
                                "worker true true undefined " + std::to_string(i) + " true\n");
            }));
            CHECK(wait_until([&] {
                return has_text(daemon.out_log(id),
                                R"(address {"address":"127.0.0.1","family":"IPv4","port":)" +
                                    std::to_string(site.port()) + "}");
            }));
        }
        const std::set<std::string> seen = answerers(site.port(), 40);
        for (const std::string& pid : seen) CHECK(pids.count(pid) == 1);
        CHECK(seen.size() > 1);
    }

    TEST_CASE("node cluster/round robin: connections are handed out evenly") {
        const Site site;
        if (!site.has_node()) return;
        site.start(http_server(site.port(), R"(
server.on('listening', () => console.log('address', JSON.stringify(server.address())));
)"),
                   instances(4) + schedule_of("round-robin"));
        std::map<std::string, int> count;
        for (int i = 0; i < 40; ++i) ++count[get(site.url())];
        CHECK(count.size() == 4);
        for (const auto& [pid, answers] : count) CHECK(answers == 10);
        CHECK(wait_until([&] {
            return has_text(site.daemon().out_log("api.0"),
                            R"(address {"address":"127.0.0.1","family":"IPv4")");
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
        const Site site;
        if (!site.has_node()) return;
        if (!find_program("wrk")) return skip("no wrk");
        site.start(http_server(site.port()), instances(4) + "node_drain = false\n");
        CHECK(cluster_of(site.daemon(), "api.0").at("drains") == false);
        const LoadOutcome load =
            load_while({.url = site.url(), .connections = 20}, [&] { site.reload(3); });
        MESSAGE(load.count.answered << " answered, " << load.count.failed << " failed");
        CHECK(load.count.answered > 0);
        CHECK(load.count.failed > 0);
    }

    TEST_CASE("node cluster/takeover: workers and clients do not notice a kill of the supervisor") {
        const Site site;
        if (!site.has_node()) return;
        if (!find_program("wrk")) return skip("no wrk");
        site.start(http_server(site.port(), kTellsOfDisconnect), instances(4));
        const std::vector<pid_t> before = site.pids(4);
        CHECK(failures_over_kills(site, 3) == 0);
        // The successor knows the socket and who has it.
        const LoadOutcome reloaded = load_while(
            {.url = site.url(), .is_kept = false, .connections = 8, .seconds = 8}, [&] {
                kill_supervisor(site.daemon());
                site.reload();
            });
        CHECK(reloaded.count.failed == 0);
        const std::vector<pid_t> after = site.pids(4);
        for (std::size_t i = 0; i < 4; ++i) CHECK(after[i] != before[i]);
    }

    TEST_CASE("node cluster/takeover: round robin loses at most the connection in its hand") {
        const Site site;
        if (!site.has_node()) return;
        if (!find_program("wrk")) return skip("no wrk");
        site.start(http_server(site.port(), kTellsOfDisconnect),
                   instances(4) + schedule_of("round-robin"));
        const int kills = 3;
        CHECK(failures_over_kills(site, kills) <= kills);
        // Evenly again, by the successor.
        std::map<std::string, int> count;
        for (int i = 0; i < 40; ++i) ++count[get(site.url())];
        CHECK(count.size() == 4);
        for (const auto& [pid, answers] : count) CHECK(answers == 10);
    }

    TEST_CASE("node cluster/reload: a version that throws is refused, and the old one serves") {
        const Site site;
        if (!site.has_node()) return;
        site.start(http_server(site.port()), instances(2));
        const std::set<std::string> before = answerers(site.port(), 8);
        site.daemon().write("server.js", "throw new Error('no such luck');\n");
        const Outcome outcome = site.daemon().ctl({"reload", "api"});
        CHECK(outcome.code == 1);
        CHECK(has_text(outcome.err, "no such luck"));
        for (const std::string& pid : answerers(site.port(), 8)) CHECK(before.count(pid) == 1);
    }
}

}  // namespace cluster::test
