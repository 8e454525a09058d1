#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "support/daemon.hpp"
#include "support/paths.hpp"

namespace cluster::test {
namespace {

namespace fs = std::filesystem;

sockaddr_in local_address(int port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

/// The first of `count` ports in a row that nobody listens on.
int free_port(int count = 1) {
    static int next = 20'000 + (::getpid() * 37) % 10'000;
    for (int base = next;; base += count) {
        int good = 0;
        for (; good < count; ++good) {
            const sys::UniqueFd socket{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
            const sockaddr_in address = local_address(base + good);
            if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address),
                       sizeof(address)) != 0) {
                break;
            }
        }
        next = base + count;
        if (good == count) return base;
    }
}

/// Sends `request` to the port and returns what comes back within two seconds of silence.
std::string talk(int port, const std::string& request, const std::string& until) {
    const sys::UniqueFd socket{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    const sockaddr_in address = local_address(port);
    if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) !=
        0) {
        return {};
    }
    if (::send(socket.get(), request.data(), request.size(), MSG_NOSIGNAL) < 0) return {};
    std::string answer;
    std::array<char, 4096> buffer{};
    while (answer.find(until) == std::string::npos) {
        pollfd entry{socket.get(), POLLIN, 0};
        if (::poll(&entry, 1, 2000) <= 0) break;
        const auto count = ::recv(socket.get(), buffer.data(), buffer.size(), 0);
        if (count <= 0) break;
        answer.append(buffer.data(), static_cast<std::size_t>(count));
    }
    return answer;
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
    for (auto at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
        text.replace(at, from.size(), to);
    }
    return text;
}

/// Copies a file of config/examples into the test's directory, with other ports and places.
std::string example(const Daemon& daemon, const std::string& name,
                    const std::vector<std::pair<std::string, std::string>>& changes) {
    std::string text = text_of(std::string(CLUSTER_SOURCE_DIR "/config/examples/") + name);
    REQUIRE_FALSE(text.empty());
    for (const auto& [from, to] : changes) {
        CHECK(text.find(from) != std::string::npos);
        text = replaced(text, from, to);
    }
    return daemon.write(name, text);
}

/// Starts the file, asks the server, kills it, sees it come back, and stops it.
template <class Answers>
void check_server(const Daemon& daemon, const std::string& file, const std::string& id,
                  Answers answers, bool is_clean_exit) {
    const Outcome started = daemon.ctl({"start", file});
    INFO(started.err);
    REQUIRE(started.code == 0);
    REQUIRE(wait_until(answers));
    const pid_t first = daemon.pid_of(id);
    // The whole group: the processes of a dead nginx master would keep its port.
    REQUIRE(::kill(-first, SIGKILL) == 0);
    REQUIRE(wait_until([&] {
        const pid_t pid = daemon.pid_of(id);
        return pid != 0 && pid != first && daemon.state_of(id) == "running";
    }));
    REQUIRE(wait_until(answers));
    CHECK(wait_until([&] { return daemon.state_of(id) == "running" && answers(); }));
    const Outcome stopped = daemon.ctl({"stop", "all"});
    INFO(stopped.err);
    CHECK(stopped.code == 0);
    const Json exit = daemon.worker(id).at("last_exit");
    CHECK(exit.at("reason") == "stopped");
    if (is_clean_exit) CHECK(exit.at("code") == 0);
    CHECK_FALSE(answers());
    REQUIRE(daemon.ctl({"shutdown"}).code == 0);
    CHECK(wait_until([] { return descendants().empty(); }, seconds{2}));
}

const std::string kGet = "GET / HTTP/1.0\r\nHost: localhost\r\n\r\n";

}  // namespace

