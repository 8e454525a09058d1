// How a worker of a Node.js cluster ends: its connections end with their request, what never ends
// is cut and named, and a kill of the supervisor in between changes nothing.
#include <doctest/doctest.h>
#include <signal.h>

#include <string>
#include <vector>

#include "support/daemon.hpp"
#include "support/node_cluster.hpp"

namespace cluster::test {
namespace {

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
    const Site site;
    if (!site.has_node()) return;
    if (!find_program("wrk")) return skip("no wrk");
    if (!make_certificate(site.daemon())) return;
    site.start(https_server(site.port()), instances(4) + schedule_of(schedule));
    REQUIRE(cluster_of(site.daemon(), "api.0").at("drains") == true);
    check_lossless_reloads(site, {.url = "https://127.0.0.1:" + std::to_string(site.port()) + "/",
                         .is_kept = is_kept});
}

/// A client that says what it hears as soon as it does.
Process curl(const std::vector<std::string>& words) {
    std::vector<std::string> argv{"curl", "-sN", "--max-time", "20"};
    argv.insert(argv.end(), words.begin(), words.end());
    return Process({.argv = argv, .env = {}, .cwd = ""});
}

bool is_draining(const Daemon& daemon, const std::string& id) {
    const Json cluster = cluster_of(daemon, id);
    return !cluster.is_null() && cluster.at("state") == "draining";
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
        const Site site;
        if (!site.has_node()) return;
        const Daemon& daemon = site.daemon();
        site.start(R"(
const http = require('http');
http.createServer((req, res) => {
  res.write('begin\n');
  if (req.url !== '/endless') return setTimeout(() => res.end('end\n'), 700);
  setInterval(() => res.write('.'), 100);
}).listen()" + std::to_string(site.port()) +
                       R"(, '127.0.0.1');
)",
                   "stop_timeout = \"3s\"\n");
        REQUIRE(cluster_of(daemon, "api.0").at("drains") == true);
        Process slow = curl({site.url() + "slow"});
        Process endless = curl({site.url() + "endless"});
        REQUIRE(wait_until([&] {
            return has_text(slow.out(), "begin") && has_text(endless.out(), "begin");
        }));
        Process stop = daemon.start_ctl({"stop", "api"});
        CHECK(wait_until([&] { return is_draining(daemon, "api.0"); }));
        // Who comes now is not served, and who is served is served to the end.
        CHECK(slow.wait().out == "begin\nend\n");
        CHECK(stop.wait().code == 0);
        CHECK(has_text(story_of(daemon), "what did not end in time is cut: 1 answers"));
        CHECK(daemon.worker("api.0").at("last_exit").at("signal") == "SIGTERM");
        static_cast<void>(endless.wait());
    }

    TEST_CASE("node cluster/drain: a kill of the supervisor in the middle changes nothing") {
        const Site site;
        if (!site.has_node()) return;
        const Daemon& daemon = site.daemon();
        site.start(R"(
const http = require('http');
http.createServer((req, res) => {
  res.write(`${process.pid}\n`);
  setTimeout(() => res.end('end\n'), 2000);
}).listen()" + std::to_string(site.port()) +
                   R"(, '127.0.0.1');
)");
        const std::string old = std::to_string(daemon.pid_of("api.0")) + "\n";
        Process asked = curl({site.url()});
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
        for (const std::string schedule : {"shared", "round-robin"}) {
            const Site site;
            if (!site.has_node()) return;
            const Daemon& daemon = site.daemon();
            site.start(http_server(site.port()),
                       "backoff = { initial = \"1s\" }\n" + schedule_of(schedule));
            const pid_t first = daemon.pid_of("api.0");
            REQUIRE(::kill(first, SIGKILL) == 0);
            CHECK(wait_until([&] { return daemon.state_of("api.0") == "backoff"; }));
            const std::string answer = get(site.url());
            CHECK(answer == std::to_string(daemon.pid_of("api.0")) + "\n");
            CHECK(answer != std::to_string(first) + "\n");
        }
    }
}

}  // namespace cluster::test
