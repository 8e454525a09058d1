// How a worker of a Node.js cluster ends: its connections end with their request, what never ends
// is cut and named, and a kill of the supervisor in between changes nothing.
#include <doctest/doctest.h>
#include <signal.h>

#include <fstream>
#include <sstream>
#include <string>

#include "support/daemon.hpp"
#include "support/node_cluster.hpp"
#include "support/ports.hpp"
#include "support/wrk.hpp"

namespace cluster::test {
namespace {

Json cluster_of(const Daemon& daemon, const std::string& id) {
    const std::string answer = daemon.ctl({"describe", id, "--json"}).out;
    return Json::parse(answer).at("instances").at(0).at("cluster");
}

/// What the daemon has logged.
std::string story_of(const Daemon& daemon) {
    std::ifstream file{daemon.log_dir() + "/clusterd.log"};
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
}

/// Key and certificate in the directory of the test; false, and the test is skipped, without openssl.
bool make_certificate(const Daemon& daemon) {
    if (!find_program("openssl")) {
        skip("openssl is not installed");
        return false;
    }
    return run({.argv = {"openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                         "-subj", "/CN=localhost", "-keyout", daemon.dir() / "key.pem", "-out",
                         daemon.dir() / "cert.pem"},
                .env = {},
                .cwd = ""})
               .code == 0;
}

std::string https_server(int port) {
    return R"(const fs = require('fs');
const at = (name) => fs.readFileSync(__dirname + '/' + name);
require('https').createServer({ key: at('key.pem'), cert: at('cert.pem') },
  (req, res) => res.end(`${process.pid}\n`)).listen()" +
           std::to_string(port) + ", '127.0.0.1');\n";
}

void check_https(const std::string& schedule, bool is_kept) {
    const std::string node = node_or_skip();
    if (node.empty()) return;
    if (!find_program("wrk")) return skip("no wrk");
    const Daemon daemon;
    if (!make_certificate(daemon)) return;
    const int port = free_ports(1);
    const std::string program = daemon.write("server.js", https_server(port));
    REQUIRE(daemon
                .start(worker_table("api", {node, program},
                                    kNodeCluster + instances(4) + "node_schedule = \"" + schedule +
                                        "\"\n"))
                .code == 0);
    REQUIRE(cluster_of(daemon, "api.0").at("drains") == true);
    const LoadOutcome load = load_while(
        {.url = "https://127.0.0.1:" + std::to_string(port) + "/", .is_kept = is_kept}, [&] {
            for (int round = 0; round < 3; ++round) CHECK(daemon.ctl({"reload", "api"}).code == 0);
        });
    MESSAGE(schedule << std::string{is_kept ? ", kept: " : ", close: "} << load.count.answered
                     << " answered, " << load.count.failed << " failed");
    CHECK(load.count.answered > 0);
    CHECK(load.count.failed == 0);
}

}  // namespace

TEST_SUITE("e2e") {
    TEST_CASE("node cluster/https: shared, kept connections: no request fails over reloads") {
        check_https("shared", true);
    }
    TEST_CASE("node cluster/https: round robin, kept connections: no request fails over reloads") {
        check_https("round-robin", true);
    }
    TEST_CASE("node cluster/https: shared, a connection per request: none fails over reloads") {
        check_https("shared", false);
    }
    TEST_CASE("node cluster/https: round robin, a connection per request: none fails over reloads") {
        check_https("round-robin", false);
    }

    TEST_CASE("node cluster/drain: an answer that never ends is cut in time, and named") {
        const std::string node = node_or_skip();
        if (node.empty()) return;
        const Daemon daemon;
        const int port = free_ports(1);
        const std::string program = daemon.write("server.js", R"(
const http = require('http');
http.createServer((req, res) => {
  res.write('begin\n');
  if (req.url !== '/endless') return setTimeout(() => res.end('end\n'), 700);
  setInterval(() => res.write('.'), 100);
}).listen()" + std::to_string(port) + R"(, '127.0.0.1');
)");
        REQUIRE(daemon
                    .start(worker_table("api", {node, program},
                                        kNodeCluster + "stop_timeout = \"3s\"\n"))
                    .code == 0);
        REQUIRE(cluster_of(daemon, "api.0").at("drains") == true);
        const auto curl = [&](const std::string& path) {
            return Process({.argv = {"curl", "-sN", "--max-time", "20", url_of(port) + path},
                            .env = {},
                            .cwd = ""});
        };
        Process slow = curl("slow");
        Process endless = curl("endless");
        REQUIRE(wait_until([&] {
            return has_text(slow.out(), "begin") && has_text(endless.out(), "begin");
        }));
        Process stop = daemon.start_ctl({"stop", "api"});
        CHECK(wait_until([&] {
            const Json cluster = cluster_of(daemon, "api.0");
            return !cluster.is_null() && cluster.at("state") == "draining";
        }));
        // Who comes now is not served, and who is served is served to the end.
        CHECK(slow.wait().out == "begin\nend\n");
        CHECK(stop.wait().code == 0);
        CHECK(has_text(story_of(daemon), "what did not end in time is cut: 1 answers"));
        CHECK(daemon.worker("api.0").at("last_exit").at("reason") == "killed");
        static_cast<void>(endless.wait());
    }

    TEST_CASE("node cluster/drain: a kill of the supervisor in the middle changes nothing") {
        const std::string node = node_or_skip();
        if (node.empty()) return;
        const Daemon daemon;
        const int port = free_ports(1);
        const std::string program = daemon.write("server.js", R"(
const http = require('http');
http.createServer((req, res) => {
  res.write(`${process.pid}\n`);
  setTimeout(() => res.end('end\n'), 2000);
}).listen()" + std::to_string(port) + R"(, '127.0.0.1');
)");
        REQUIRE(daemon.start(worker_table("api", {node, program}, kNodeCluster)).code == 0);
        const std::string old = std::to_string(daemon.pid_of("api.0")) + "\n";
        Process asked({.argv = {"curl", "-sN", "--max-time", "20", url_of(port)}, .env = {}, .cwd = ""});
        REQUIRE(wait_until([&] { return asked.out() == old; }));
        Process reload = daemon.start_ctl({"reload", "api"});
        REQUIRE(wait_until([&] { return has_text(story_of(daemon), "stopping (old"); }));
        kill_supervisor(daemon);
        CHECK(asked.wait().out == old + "end\n");
        CHECK(reload.wait().code == 0);
        // It ended by itself: nobody had to kill it.
        CHECK_FALSE(has_text(story_of(daemon), "is cut"));
        CHECK(std::to_string(daemon.pid_of("api.0")) + "\n" != old);
    }

    TEST_CASE("node cluster/crash: clients wait while a worker that was killed is started again") {
        const std::string node = node_or_skip();
        if (node.empty()) return;
        for (const std::string schedule : {"shared", "round-robin"}) {
            const Daemon daemon;
            const int port = free_ports(1);
            const std::string program = daemon.write("server.js", http_server(port));
            REQUIRE(daemon
                        .start(worker_table("api", {node, program},
                                            kNodeCluster + "backoff = { initial = \"1s\" }\n"
                                                           "node_schedule = \"" +
                                                schedule + "\"\n"))
                        .code == 0);
            const pid_t first = daemon.pid_of("api.0");
            REQUIRE(::kill(first, SIGKILL) == 0);
            CHECK(wait_until([&] { return daemon.state_of("api.0") == "backoff"; }));
            const std::string answer = get(url_of(port));
            CHECK(answer == std::to_string(daemon.pid_of("api.0")) + "\n");
            CHECK(answer != std::to_string(first) + "\n");
        }
    }
}

}  // namespace cluster::test