TEST_SUITE("e2e") {
    TEST_CASE("servers/python: http.server comes back when it is killed and stops cleanly") {
        if (!find_program("python3")) return skip("no python3");
        const Daemon daemon;
        const int port = free_port();
        const std::string file = example(daemon, "python.toml", {{"8081", std::to_string(port)}});
        const auto answers = [&] {
            return talk(port, kGet, "python.toml").find("200 OK") != std::string::npos;
        };
        check_server(daemon, file, "files.0", answers, false);
    }

    TEST_CASE("servers/node: an http server in two processes") {
        if (!find_program("node")) return skip("no node");
        const Daemon daemon;
        const int port = free_port(2);
        const std::string file =
            example(daemon, "node.toml",
                    {{"8090", std::to_string(port)}, {"8091", std::to_string(port + 1)}});
        example(daemon, "node-server.js", {});
        const auto answers = [&] {
            return talk(port, kGet, "pid").find("node 0 of 2") != std::string::npos &&
                   talk(port + 1, kGet, "pid").find("node 1 of 2") != std::string::npos;
        };
        check_server(daemon, file, "node.0", answers, true);
        CHECK(daemon.out_log("node.1").find("finishing") != std::string::npos);
    }

    TEST_CASE("servers/redis: redis-server from Debian") {
        if (!find_program("redis-server")) return skip("no redis-server");
        const Daemon daemon;
        const int port = free_port();
        const std::string file = example(daemon, "redis.toml", {{"6390", std::to_string(port)}});
        const auto answers = [&] { return talk(port, "PING\r\n", "PONG") == "+PONG\r\n"; };
        check_server(daemon, file, "redis.0", answers, true);
    }

    TEST_CASE("servers/nginx: nginx from Debian with its own worker processes") {
        if (!find_program("nginx")) return skip("no nginx");
        const Daemon daemon;
        const int port = free_port();
        const std::string file = example(
            daemon, "nginx.toml",
            {{"8085", std::to_string(port)}, {"/tmp/clusterd-nginx", daemon.dir() / "nginx"}});
        example(daemon, "nginx.conf", {{"8085", std::to_string(port)}});
        const auto answers = [&] {
            return talk(port, kGet, "clusterd\n").find("nginx behind clusterd") !=
                   std::string::npos;
        };
        check_server(daemon, file, "nginx.0", answers, true);
    }

    TEST_CASE("servers/gunicorn: gunicorn from Debian, ready when it says so") {
        if (!find_program("gunicorn")) return skip("no gunicorn");
        const Daemon daemon;
        const int port = free_port();
        const std::string file = example(daemon, "gunicorn.toml", {{"8083", std::to_string(port)}});
        example(daemon, "wsgi.py", {});
        const auto answers = [&] {
            return talk(port, kGet, "pid").find("gunicorn behind clusterd") != std::string::npos;
        };
        check_server(daemon, file, "gunicorn.0", answers, true);
        CHECK(daemon.out_log("gunicorn.0").find("\"GET / HTTP/1.0\" 200") != std::string::npos);
    }

    TEST_CASE("servers/postgresql: a database is made, survives a crash, and stops in order") {
        if (!fs::exists("/usr/lib/postgresql") || !find_program("pg_isready")) {
            return skip("no PostgreSQL");
        }
        const Daemon daemon;
        const std::string port = std::to_string(free_port());
        const std::string place = daemon.dir() / "pg";
        fs::create_directory(place);
        // The server and the queries are those of an ordinary user.
        std::vector<std::pair<std::string, std::string>> changes = {
            {"5433", port}, {"/tmp/clusterd-postgresql", place}};
        std::vector<std::string> psql = {"psql", "-h", place, "-p", port, "-d", "postgres", "-Atc"};
        if (is_root()) {
            if (run({{"chown", "postgres", place}, {}, ""}).code != 0)
                return skip("no user postgres");
            fs::permissions(daemon.dir().path(), fs::perms{0755});
            psql.insert(psql.begin(), {"runuser", "-u", "postgres", "--"});
        } else {
            changes.emplace_back("user = \"postgres\"", "");
        }
        const std::string file = example(daemon, "postgresql.toml", changes);
        const auto ask = [&](const std::string& query) {
            std::vector<std::string> words = psql;
            words.push_back(query);
            return run({words, {}, ""}).out;
        };
        const auto answers = [&] { return ask("select 6 * 7") == "42\n"; };
        check_server(daemon, file, "postgresql.0", answers, true);
        const std::string log = daemon.err_log("postgresql.0");
        CHECK(log.find("automatic recovery in progress") != std::string::npos);
        CHECK(log.find("database system is shut down") != std::string::npos);
    }

    TEST_CASE("servers/quickstart: the configuration of the first minute works") {
        if (!find_program("python3")) return skip("no python3");
        const Daemon daemon;
        const int port = free_port();
        const std::string text = replaced(text_of(CLUSTER_SOURCE_DIR "/config/quickstart.toml"),
                                          "PORT = 8080", "PORT = " + std::to_string(port));
        const std::string file = daemon.write("quickstart.toml", text);
        std::filesystem::copy(CLUSTER_SOURCE_DIR "/config/quickstart", daemon.dir() / "quickstart");
        const Outcome started = daemon.ctl({"start", file});
        INFO(started.err);
        CHECK(started.code == 0);
        CHECK(wait_until(
            [&] { return talk(port, kGet, "request").find("200 OK") != std::string::npos; }));
        CHECK(
            wait_until([&] { return daemon.worker("crasher.0").at("restarts").get<int>() >= 2; }));
        const Outcome again = daemon.ctl({"start", file});
        CHECK(again.code == 0);
        REQUIRE(daemon.ctl({"shutdown"}).code == 0);
        CHECK(daemon.out_log("web.0").find("is done") != std::string::npos);
    }
}

}  // namespace cluster::test
