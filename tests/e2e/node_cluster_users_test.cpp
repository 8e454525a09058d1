// node_cluster = true as people use it: with frameworks of npm, with habits from PM2, without the
// right to a port; and what they are told when it cannot be.
#include <doctest/doctest.h>
#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "support/client.hpp"
#include "support/daemon.hpp"
#include "support/node_cluster.hpp"
#include "support/paths.hpp"

namespace cluster::test {
namespace {

/// The server of a framework, under load over reloads. `program` calls load(NAME) for require().
void check_framework(const std::string& name, const std::string& program, bool is_kept) {
    const Site site;
    if (!site.has_node()) return;
    if (!find_program("wrk")) return skip("no wrk");
    const std::string place = CLUSTER_NODE_FETCHED "/";
    if (!std::filesystem::exists(place + "node_modules/" + name)) {
        return skip("no " + name + " (npm was not reached)");
    }
    site.start("const load = require('module').createRequire('" + place + "');\nconst port = " +
                   std::to_string(site.port()) + ";\n" + program,
               instances(2));
    REQUIRE(cluster_of(site.daemon(), "api.0").at("drains") == true);
    check_lossless_reloads(site, {.url = site.url(), .is_kept = is_kept, .connections = 20});
}

const std::string kExpress = R"(
const app = load('express')();
app.get('/', (request, response) => response.send(`${process.pid}\n`));
app.listen(port, '127.0.0.1');
)";

const std::string kFastify = R"(
const app = load('fastify')();
app.get('/', async () => `${process.pid}\n`);
app.listen({ port, host: '127.0.0.1' });
)";

/// Words before clusterd that make it run as a user without rights, where ports below 1024 want
/// some. Empty: that cannot be had here, and the test is skipped.
std::vector<std::string> wrapper_without_rights() {
    const std::string uid = std::to_string(50'000 + ::getpid() % 10'000);
    std::vector<std::string> wrapper{"setpriv", "--reuid=" + uid, "--regid=" + uid,
                                     "--clear-groups"};
    constexpr int kHttp = 80;
    if (std::stoi(text_of("/proc/sys/net/ipv4/ip_unprivileged_port_start")) <= kHttp) {
        // As in many containers. A new namespace of the network begins with the usual.
        wrapper.insert(wrapper.begin(), {"unshare", "--net", "--"});
    }
    std::vector<std::string> tried = wrapper;
    tried.emplace_back("true");
    if (is_root() && find_program("setpriv") && run({tried, {}, {}}).code == 0) return wrapper;
    skip("needs root and setpriv to run as a user without rights");
    return {};
}

}  // namespace

