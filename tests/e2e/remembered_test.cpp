#include <doctest/doctest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "support/daemon.hpp"
#include "support/keys.hpp"

namespace cluster::test {
namespace {

std::string idle(const std::string& name, const std::string& more = "") {
    return worker_table(name, {worker_program("idle")}, kQuick + more);
}

/// "a.0 running, b.0 stopped"
std::string states(const Daemon& daemon) {
    std::string text;
    const Json status = daemon.status();
    for (const Json& worker : status.at("workers")) {
        text += (text.empty() ? "" : ", ") + worker.at("id").get<std::string>() + " " +
                worker.at("state").get<std::string>();
    }
    return text;
}

/// Kills the daemon and every worker at once, as a power cut does.
void pull_the_plug() {
    kill_descendants();
    REQUIRE(wait_until([] { return descendants().empty(); }));
}

}  // namespace

TEST_SUITE("e2e") {
    TEST_CASE("remembered/shutdown: start without arguments brings back what was wanted") {
        const Daemon daemon;
        REQUIRE(daemon.start(idle("a", "instances = 2") + idle("b")).code == 0);
        REQUIRE(daemon
                    .ctl({"start", "--name", "adhoc", "-e", "X=1", "--min-uptime", "50ms", "--",
                          worker_program("idle")})
                    .code == 0);
        REQUIRE(daemon.ctl({"stop", "b"}).code == 0);
        REQUIRE(daemon.ctl({"scale", "a", "3"}).code == 0);
        REQUIRE(daemon.ctl({"shutdown"}).code == 0);

        const Outcome outcome = daemon.ctl({"start"});
        INFO(outcome.err);
        CHECK(outcome.code == 0);
        CHECK(outcome.err.find("brought back from before: 4 instances") != std::string::npos);
        CHECK(states(daemon) ==
              "a.0 running, a.1 running, a.2 running, b.0 stopped, adhoc.0 running");
        CHECK(daemon.ctl({"env", "--running", "adhoc"}).out.find("\nX=1\n") != std::string::npos);
    }

    TEST_CASE("remembered/everything killed: it comes back, whatever was done last") {
        const Daemon daemon;
        REQUIRE(daemon.start(idle("a") + idle("b")).code == 0);
        REQUIRE(daemon.ctl({"delete", "b"}).code == 0);
        REQUIRE(
            daemon
                .ctl({"start", "--name", "c", "--min-uptime", "50ms", "--", worker_program("idle")})
                .code == 0);
        pull_the_plug();
        REQUIRE(daemon.ctl({"start"}).code == 0);
        CHECK(states(daemon) == "a.0 running, c.0 running");
        REQUIRE(daemon.ctl({"stop", "a"}).code == 0);
        pull_the_plug();
        REQUIRE(daemon.ctl({"start"}).code == 0);
        CHECK(states(daemon) == "a.0 stopped, c.0 running");
    }

    TEST_CASE("remembered/delete: what is forgotten does not come back") {
        const Daemon daemon;
        REQUIRE(daemon.start(idle("a") + idle("b")).code == 0);
        REQUIRE(daemon.ctl({"delete", "all"}).code == 0);
        REQUIRE(daemon.ctl({"shutdown"}).code == 0);
        const Outcome outcome = daemon.ctl({"start"});
        CHECK(outcome.code == 2);
        CHECK(outcome.err.find("nothing is remembered") != std::string::npos);
        CHECK(daemon.ctl({"status"}).code == 3);
    }

    TEST_CASE("remembered/daemon: its own table, its channels and its file come back too") {
        const Daemon daemon;
        const auto with_logs_in = [&](const std::string& directory, const std::string& more) {
            return "[daemon]\nlog_dir = \"" + (daemon.dir() / directory) +
                   "\"\nparallel_starts = 3\n" + more +
                   worker_table("a", {"/bin/sh", "-c", "echo here; exec sleep 1000"}, kQuick);
        };
        const auto text_in = [&](const std::string& directory) {
            return text_of((daemon.dir() / directory) + "/a.0.out.log");
        };
        const std::string file =
            daemon.write("site.toml", with_logs_in("first", "[channel]\nmax_line = \"8KiB\"\n"));
        REQUIRE(daemon.ctl({"start", file}).code == 0);
        const Json before = daemon.status().at("daemon");
        REQUIRE(before.at("log_dir") == daemon.dir() / "first");
        REQUIRE(daemon.ctl({"shutdown"}).code == 0);

        REQUIRE(daemon.ctl({"start"}).code == 0);
        const Json after = daemon.status().at("daemon");
        CHECK(after.at("log_dir") == before.at("log_dir"));
        CHECK(after.at("config") == before.at("config"));
        CHECK(text_in("first") == "here\nhere\n");

        // The same file is not refused, and neither is another table in it after a shutdown.
        CHECK(daemon.ctl({"start", file}).err.find("1 unchanged: a") != std::string::npos);
        daemon.write("site.toml", with_logs_in("second", ""));
        CHECK(daemon.ctl({"start", file}).err.find("[daemon] table differs") != std::string::npos);
        REQUIRE(daemon.ctl({"shutdown"}).code == 0);
        const Outcome moved = daemon.ctl({"start", file});
        INFO(moved.err);
        CHECK(moved.code == 0);
        CHECK(daemon.status().at("daemon").at("log_dir") == daemon.dir() / "second");
        REQUIRE(daemon.ctl({"restart", "a"}).code == 0);
        CHECK(text_in("second").find("here\n") != std::string::npos);
        pull_the_plug();
        REQUIRE(daemon.ctl({"start"}).code == 0);
        CHECK(daemon.status().at("daemon").at("log_dir") == daemon.dir() / "second");
    }

    TEST_CASE("remembered/cluster.toml: taken where nothing is remembered, left alone elsewhere") {
        const Daemon daemon;
        daemon.write("cluster.toml", idle("usual"));
        REQUIRE(daemon.ctl({"start"}).code == 0);
        CHECK(states(daemon) == "usual.0 running");
        daemon.write("cluster.toml", idle("usual") + idle("more"));
        const Outcome running = daemon.ctl({"start"});
        CHECK(running.code == 0);
        CHECK(running.err.find("./cluster.toml was not read") != std::string::npos);
        CHECK(states(daemon) == "usual.0 running");
        REQUIRE(daemon.ctl({"shutdown"}).code == 0);
        CHECK(daemon.ctl({"start"}).err.find("./cluster.toml was not read") != std::string::npos);
        CHECK(states(daemon) == "usual.0 running");
    }

    TEST_CASE("remembered/start FILE: its workers join those that come back") {
        const Daemon daemon;
        REQUIRE(daemon.start(idle("a") + idle("b")).code == 0);
        REQUIRE(daemon.ctl({"shutdown"}).code == 0);
        const Outcome outcome = daemon.ctl(
            {"start", daemon.write("more.toml", idle("c") + idle("b", "instances = 2"))});
        INFO(outcome.err);
        CHECK(outcome.code == 0);
        CHECK(outcome.err.find("brought back from before: 2 instances") != std::string::npos);
        CHECK(outcome.err.find("~ b: change in place\n    instances: 1 → 2\n") !=
              std::string::npos);
        CHECK(states(daemon) == "a.0 running, b.0 running, b.1 running, c.0 running");
    }

    TEST_CASE("remembered/running daemon: start without arguments tries again what gave up") {
        const Daemon daemon;
        const std::string flag = daemon.dir() / "flag";
        REQUIRE(daemon
                    .start(idle("good") +
                           worker_table("bad",
                                        {"/bin/sh", "-c", "test -e " + flag + " && exec sleep 100"},
                                        kQuick + "backoff = { initial = \"1ms\" }\n" +
                                            "restart_limit = { count = 1, then = \"fatal\" }"))
                    .code == 1);
        REQUIRE(daemon.wait_for_state("bad.0", "fatal"));
        daemon.write("flag", "");
        CHECK(daemon.ctl({"start"}).code == 0);
        CHECK(states(daemon) == "good.0 running, bad.0 running");
        CHECK(daemon.ctl({"start"}).err.find("everything that is wanted up is up") !=
              std::string::npos);
    }

    TEST_CASE("remembered/file that makes no sense: it is kept aside, and the daemon starts") {
        const Daemon daemon;
        REQUIRE(daemon.start(idle("a")).code == 0);
        REQUIRE(daemon.ctl({"shutdown"}).code == 0);
        const std::string path = daemon.dir() / "state/state.json";
        const std::string good = text_of(path);
        write_text(path, good.substr(0, good.size() / 2));
        REQUIRE(daemon.ctl({"start", daemon.write("b.toml", idle("b"))}).code == 0);
        CHECK(states(daemon) == "b.0 running");
        CHECK(text_of(path + ".bad") == good.substr(0, good.size() / 2));
        struct stat info {};
        REQUIRE(::stat(path.c_str(), &info) == 0);
        CHECK((info.st_mode & 0777) == 0600);
    }

    TEST_CASE("remembered/service manager: told when the daemon is ready, and when it stops") {
        Daemon daemon;
        const std::string path = daemon.dir() / "notify";
        sys::UniqueFd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
        REQUIRE(::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
        const timeval patience{20, 0};
        ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        const auto message = [&] {
            char buffer[4096];
            const ssize_t size = ::recv(socket.get(), buffer, sizeof buffer, 0);
            return size > 0 ? std::string(buffer, static_cast<std::size_t>(size)) : std::string();
        };
        daemon.env()["NOTIFY_SOCKET"] = path;
        const std::string config = daemon.write("c.toml", idle("a"));
        Process clusterd = daemon.start_clusterd({"--config", config});
        const std::string ready = message();
        CHECK(ready.find("READY=1\n") == 0);
        CHECK(ready.find("MAINPID=" + std::to_string(clusterd.pid()) + "\n") != std::string::npos);
        CHECK(daemon.is_answering());
        REQUIRE(daemon.wait_for_state("a.0", "running"));
        CHECK(daemon.ctl({"env", "--running", "a"}).out.find("NOTIFY_SOCKET") == std::string::npos);
        ::kill(clusterd.pid(), SIGHUP);
        CHECK(message().find("RELOADING=1\nMONOTONIC_USEC=") == 0);
        CHECK(message().find("READY=1\n") == 0);
        ::kill(clusterd.pid(), SIGTERM);
        CHECK(message().find("STOPPING=1\n") == 0);
        CHECK(clusterd.wait().code == 0);
    }
}

}  // namespace cluster::test
