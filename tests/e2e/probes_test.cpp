#include <doctest/doctest.h>
#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <string>
#include <vector>

#include "support/daemon.hpp"
#include "support/keys.hpp"
#include "support/ports.hpp"

namespace cluster::test {
namespace {

/// Three failures make a hang well within a second.
const std::string kOften = "period = \"50ms\", timeout = \"100ms\"";

std::string health_table(const Daemon& daemon, const std::string& address,
                         const std::string& keys) {
    return worker_table("w", {worker_program("health"), address, daemon.dir() / "health"},
                        kAtOnce + keys);
}

bool is_ready(const Daemon& daemon) {
    return daemon.worker("w.0").at("ready").get<bool>();
}

std::string why_not_ready(const Daemon& daemon) {
    const Json waits = daemon.worker("w.0").value("waits_for", Json());
    return waits.is_string() ? waits.get<std::string>() : "";
}

void start_in_background(const Daemon& daemon, const std::string& table) {
    REQUIRE(daemon.ctl({"start", "--no-wait", daemon.write("c.toml", table)}).code == 0);
    REQUIRE(daemon.wait_for_state("w.0", "running"));
}

int restarts(const Daemon& daemon) {
    return daemon.worker("w.0").at("restarts").get<int>();
}

}  // namespace

TEST_SUITE("e2e") {
    TEST_CASE("probes/http: ready when the status is good, over a killed supervisor") {
        const Daemon daemon;
        const std::string port = std::to_string(free_ports(1));
        const std::string url = "http://localhost:" + port + "/health?deep=1";
        daemon.write("health", "HTTP/1.1 503 Starting\n\n");
        start_in_background(
            daemon, health_table(daemon, port, "ready = { http = \"" + url + "\", " + kOften + " }"));
        CHECK(wait_until([&] {
            return why_not_ready(daemon) == "it to be ready: " + url + " answers 503";
        }));
        CHECK_FALSE(is_ready(daemon));
        kill_supervisor(daemon);
        CHECK(wait_until([&] {
            return why_not_ready(daemon) == "it to be ready: " + url + " answers 503";
        }));
        daemon.write("health", "HTTP/1.1 103 Early Hints\nLink: <a>\n\nHTTP/1.1 204 Fine\n\n");
        CHECK(wait_until([&] { return is_ready(daemon); }));
        CHECK(wait_until([&] {
            return daemon.out_log("w.0").find("GET /health?deep=1 HTTP/1.1") !=
                   std::string::npos;
        }));
    }

    TEST_CASE("probes/http: each way to answer badly has its words") {
        const Daemon daemon;
        const std::string port = std::to_string(free_ports(1));
        const std::string url = "http://127.0.0.1:" + port + "/";
        daemon.write("health", "hang");
        start_in_background(daemon, health_table(daemon, port,
                                                 "ready = { http = \"" + url +
                                                     "\", status = 201, " + kOften + " }"));
        struct {
            const char* file;
            std::string failure;
        } const cases[] = {
            {"hang", "no answer from " + url + " within 100ms"},
            {"HTTP/1.1 200 OK\n\n", url + " answers 200"},
            {"SSH-2.0-OpenSSH\n", url + " does not answer in HTTP"},
            {"HTTP/1.1 1", url + " hangs up without an answer"},
        };
        for (const auto& item : cases) {
            daemon.write("health", item.file);
            CAPTURE(item.failure);
            CHECK(wait_until(
                [&] { return why_not_ready(daemon) == "it to be ready: " + item.failure; }));
            CHECK_FALSE(is_ready(daemon));
        }
        daemon.write("health", "HTTP/1.1 201 Created\n\n");
        CHECK(wait_until([&] { return is_ready(daemon); }));
    }

    TEST_CASE("probes/http: never ready is a failed start that says why") {
        const Daemon daemon;
        const std::string port = std::to_string(free_ports(1));
        daemon.write("health", "HTTP/1.1 500 Broken\n\n");
        const Outcome outcome = daemon.start(
            health_table(daemon, port,
                         "start_timeout = \"400ms\"\nrestart = \"never\"\nready = { http = "
                         "\"http://127.0.0.1:" +
                             port + "/\" }"));
        CHECK(outcome.code == 1);
        CHECK(outcome.err.find("not ready within start_timeout (400ms)") != std::string::npos);
    }

    TEST_CASE("probes/unix: ready when somebody accepts there") {
        const Daemon daemon;
        const std::string path = daemon.dir() / "app.sock";
        start_in_background(
            daemon, worker_table("w", {worker_program("idle")},
                                 kAtOnce + "ready = { unix = \"app.sock\", " + kOften + " }"));
        CHECK(wait_until([&] {
            return why_not_ready(daemon) == "it to be ready: " + path + ": No such file or directory";
        }));
        const Process server({{worker_program("health"), path, daemon.dir() / "health"}, {}, {}});
        CHECK(wait_until([&] { return is_ready(daemon); }));
    }

    TEST_CASE("probes/notification_fd: a line says it, the end of the pipe does not") {
        const Daemon daemon;
        const std::string go = daemon.dir() / "go";
        const auto table = [&](const std::vector<std::string>& steps) {
            std::vector<std::string> command{worker_program("speaks")};
            command.insert(command.end(), steps.begin(), steps.end());
            return worker_table("w", command,
                                kAtOnce + "restart = \"never\"\nready = { notification_fd = 4 }\n");
        };
        start_in_background(
            daemon, table({"write=4:almost", "until=" + go, "write=4:\\nand more", "write=4:!\\n"}));
        kill_supervisor(daemon);
        CHECK_FALSE(is_ready(daemon));
        daemon.write("go", "");
        CHECK(wait_until([&] { return is_ready(daemon); }));
        const pid_t pid = daemon.pid_of("w.0");
        kill_supervisor(daemon);
        CHECK(is_ready(daemon));
        CHECK(daemon.pid_of("w.0") == pid);
        REQUIRE(daemon.ctl({"delete", "w"}).code == 0);
        start_in_background(daemon, table({"write=4:no line", "close=4"}));
        CHECK(wait_until([&] {
            return why_not_ready(daemon) ==
                   "it to be ready: it has closed its notification descriptor without a line";
        }));
        CHECK_FALSE(is_ready(daemon));
    }

    TEST_CASE("probes/notification_fd: what is written while no supervisor lives is not lost") {
        const Daemon daemon;
        for (int round = 0; round < 5; ++round) {
            const std::string name = "go" + std::to_string(round);
            const std::string table = worker_table(
                "w", {worker_program("speaks"), "until=" + (daemon.dir() / name), "write=3:\\n"},
                kAtOnce + "ready = { notification_fd = 3 }\n");
            start_in_background(daemon, table);
            const pid_t supervisor = daemon.supervisor_pid();
            daemon.write(name, "");
            pause(milliseconds{round});
            REQUIRE(::kill(supervisor, SIGKILL) == 0);
            REQUIRE(wait_until([&] { return daemon.is_answering(); }));
            CHECK(wait_until([&] { return is_ready(daemon); }));
            REQUIRE(daemon.ctl({"delete", "w"}).code == 0);
        }
    }

    TEST_CASE("probes/liveness: a server that hangs is restarted and says why") {
        const Daemon daemon;
        const std::string port = std::to_string(free_ports(1));
        const std::string url = "http://127.0.0.1:" + port + "/";
        daemon.write("health", "HTTP/1.1 200 OK\n\n");
        const std::string table = health_table(
            daemon, port, "liveness = { http = \"" + url + "\", " + kOften + " }");
        REQUIRE(daemon.start(table).code == 0);
        const pid_t pid = daemon.pid_of("w.0");
        // Many good answers are no reason for anything.
        REQUIRE(wait_until([&] {
            const std::string log = daemon.out_log("w.0");
            return std::count(log.begin(), log.end(), '\n') >= 10;
        }));
        CHECK(daemon.pid_of("w.0") == pid);
        kill_supervisor(daemon);
        CHECK(daemon.pid_of("w.0") == pid);
        daemon.write("health", "hang");
        REQUIRE(wait_until([&] { return restarts(daemon) >= 1; }));
        daemon.write("health", "HTTP/1.1 200 OK\n\n");
        const Json exit = daemon.worker("w.0").at("last_exit");
        CHECK(exit.at("reason") == "liveness");
        CHECK(exit.at("signal") == "SIGTERM");
        CHECK(daemon.ctl({"describe", "w.0"}).out.find("its liveness probe failed") !=
              std::string::npos);
        CHECK(text_of(daemon.dir() / "log/clusterd.log").find("its liveness probe failed too often in a row: no answer "
                                       "from " +
                                       url + " within 100ms") != std::string::npos);
    }

    TEST_CASE("probes/liveness: of a UNIX socket whose backlog nobody empties") {
        const Daemon daemon;
        const std::string path = daemon.dir() / "app.sock";
        daemon.write("health", "fine");
        REQUIRE(daemon
                    .start(health_table(daemon, path,
                                        "liveness = { unix = \"" + path + "\", " + kOften + " }"))
                    .code == 0);
        daemon.write("health", "deaf");
        CHECK(wait_until([&] { return restarts(daemon) >= 1; }));
        CHECK(daemon.worker("w.0").at("last_exit").at("reason") == "liveness");
    }

    TEST_CASE("probes/liveness: a command that hangs is ended, one by one, and ends the worker") {
        const Daemon daemon;
        const std::string table = worker_table(
            "w", {worker_program("idle")},
            kAtOnce +
                "liveness = { command = [\"/bin/sh\", \"-c\", \"test ! -e hang || { echo x >> tries; "
                "exec tail -f /dev/null; }\"], failure_threshold = 3, " +
                kOften + " }");
        REQUIRE(daemon.start(table).code == 0);
        const pid_t pid = daemon.pid_of("w.0");
        pause(milliseconds{300});
        CHECK(daemon.pid_of("w.0") == pid);
        daemon.write("hang", "");
        std::size_t most = 0;
        REQUIRE(wait_until([&] {
            most = std::max(most, descendants().size());
            return restarts(daemon) >= 1;
        }));
        // Keeper, supervisor, the worker and its successor, this clusterctl, and one probe at a
        // time: the next one begins when its predecessor has been sent SIGKILL.
        CHECK(most <= 7);
        CHECK(text_of(daemon.dir() / "tries").size() >= 6);
        CHECK(daemon.worker("w.0").at("last_exit").at("reason") == "liveness");
        CHECK(daemon.ctl({"shutdown"}).code == 0);
        CHECK(wait_until([&] { return descendants().empty(); }));
    }

    TEST_CASE("probes/liveness: a hundred probes that hang cost the daemon nothing") {
        const Daemon daemon;
        const std::string port = std::to_string(free_ports(1));
        daemon.write("health", "hang");
        REQUIRE(daemon.start(health_table(daemon, port, "")).code == 0);
        const std::string many = worker_table(
            "many", {worker_program("idle")},
            kAtOnce + "instances = 100\nliveness = { http = \"http://127.0.0.1:" + port +
                "/\", period = \"10ms\", timeout = \"2s\", failure_threshold = 1000 }\n");
        REQUIRE(daemon.ctl({"start", daemon.write("many.toml", many)}).code == 0);
        const pid_t supervisor = daemon.supervisor_pid();
        for (int i = 0; i < 20; ++i) {
            const Outcome outcome = daemon.ctl({"status", "w"});
            CHECK(outcome.code == 0);
            CHECK(outcome.took < milliseconds{500} * kPatience);
        }
        CHECK(wait_until([&] {
            return daemon.ctl({"describe", "many.99"}).out.find("last probe failed: no answer from") !=
                   std::string::npos;
        }));
        CHECK(count_descriptors(supervisor) < 1500);
        CHECK(daemon.supervisor_pid() == supervisor);
    }
}

}  // namespace cluster::test