TEST_SUITE("e2e") {
    TEST_CASE("node cluster/framework: express, kept connections: no request fails over reloads") {
        check_framework("express", kExpress, true);
    }
    TEST_CASE("node cluster/framework: express, a connection per request: none fails over reloads") {
        check_framework("express", kExpress, false);
    }
    TEST_CASE("node cluster/framework: fastify, kept connections: no request fails over reloads") {
        check_framework("fastify", kFastify, true);
    }
    TEST_CASE("node cluster/framework: fastify, a connection per request: none fails over reloads") {
        check_framework("fastify", kFastify, false);
    }

    TEST_CASE("node cluster/privileged: a port that needs rights: EACCES, and why") {
        const std::string node = node_or_skip();
        if (node.empty()) return;
        const std::vector<std::string> wrapper = wrapper_without_rights();
        if (wrapper.empty()) return;
        Daemon daemon;
        // Copies, because the build tree may lie where that user cannot look.
        daemon.copy_in(CLUSTERD_PATH);
        daemon.copy_in(SUPERVISOR_PATH);
        daemon.env()["CLUSTER_SUPERVISOR"] = daemon.dir() / "cluster-supervisor";
        const std::string tells = daemon.write("tells.js", http_server(80, R"(
server.on('error', (error) => console.log(error.code, error.syscall, error.port));
)"));
        const std::string throws = daemon.write("throws.js", http_server(80));
        const std::string file = daemon.write(
            "config.toml",
            worker_table("tells", {node, tells}, kNodeCluster + "ready = \"exec\"\n") +
                worker_table("throws", {node, throws},
                             kNodeCluster + "autostart = false\nrestart = \"never\"\n"));
        std::vector<std::string> argv = wrapper;
        const uid_t uid = static_cast<uid_t>(50'000 + ::getpid() % 10'000);
        REQUIRE(::chown(daemon.dir().path().c_str(), uid, uid) == 0);
        argv.insert(argv.end(), {daemon.dir() / "clusterd", "--config", file});
        const Process clusterd({.argv = argv, .env = daemon.env(), .cwd = "/"});
        REQUIRE(wait_until([&] { return daemon.is_answering(); }));
        CHECK(wait_until([&] { return daemon.out_log("tells.0") == "EACCES bind 80\n"; }));
        const std::string reason = "cannot listen at 127.0.0.1:80: port 80 needs root or "
                                   "CAP_NET_BIND_SERVICE, as all ports below 1024 do";
        CHECK(has_text(cluster_of(daemon, "tells.0").at("problem"), reason));
        CHECK(has_text(daemon.ctl({"describe", "tells.0"}).out, reason));
        // A program that knows of no error ends by it.
        const Outcome outcome = daemon.ctl({"start", "throws"});
        CHECK(outcome.code == 1);
        CHECK(has_text(outcome.err, "EACCES"));
    }

    TEST_CASE("node cluster/drain: websockets and endless answers live on, are cut in time, and named") {
        const Site site;
        if (!site.has_node()) return;
        const Daemon& daemon = site.daemon();
        site.start(http_server(site.port(), R"(
server.removeAllListeners('request');
server.on('request', (request, response) => {
  response.write('data: 1\n');
  setInterval(() => response.write('data: more\n'), 50);
});
server.on('upgrade', (request, socket) => {
  socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n');
  socket.on('data', (piece) => socket.write(piece));
  socket.on('error', () => {});
});
)"),
                   "stop_timeout = \"3s\"\n");
        const Client websocket(internet(site.port()));
        websocket.send("GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
        REQUIRE(has_text(websocket.read(), "HTTP/1.1 101"));
        const Client events(internet(site.port()));
        events.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        REQUIRE(has_text(events.read(), "HTTP/1.1 200"));
        const pid_t old = daemon.pid_of("api.0");
        Process reload = daemon.start_ctl({"reload", "api"});
        REQUIRE(wait_until([&] { return has_text(story_of(daemon), "stopping (old"); }));
        // Who comes now is served by the new one; they live on.
        const Client late(internet(site.port()));
        late.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        CHECK(has_text(late.read(), "HTTP/1.1 200"));
        websocket.send("ping\n");
        CHECK(websocket.read() == "ping\n");
        CHECK(has_text(events.read_all(), "data: more"));
        CHECK(websocket.read().empty());
        CHECK(reload.wait().code == 0);
        CHECK_FALSE(is_alive(old));
        CHECK(daemon.state_of("api.0") == "running");
        CHECK(has_text(story_of(daemon), "api.0: what did not end in time is cut: 1 answers, "
                                         "1 upgraded connections, 0 others"));
    }

    TEST_CASE("node cluster/end: a program that is blocked gets its stop signal in time") {
        const Site site;
        if (!site.has_node()) return;
        const Daemon& daemon = site.daemon();
        site.start(http_server(site.port(), R"(
server.prependListener('request', (request) => {
  if (request.url === '/block') for (console.log('blocked');;);
});
)"),
                   "stop_timeout = \"2s\"\n");
        const Client client(internet(site.port()));
        client.send("GET /block HTTP/1.1\r\nHost: x\r\n\r\n");
        REQUIRE(wait_until([&] { return daemon.out_log("api.0") == "blocked\n"; }));
        CHECK(daemon.ctl({"stop", "api"}).code == 0);
        const Json exit = daemon.worker("api.0").at("last_exit");
        CHECK(exit.at("reason") == "stopped");
        CHECK(exit.at("signal") == "SIGTERM");
        CHECK(has_text(story_of(daemon), "api.0: what its clients have open did not end in time"));
    }

    TEST_CASE("node cluster/end: who closes its websockets on the stop signal gets to do so") {
        for (const std::string drain : {"true", "false"}) {
            const Site site;
            if (!site.has_node()) return;
            const Daemon& daemon = site.daemon();
            site.start(http_server(site.port(), R"(
const sockets = new Set();
server.on('upgrade', (request, socket) => {
  socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n');
  sockets.add(socket);
});
process.on('SIGTERM', () => { for (const socket of sockets) socket.end('bye\n'); });
)"),
                       "stop_timeout = \"2s\"\nnode_drain = " + drain + "\n");
            std::optional<Client> client(internet(site.port()));
            client->send(
                "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
            REQUIRE(has_text(client->read(), "HTTP/1.1 101"));
            Process stop = daemon.start_ctl({"stop", "api"});
            CHECK(client->read() == "bye\n");
            client.reset();
            CHECK(stop.wait().code == 0);
            const Json exit = daemon.worker("api.0").at("last_exit");
            CHECK(exit.at("reason") == "stopped");
            CHECK(exit.at("code") == 0);
            CHECK(has_text(story_of(daemon), "api.0: what "));  // did not end by itself
        }
    }

    TEST_CASE("node cluster/habits: SIGINT as PM2 sends it, for what outlives the connections") {
        const Site site;
        if (!site.has_node()) return;
        site.start(http_server(site.port(), R"(
const pool = setInterval(() => {}, 1000);
process.on('SIGTERM', () => console.log('SIGTERM'));
process.on('SIGINT', () => { console.log('SIGINT', process.connected); clearInterval(pool); });
)"),
                   "stop_signal = \"SIGINT\"\n");
        CHECK(site.daemon().ctl({"stop", "api"}).code == 0);
        CHECK(site.daemon().out_log("api.0") == "SIGINT false\n");
        const Json exit = site.daemon().worker("api.0").at("last_exit");
        CHECK(exit.at("reason") == "stopped");
        CHECK(exit.at("code") == 0);
    }

    TEST_CASE("node cluster/addresses: instances that listen at different ones each have their own") {
        const Site site;
        if (!site.has_node()) return;
        const Daemon& daemon = site.daemon();
        const int own = free_ports(2);
        site.start(http_server(site.port(), "http.createServer((request, response) => "
                                            "response.end(process.env.NODE_APP_INSTANCE))\n"
                                            "  .listen({ port: " + std::to_string(own) +
                                                " + +process.env.NODE_APP_INSTANCE, "
                                                "host: '127.0.0.1', backlog: 7 });\n"),
                   instances(2));
        const auto check = [&] {
            for (int i = 0; i < 2; ++i) {
                CHECK(wait_until([&] { return get(url_of(own + i)) == std::to_string(i); }));
                const Json addresses =
                    cluster_of(daemon, "api." + std::to_string(i)).at("addresses");
                REQUIRE(addresses.size() == 2);
                const std::string at = addresses.at(0).at("address").get<std::string>() + " " +
                                       addresses.at(1).at("address").get<std::string>();
                CHECK(has_text(at, ":" + std::to_string(own + i)));
                CHECK(has_text(at, ":" + std::to_string(site.port())));
            }
            CHECK_FALSE(get(site.url()).empty());
        };
        check();
        kill_supervisor(daemon);
        check();
        site.reload();
        check();
    }

    TEST_CASE("node cluster/descriptor: listen({ fd: 3 }) is for workers without node_cluster") {
        const Site site;
        if (!site.has_node()) return;
        const Daemon& daemon = site.daemon();
        const std::string program = daemon.write("server.js", R"(
require('http').createServer((request, response) => response.end(`${process.pid}\n`))
  .on('error', (error) => console.log(error.code)).listen({ fd: 3 });
)");
        const std::string socket =
            "[socket.web]\nlisten = \"127.0.0.1:" + std::to_string(site.port()) + "\"\n";
        const std::string keys = "sockets = \"web\"\nmin_uptime = \"50ms\"\n" + instances(2);
        REQUIRE(daemon.start(socket + worker_table("plain", {site.node(), program}, keys)).code == 0);
        const std::string answer = get(site.url());
        CHECK((answer == std::to_string(daemon.pid_of("plain.0")) + "\n" ||
               answer == std::to_string(daemon.pid_of("plain.1")) + "\n"));
        REQUIRE(daemon.ctl({"delete", "plain"}).code == 0);
        REQUIRE(daemon
                    .start(socket + worker_table("api", {site.node(), program},
                                                 keys + "node_cluster = true\nready = \"exec\"\n"))
                    .code == 0);
        CHECK(wait_until([&] { return daemon.out_log("api.0") == "EBADF\n"; }));
        CHECK(has_text(cluster_of(daemon, "api.0").at("problem"),
                       "a worker of a cluster has to name an address"));
    }

    TEST_CASE("node cluster/explained: a number of its own, and a command without a script") {
        const Daemon daemon;
        const Outcome own = daemon.start(worker_table(
            "api", {"node", "server.js"}, kNodeCluster + "env = { NODE_UNIQUE_ID = \"7\" }\n"));
        CHECK(own.code == 2);
        CHECK(has_text(own.err, "the daemon sets NODE_UNIQUE_ID itself"));
        const Outcome none = daemon.start(worker_table("api", {"node"}, kNodeCluster));
        CHECK(none.code == 2);
        CHECK(has_text(none.err, "needs a script; the command names no script"));
        const Outcome text =
            daemon.start(worker_table("api", {"node", "-e", "0"}, kNodeCluster));
        CHECK(text.code == 2);
        CHECK(has_text(text.err, "node -e is no script"));
    }
}

}  // namespace cluster::test
