// Reloads under a client that opens a connection per request and counts what fails.
#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <functional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "support/daemon.hpp"
#include "support/ports.hpp"

namespace cluster::test {
namespace {

sockaddr_in local_address(int port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

/// Always 0: the request failed. Says where, which no counter can.
pid_t failed_in(const std::string& step) {
    MESSAGE("a request failed in " << step);
    return 0;
}

/// The pid that answered; 0: the request failed.
pid_t ask(int port) {
    const sys::UniqueFd socket{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    const timeval patience{30, 0};
    ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    const sockaddr_in address = local_address(port);
    if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) !=
        0) {
        return failed_in(std::string{"connect: "} + std::strerror(errno));
    }
    const std::string request = "GET / HTTP/1.0\r\n\r\n";
    if (::send(socket.get(), request.data(), request.size(), MSG_NOSIGNAL) < 0) {
        return failed_in(std::string{"send: "} + std::strerror(errno));
    }
    std::string answer;
    std::array<char, 1024> buffer{};
    while (true) {
        const auto count = ::recv(socket.get(), buffer.data(), buffer.size(), 0);
        // With a timeout of its own it is not restarted after a signal to this process.
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return failed_in(std::string{"recv: "} + std::strerror(errno));
        if (count == 0) break;
        answer.append(buffer.data(), static_cast<std::size_t>(count));
    }
    const auto body = answer.find("\r\n\r\n");
    const bool is_whole = answer.rfind("HTTP/1.0 200 OK", 0) == 0 && body != std::string::npos &&
                          answer.back() == '\n';
    if (!is_whole) return failed_in("its answer: \"" + answer + "\"");
    return std::stoi(answer.substr(body + 4));
}

/// Asks without a break, from two threads, as long as it lives.
class Load {
public:
    explicit Load(int port) {
        for (std::thread& thread : threads_) {
            thread = std::thread([this, port] {
                while (!shall_end_) {
                    ask(port) != 0 ? ++answered_ : ++failed_;
                }
            });
        }
        REQUIRE(wait_until([this] { return answered_ + failed_ > 10; }));
    }
    ~Load() { end(); }
    Load(const Load&) = delete;
    Load& operator=(const Load&) = delete;

