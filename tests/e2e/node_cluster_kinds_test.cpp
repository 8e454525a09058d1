// node_cluster = true: every kind of address, every way to node, and everything that is refused.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <map>
#include <string>

#include "support/daemon.hpp"
#include "support/node_cluster.hpp"
#include "support/ports.hpp"

namespace cluster::test {
namespace {

/// The lines that all instances have written.
std::string out_of(const Daemon& daemon, const std::string& worker, int count) {
    std::string text;
    for (int i = 0; i < count; ++i) text += daemon.out_log(worker + "." + std::to_string(i));
    return text;
}

/// What follows the word in what was written, up to the end of the line.
std::set<std::string> words_after(const std::string& text, const std::string& word) {
    std::set<std::string> found;
    for (std::size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) {
        const std::size_t begin = at + word.size();
        found.insert(text.substr(begin, text.find('\n', begin) - begin));
    }
    return found;
}

}  // namespace

TEST_SUITE("e2e") {
    TEST_CASE("node cluster/port 0: the n-th server of every instance has the same port") {
        const std::string node = node_or_skip();
        if (node.empty()) return;
        const Daemon daemon;
        const std::string program = daemon.write("server.js", R"(
const http = require('http');
for (const name of ['first', 'second']) {
  const server = http.createServer((req, res) => res.end(`${process.pid}\n`));
  server.listen(0, '127.0.0.1', () => console.log(name, server.address().port));
}
)");
        REQUIRE(daemon.start(worker_table("api", {node, program}, kNodeCluster + instances(3))).code ==
                0);
        REQUIRE(wait_until([&] {
            const std::string text = out_of(daemon, "api", 3);
            std::size_t lines = 0;
            for (const char c : text) lines += c == '\n' ? 1 : 0;
            return lines == 6;
        }));
        const auto first = words_after(out_of(daemon, "api", 3), "first ");
        const auto second = words_after(out_of(daemon, "api", 3), "second ");
        REQUIRE(first.size() == 1);
        REQUIRE(second.size() == 1);
        CHECK(first != second);
        CHECK_FALSE(get(url_of(std::stoi(*first.begin()))).empty());
        CHECK_FALSE(get(url_of(std::stoi(*second.begin()))).empty());
        const Json cluster = describe(daemon, "api.0").at("cluster");
        CHECK(cluster.at("state") == "listening");
        CHECK(cluster.at("addresses").size() == 2);
        CHECK(cluster.at("addresses").at(0).at("address") == "127.0.0.1:" + *first.begin());
    }

    TEST_CASE("node cluster/udp: a datagram reaches one of the instances") {
        const std::string node = node_or_skip();
        if (node.empty()) return;
        const Daemon daemon;
        const std::string program = daemon.write("server.js", R"(
const socket = require('dgram').createSocket('udp4');
socket.on('message', (text, from) => socket.send(`${process.pid} heard ${text}`, from.port, from.address));
socket.bind(0, '127.0.0.1', () => console.log('port', socket.address().port));
)");
        for (const std::string schedule : {"shared", "round-robin"}) {
            REQUIRE(daemon
                        .start(worker_table(schedule, {node, program},
                                            kNodeCluster + instances(2) + schedule_of(schedule)))
                        .code == 0);
            REQUIRE(wait_until(
                [&] { return words_after(out_of(daemon, schedule, 2), "port ").size() == 1; }));
            const std::string port = *words_after(out_of(daemon, schedule, 2), "port ").begin();
            const std::string client = daemon.write("client.js", R"(
const socket = require('dgram').createSocket('udp4');
socket.on('message', (text) => { console.log(String(text)); socket.close(); });
socket.send('hello', +process.argv[2], '127.0.0.1');
setTimeout(() => process.exit(1), 10000).unref();
)");
            Process asked({.argv = {node, client, port}, .env = {}, .cwd = ""});
            CHECK(has_text(asked.wait().out, "heard hello"));
            REQUIRE(daemon.ctl({"delete", schedule}).code == 0);
        }
    }

    TEST_CASE("node cluster/path: a UNIX socket, its mode, what is stale, and its end") {
        const std::string node = node_or_skip();
        if (node.empty()) return;
        const Daemon daemon;
        const std::string path = daemon.dir() / "app.sock";
        const std::string program = daemon.write("server.js", R"(
const http = require('http');
const server = http.createServer((req, res) => res.end(`${process.pid}\n`));
server.listen({ path: process.env.APP, readableAll: true, writableAll: true },
              () => console.log('at', server.address()));
)");
        const auto table = [&](const std::string& schedule) {
            return worker_table("api", {node, program},
                                kNodeCluster + instances(2) + "env.APP = \"" + path +
                                    "\"\nnode_schedule = \"" + schedule + "\"\n");
        };
        for (const std::string schedule : {"shared", "round-robin"}) {
            // As a server leaves it that was killed.
            Process stale({.argv = {node, "-e",
                                    "require('net').createServer().listen('" + path +
                                        "', () => process.kill(process.pid, 'SIGKILL'))"},
                           .env = {},
                           .cwd = ""});
            static_cast<void>(stale.wait());
            REQUIRE(daemon.start(table(schedule)).code == 0);
            CHECK_FALSE(get({"--unix-socket", path, "http://localhost/"}).empty());
            struct stat info {};
            REQUIRE(::stat(path.c_str(), &info) == 0);
            CHECK((info.st_mode & 0777) == 0777);
            REQUIRE(daemon.ctl({"delete", "api"}).code == 0);
            CHECK(wait_until([&] { return ::stat(path.c_str(), &info) != 0; }));
        }
        // What is no socket is left alone.
        daemon.write("app.sock", "precious");
        const Outcome outcome = daemon.start(table("shared") + "restart = \"never\"\n");
        CHECK(outcome.code == 1);
        REQUIRE(::access(path.c_str(), F_OK) == 0);
    }

    TEST_CASE("node cluster/https: a session resumes at any instance, and after a reload") {
        const std::string node = node_or_skip();
        if (node.empty()) return;
        if (!find_program("openssl")) return skip("no openssl");
        const Daemon daemon;
        const int port = free_ports(1);
        Process make({.argv = {"openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days",
                               "2", "-subj", "/CN=localhost", "-keyout", daemon.dir() / "key.pem",
                               "-out", daemon.dir() / "cert.pem"},
                      .env = {},
                      .cwd = ""});
        REQUIRE(make.wait().code == 0);
        const std::string program = daemon.write("server.js", R"(
const fs = require('fs');
require('https').createServer({ key: fs.readFileSync('key.pem'), cert: fs.readFileSync('cert.pem') },
  (req, res) => res.end(`${process.pid}\n`)).listen()" + std::to_string(port) + R"(, '127.0.0.1');
)");
        // Connects again and again with the session of the first.
        const std::string client = daemon.write("client.js", R"(
const tls = require('tls');
let session, reused = 0, count = 0;
function next() {
  const socket = tls.connect({ port: +process.argv[2], rejectUnauthorized: false, session,
                               maxVersion: 'TLSv1.2' }, () => {
    if (socket.isSessionReused()) ++reused;
    if (!session) session = socket.getSession();
    socket.end('GET / HTTP/1.1\r\nConnection: close\r\n\r\n');
  });
  socket.on('error', (e) => { console.log('error', e.code); process.exit(1); });
  socket.resume().on('close', () => {
    if (++count < 21) return next();
    console.log('reused', reused);
    if (process.argv[3]) require('fs').writeFileSync(process.argv[3], session);
  });
}
if (process.argv[4]) session = require('fs').readFileSync(process.argv[4]);
next();
)");
        for (const std::string schedule : {"shared", "round-robin"}) {
            REQUIRE(daemon
                        .start(worker_table("api", {node, program},
                                            kNodeCluster + instances(4) + "cwd = \"" +
                                                (daemon.dir() / "") + "\"\nnode_schedule = \"" +
                                                schedule + "\"\n"))
                        .code == 0);
            const std::string kept = daemon.dir() / "session";
            Process first({.argv = {node, client, std::to_string(port), kept}, .env = {}, .cwd = ""});
            CHECK(first.wait().out == "reused 20\n");
            REQUIRE(daemon.ctl({"reload", "api"}).code == 0);
            Process second({.argv = {node, client, std::to_string(port), kept, kept},
                            .env = {},
                            .cwd = ""});
            CHECK(second.wait().out == "reused 21\n");
            REQUIRE(daemon.ctl({"delete", "api"}).code == 0);
        }
    }

    TEST_CASE("node cluster/ways: env, a shebang, and a shell that says exec lead to a worker") {
        const std::string node = node_or_skip();
        if (node.empty()) return;
        const Daemon daemon;
        const int port = free_ports(3);
        const std::string plain = daemon.write("server.js", http_server(port));
        REQUIRE(daemon
                    .start(worker_table("env", {"/usr/bin/env", "node", plain},
                                        kNodeCluster + instances(2)))
                    .code == 0);
        const std::string script =
            daemon.write("script", "#!/usr/bin/env node\n" + http_server(port + 1));
        REQUIRE(::chmod(script.c_str(), 0755) == 0);
        REQUIRE(daemon.start(worker_table("script", {script}, kNodeCluster + instances(2))).code ==
                0);
        const std::string other = daemon.write("other.js", http_server(port + 2));
        REQUIRE(daemon
                    .start(worker_table("shell", {"sh", "-c", "exec node " + other},
                                        kNodeCluster + instances(2)))
                    .code == 0);
        for (const std::string worker : {"env", "script", "shell"}) {
            CHECK(describe(daemon, worker + ".1").at("cluster").at("state") == "listening");
        }
        for (int i = 0; i < 3; ++i) CHECK_FALSE(get(url_of(port + i)).empty());
    }

    TEST_CASE("node cluster/wrapper: what keeps the worker's variables to itself is named") {
        const std::string node = node_or_skip();
        if (node.empty()) return;
        const Daemon daemon;
        const int port = free_ports(1);
        const std::string server = daemon.write("server.js", http_server(port));
        const std::string npm = daemon.write(
            "npm", "#!" + node + "\nrequire('child_process').spawn(process.execPath, ['" + server +
                       "'], { stdio: 'inherit' }).on('exit', (c) => process.exit(c));\n");
        REQUIRE(::chmod(npm.c_str(), 0755) == 0);
        const Outcome outcome = daemon.start(worker_table(
            "api", {npm, "start"}, kNodeCluster + "start_timeout = \"3s\"\nrestart = \"never\"\n"));
        CHECK(outcome.code == 1);
        CHECK(has_text(outcome.err, "it does not listen; npm is a Node.js program itself"));
        // The port is the first one's until it is gone.
        REQUIRE(daemon.ctl({"delete", "api"}).code == 0);
        REQUIRE(daemon
                    .start(worker_table("web", {npm, "start"}, kNodeCluster + "ready = \"exec\"\n"))
                    .code == 0);
        // It takes itself for the worker, and says so when it has loaded.
        const auto cluster = [&] { return describe(daemon, "web.0").at("cluster"); };
        CHECK(wait_until([&] { return cluster().at("state") == "online"; }));
        CHECK(has_text(cluster().at("warning"), "npm"));
        CHECK(has_text(daemon.ctl({"describe", "web.0"}).out, "npm is a Node.js program itself"));
    }

    TEST_CASE("node cluster/refused: an address in use, by whom, and twice by one process") {
        const std::string node = node_or_skip();
        if (node.empty()) return;
        const Daemon daemon;
        const int port = free_ports(2);
        const std::string holder = daemon.write("holder.js", http_server(port));
        REQUIRE(daemon.start(worker_table("holder", {node, holder}, kNodeCluster)).code == 0);
        const std::string program = daemon.write("server.js", R"(
const net = require('net');
const listen = (port) => new Promise((resolve) => {
  const server = net.createServer().on('error', (e) => resolve(e.code + ' ' + e.syscall));
  server.listen(port, '127.0.0.1', () => resolve('listens'));
});
(async () => {
  console.log('taken', await listen()" + std::to_string(port) + R"());
  console.log('own', await listen()" + std::to_string(port + 1) + R"());
  console.log('again', await listen()" + std::to_string(port + 1) + R"());
  console.log('no interface', await new Promise((resolve) => net.createServer()
    .on('error', (e) => resolve(e.code)).listen(8000, '192.0.2.1')));
})();
)");
        REQUIRE(daemon.start(worker_table("api", {node, program}, kNodeCluster)).code == 0);
        CHECK(wait_until([&] {
            return daemon.out_log("api.0") ==
                   "taken EADDRINUSE bind\nown listens\nagain EADDRINUSE bind\n"
                   "no interface EADDRNOTAVAIL\n";
        }));
        CAPTURE(daemon.out_log("api.0"));
        CHECK(has_text(describe(daemon, "api.0").at("cluster").at("problem"), "192.0.2.1"));
        CHECK(daemon.state_of("holder.0") == "running");
    }

    TEST_CASE("node cluster/two addresses: each worker of the config has its own") {
        const std::string node = node_or_skip();
        if (node.empty()) return;
        const Daemon daemon;
        const int port = free_ports(2);
        const std::string program = daemon.write("server.js", R"(
const http = require('http');
const servers = process.env.PORTS.split(',').map((port) =>
  http.createServer((req, res) => res.end(process.env.CLUSTER_WORKER + '\n')).listen(+port, '127.0.0.1'));
)");
        const std::string first = std::to_string(port);
        const std::string second = std::to_string(port + 1);
        REQUIRE(daemon
                    .start(worker_table("both", {node, program},
                                        kNodeCluster + instances(2) + "env.PORTS = \"" + first + "," +
                                            second + "\"\n"))
                    .code == 0);
        CHECK(wait_until([&] { return get(url_of(port)) == "both\n"; }));
        CHECK(wait_until([&] { return get(url_of(port + 1)) == "both\n"; }));
        // Another worker does not get what is not its own.
        const Outcome outcome = daemon.start(worker_table(
            "other", {node, program},
            kNodeCluster + "restart = \"never\"\nenv.PORTS = \"" + second + "\"\n"));
        CHECK(outcome.code == 1);
        CHECK(has_text(outcome.err, "EADDRINUSE"));
        CHECK(get(url_of(port + 1)) == "both\n");
    }

    TEST_CASE("node cluster/exclusive: a process that wants a port for itself gets it by itself") {
        const std::string node = node_or_skip();
        if (node.empty()) return;
        const Daemon daemon;
        const int port = free_ports(2);
        const std::string program = daemon.write("server.js", R"(
const http = require('http');
http.createServer((req, res) => res.end(process.env.CLUSTER_INSTANCE + '\n'))
  .listen({ port: )" + std::to_string(port) + R"( + +process.env.NODE_APP_INSTANCE, host: '127.0.0.1', exclusive: true },
          () => process.send('ready'));
)");
        REQUIRE(daemon
                    .start(worker_table("api", {node, program},
                                        kNodeCluster + instances(2) + "ready = \"channel\"\n"))
                    .code == 0);
        CHECK(get(url_of(port)) == "0\n");
        CHECK(get(url_of(port + 1)) == "1\n");
        CHECK(describe(daemon, "api.0").at("cluster").at("addresses").empty());
        CHECK(daemon.ctl({"stop", "api"}).code == 0);
    }

    TEST_CASE("node cluster/habits: worker.disconnect, worker.kill, a message, PM2's ready") {
        const std::string node = node_or_skip();
        if (node.empty()) return;
        const Daemon daemon;
        const int port = free_ports(1);
        const std::string program = daemon.write("server.js", http_server(port, R"(
const cluster = require('cluster');
process.on('message', (m) => {
  console.log('got', JSON.stringify(m));
  if (m.what === 'disconnect') cluster.worker.disconnect();
  if (m.what === 'kill') cluster.worker.kill();
  if (m === 'shutdown') server.close(() => { console.log('closed'); process.exit(0); });
});
cluster.worker.on('disconnect', () => console.log('disconnected', cluster.worker.exitedAfterDisconnect));
server.on('listening', () => setTimeout(() => process.send('ready'), 50));
)"));
        REQUIRE(daemon
                    .start(worker_table("api", {node, program},
                                        kNodeCluster + "ready = \"channel\"\nstop_message = true\n"))
                    .code == 0);
        CHECK(daemon.worker("api.0").at("ready") == true);
        const pid_t first = daemon.pid_of("api.0");
        REQUIRE(daemon.ctl({"send", "api.0", R"({"what":"disconnect"})"}).code == 0);
        // It has nothing left to do, so it ends, and comes again.
        CHECK(wait_until([&] {
            const pid_t now = daemon.pid_of("api.0");
            return now != 0 && now != first && daemon.worker("api.0").at("ready") == true;
        }));
        CHECK(has_text(daemon.out_log("api.0"), "disconnected true\n"));
        const pid_t second = daemon.pid_of("api.0");
        REQUIRE(daemon.ctl({"send", "api.0", R"({"what":"kill"})"}).code == 0);
        CHECK(wait_until([&] {
            const pid_t now = daemon.pid_of("api.0");
            return now != 0 && now != second && daemon.worker("api.0").at("ready") == true;
        }));
        CHECK(daemon.ctl({"stop", "api"}).code == 0);
        CHECK(has_text(daemon.out_log("api.0"), "got \"shutdown\"\nclosed\n"));
    }
}

}  // namespace cluster::test