    void end() {
        shall_end_ = true;
        for (std::thread& thread : threads_) {
            if (thread.joinable()) thread.join();
        }
    }
    [[nodiscard]] int answered() const { return answered_; }
    [[nodiscard]] int failed() const { return failed_; }

private:
    std::atomic<bool> shall_end_ = false;
    std::atomic<int> answered_ = 0;
    std::atomic<int> failed_ = 0;
    std::array<std::thread, 2> threads_;
};

/// A worker "api" of two instances that answer on a socket that they share.
std::string site(int port, const std::string& behaviour = "", const std::string& more = "") {
    std::vector<std::string> command{worker_program("replies")};
    if (!behaviour.empty()) command.push_back(behaviour);
    return "[socket.web]\nlisten = \"127.0.0.1:" + std::to_string(port) + "\"\n" +
           worker_table("api", command,
                        "instances = 2\nsockets = [\"web\"]\nmin_uptime = \"150ms\"\n" + more);
}

using Pids = std::vector<pid_t>;

Pids pids_of(const Daemon& daemon) {
    return {daemon.pid_of("api.0"), daemon.pid_of("api.1")};
}

/// Rows of `status` whose "reload" is that word, and whose state is that one ("": any).
int count_rows(const Daemon& daemon, const std::string& word, const std::string& state = "") {
    int count = 0;
    const Json status = daemon.status();
    for (const Json& row : status.at("workers")) {
        const bool is_that = row.at("reload").is_string() && row.at("reload") == word;
        count += is_that && (state.empty() || row.at("state") == state) ? 1 : 0;
    }
    return count;
}

}  // namespace

TEST_SUITE("e2e") {
    TEST_CASE("reload: instances that share a socket are replaced, and no request fails") {
        const Daemon daemon;
        const int port = free_ports(1);
        REQUIRE(daemon.start(site(port)).code == 0);
        Load load(port);
        std::set<pid_t> seen;
        for (int round = 0; round < 3; ++round) {
            for (const pid_t pid : pids_of(daemon)) CHECK(seen.insert(pid).second);
            const Outcome outcome = daemon.ctl({"reload", "api"});
            REQUIRE_MESSAGE(outcome.code == 0, outcome.err);
            CHECK(outcome.err.find("requests may be lost") == std::string::npos);
        }
        for (const pid_t pid : pids_of(daemon)) CHECK(seen.insert(pid).second);
        const int before = load.answered();
        CHECK(wait_until([&] { return load.answered() > before + 10; }));
        load.end();
        CHECK(load.failed() == 0);
        CHECK(daemon.status().at("workers").size() == 2);
    }

    TEST_CASE("reload: stop-first says that requests may be lost, and they are") {
        const Daemon daemon;
        const int port = free_ports(1);
        const std::string table = worker_table(
            "api", {worker_program("replies")},
            "env = { PORT = \"" + std::to_string(port) + "\" }\nmin_uptime = \"150ms\"\n");
        REQUIRE(daemon.start(table).code == 0);
        Load load(port);
        const Outcome outcome = daemon.ctl({"reload", "api"});
        CHECK(outcome.code == 0);
        CHECK(outcome.err.find("requests may be lost") != std::string::npos);
        // A gap is a few milliseconds; one of many meets a request.
        for (int i = 0; i < 30 && load.failed() == 0; ++i) {
            CHECK(daemon.ctl({"reload", "api"}).code == 0);
        }
        load.end();
        CHECK(load.failed() > 0);
    }

    TEST_CASE("reload: a new version that fails is refused, and the old one serves all along") {
        struct Case {
            const char* behaviour;
            const char* said;
        };
        const Case cases[] = {{"dies", "boom"}, {"ends", "no more"}, {"mute", "start_timeout"}};
        const std::string more = "ready = \"notify\"\nstart_timeout = \"600ms\"\n";
        for (const Case& item : cases) {
            CAPTURE(item.behaviour);
            const Daemon daemon;
            const int port = free_ports(1);
            REQUIRE(daemon.start(site(port, "", more)).code == 0);
            const Pids before = pids_of(daemon);
            Load load(port);
            const std::string file = daemon.write("new.toml", site(port, item.behaviour, more));
            const Outcome outcome = daemon.ctl({"apply", file});
            CHECK(outcome.code == 1);
            CHECK_MESSAGE(outcome.err.find(item.said) != std::string::npos, outcome.err);
            CHECK(outcome.err.find("2 of them still serving") != std::string::npos);
            CHECK(pids_of(daemon) == before);
            CHECK(daemon.worker("api.0").at("outdated") == true);
            // It is not what the old one comes back as.
            REQUIRE(::kill(before[1], SIGKILL) == 0);
            CHECK(wait_until([&] {
                return daemon.state_of("api.1") == "running" && daemon.pid_of("api.1") != before[1];
            }));
            CHECK(ask(port) != 0);
            CHECK(daemon.ctl({"reload", "api"}).code == 1);
            CHECK(daemon.pid_of("api.0") == before[0]);
            load.end();
            // The kill above may have cost the connection that its victim had.
            CHECK(load.failed() <= 1);
        }
    }

    TEST_CASE("reload: with stop-first a new version that fails takes the old one's place") {
        const Daemon daemon;
        const int port = free_ports(1);
        const std::string more = "reload = { mode = \"stop-first\" }\n";
        REQUIRE(daemon.start(site(port, "", more)).code == 0);
        const Pids before = pids_of(daemon);
        const std::string file = daemon.write("new.toml", site(port, "dies", more));
        CHECK(daemon.ctl({"apply", file}).code == 1);
        CHECK_FALSE(is_alive(before[0]));
        CHECK(is_alive(before[1]));
    }

    TEST_CASE("reload: goes on where it was when the supervisor is killed, and no request fails") {
        using Reached = std::function<bool(const Daemon&)>;
        const std::vector<Reached> points = {
            [](const Daemon& daemon) { return count_rows(daemon, "new") > 0; },
            [](const Daemon& daemon) { return count_rows(daemon, "new", "running") > 0; },
            [](const Daemon& daemon) { return count_rows(daemon, "old", "stopping") > 0; },
            [](const Daemon& daemon) {
                return count_rows(daemon, "queued") == 0 && count_rows(daemon, "new") > 0;
            },
        };
        const Daemon daemon;
        const int port = free_ports(1);
        REQUIRE(daemon.start(site(port)).code == 0);
        Load load(port);
        for (const Reached& reached : points) {
            const Pids before = pids_of(daemon);
            Process reload = daemon.start_ctl({"reload", "api"});
            // A point that passed too quickly is no failure: then the kill comes later.
            CHECK(wait_until([&] { return reached(daemon) || !reload.is_running(); }));
            kill_supervisor(daemon);
            const Outcome outcome = reload.wait();
            CHECK_MESSAGE(outcome.code == 0, outcome.err);
            const Pids after = pids_of(daemon);
            CHECK(after[0] != before[0]);
            CHECK(after[1] != before[1]);
            for (const pid_t pid : before) CHECK(wait_until([&] { return !is_alive(pid); }));
            CHECK(daemon.status().at("workers").size() == 2);
        }
        load.end();
        CHECK(load.failed() == 0);
        CHECK(load.answered() > 0);
    }

    /// How many instances were replaced at the same time, at most, as the events tell it.
    int most_at_once(const Daemon& daemon) {
        int most = 0;
        int now = 0;
        for (const Json& event : daemon.events()) {
            if (event.at("type") != "reload") continue;
            now += event.at("what") == "overlapping" ? 1 : 0;
            now -= event.at("what") == "done" ? 1 : 0;
            most = std::max(most, now);
        }
        return most;
    }

    TEST_CASE("reload: batch and surge say how many are replaced at a time") {
        const Daemon daemon;
        const int port = free_ports(1);
        const std::string more =
            "ready = \"notify\"\nreload = { mode = \"overlap\", batch = 3, surge = 2 }\n";
        std::string config = site(port, "", more);
        config.replace(config.find("instances = 2"), 13, "instances = 5");
        REQUIRE(daemon.start(config).code == 0);
        Load load(port);
        Process reload = daemon.start_ctl({"reload", "api"});
        // Looked at from outside, as often as the machine lets us: never more, never fewer.
        int most = 0;
        int fewest_ready = 5;
        while (reload.is_running()) {
            int beyond = -5;
            int ready = 0;
            const Json status = daemon.status();
            for (const Json& row : status.at("workers")) {
                ++beyond;
                ready += row.at("ready").get<bool>() ? 1 : 0;
            }
            most = std::max(most, beyond);
            fewest_ready = std::min(fewest_ready, ready);
        }
        CHECK(reload.wait().code == 0);
        CHECK(most <= 2);
        CHECK(fewest_ready == 5);
        CHECK(most_at_once(daemon) == 2);
        load.end();
        CHECK(load.failed() == 0);
    }

    TEST_CASE("reload: a second one comes after the first, a forced one takes its place") {
        const Daemon daemon;
        const int port = free_ports(1);
        const std::string more = "ready = \"notify\"\nstart_timeout = \"5s\"\n";
        REQUIRE(daemon.start(site(port, "", more)).code == 0);
        const Pids before = pids_of(daemon);
        const std::string mute = daemon.write("mute.toml", site(port, "mute", more));
        Process first = daemon.start_ctl({"apply", mute});
        REQUIRE(wait_until([&] { return count_rows(daemon, "new", "running") == 1; }));
        const auto new_pid = [&] {
            const Json status = daemon.status();
            for (const Json& row : status.at("workers")) {
                if (row.at("reload") == "new" && row.at("pid").is_number()) {
                    return row.at("pid").get<pid_t>();
                }
            }
            return pid_t{0};
        };
        const pid_t waiting = new_pid();
        // It waits: nothing of the first one is touched.
        CHECK(daemon.ctl({"reload", "--timeout", "300ms", "api.0"}).code == 1);
        CHECK(new_pid() == waiting);
        CHECK(first.is_running());
        Process forced = daemon.start_ctl({"reload", "--force", "api"});
        CHECK(wait_until([&] { return new_pid() != waiting && new_pid() != 0; }));
        CHECK(wait_until([&] { return !is_alive(waiting); }));
        CHECK(pids_of(daemon) == before);
        // What is good again ends all of it.
        const std::string good = daemon.write("good.toml", site(port, "", more));
        REQUIRE(daemon.ctl({"apply", good}).code == 0);
        CHECK(pids_of(daemon) == before);
        forced.wait();
        first.wait();
    }

    TEST_CASE("reload: a program that reloads itself gets its signal and keeps its run") {
        const Daemon daemon;
        const int port = free_ports(1);
        const std::string more = "reload = { signal = \"SIGHUP\" }\n";
        REQUIRE(daemon.start(site(port, "", more)).code == 0);
        const Pids before = pids_of(daemon);
        CHECK(daemon.ctl({"reload", "api"}).code == 0);
        CHECK(pids_of(daemon) == before);
        CHECK(wait_until([&] { return daemon.out_log("api.0") == "reloaded\n"; }));
        CHECK(wait_until([&] { return daemon.out_log("api.1") == "reloaded\n"; }));

        const std::string file = daemon.write("new.toml", site(port, "hup-dies", more));
        REQUIRE(daemon.ctl({"apply", file}).code == 0);
        const pid_t untouched = daemon.pid_of("api.1");
        CHECK(daemon.ctl({"reload", "api"}).code == 1);
        CHECK(daemon.pid_of("api.1") == untouched);
    }

    TEST_CASE("reload: on SIGHUP the daemon reloads what changed in its file, and nothing else") {
        const Daemon daemon;
        const int port = free_ports(1);
        const std::string file = daemon.write("site.toml", site(port));
        REQUIRE(daemon.ctl({"start", file}).code == 0);
        const Pids before = pids_of(daemon);
        Load load(port);
        daemon.write("site.toml", site(port, "", "env = { VERSION = \"2\" }\n"));
        REQUIRE(::kill(daemon.keeper_pid(), SIGHUP) == 0);
        CHECK(wait_until([&] {
            const Pids now = pids_of(daemon);
            return now[0] != before[0] && now[1] != before[1] && now[0] != 0 && now[1] != 0 &&
                   daemon.status().at("workers").size() == 2;
        }));
        load.end();
        CHECK(load.failed() == 0);
    }
}

}  // namespace cluster::test
