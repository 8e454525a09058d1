#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <string>

#include "support/daemon.hpp"
#include "support/keys.hpp"

namespace cluster::test {
namespace {

std::vector<std::string> speaks(const std::vector<std::string>& steps) {
    std::vector<std::string> command{worker_program("speaks")};
    command.insert(command.end(), steps.begin(), steps.end());
    return command;
}

std::string status_text(const Daemon& daemon, const std::string& id) {
    const Json text = daemon.worker(id).value("status_text", Json());
    return text.is_string() ? text.get<std::string>() : "none";
}

bool is_ready(const Daemon& daemon, const std::string& id) {
    return daemon.worker(id).at("ready").get<bool>();
}

/// Says something to a notify socket as somebody who has no business there.
bool say_as_stranger(const std::string& path, const std::string& text) {
    const int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
    const bool is_sent = ::sendto(fd, text.data(), text.size(), 0,
                                  reinterpret_cast<sockaddr*>(&address), sizeof(address)) >= 0;
    ::close(fd);
    return is_sent;
}

/// A port that nobody listens at now.
int free_port() {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    REQUIRE(::bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0);
    REQUIRE(::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0);
    ::close(fd);
    return ntohs(address.sin_port);
}

/// A start in the background has come so far.
bool is_known(const Daemon& daemon, const std::string& id) {
    if (!daemon.is_answering()) return false;
    const Json status = daemon.status();
    for (const auto& worker : status.at("workers")) {
        if (worker.at("id") == id) return true;
    }
    return false;
}

}  // namespace

TEST_SUITE("e2e") {
    TEST_CASE("ready/notify: up with READY=1 and not before, over a killed supervisor") {
        const Daemon daemon;
        const std::string go = daemon.dir() / "go";
        const std::string table = worker_table(
            "w", speaks({"say=STATUS=warming up", "until=" + go, "say=READY=1\\nSTATUS=serving"}),
            kNotify);
        Process start = daemon.start_ctl({"start", daemon.write("c.toml", table)});
        REQUIRE(wait_until(
            [&] { return is_known(daemon, "w.0") && status_text(daemon, "w.0") == "warming up"; }));
        CHECK_FALSE(is_ready(daemon, "w.0"));
        CHECK(start.is_running());
        struct stat info {};
        REQUIRE(::stat((daemon.dir() / "run/notify/w.0.sock").c_str(), &info) == 0);
        CHECK((info.st_mode & 07777) == 0600);
        const pid_t pid = daemon.pid_of("w.0");
        kill_supervisor(daemon);
        CHECK_FALSE(is_ready(daemon, "w.0"));
        daemon.write("go", "");
        CHECK(start.wait().code == 0);
        CHECK(is_ready(daemon, "w.0"));
        CHECK(wait_until([&] { return status_text(daemon, "w.0") == "serving"; }));
        CHECK(daemon.pid_of("w.0") == pid);
    }

    TEST_CASE("ready/notify: what is said while no supervisor lives, or one dies, is not lost") {
        const Daemon daemon;
        for (int round = 0; round < 5; ++round) {
            const std::string name = "w" + std::to_string(round);
            const std::string go = daemon.dir() / ("go" + std::to_string(round));
            const std::string table =
                worker_table(name, speaks({"until=" + go, "say=READY=1"}), kNotify);
            const std::string file = daemon.write(name + ".toml", table);
            REQUIRE(daemon.ctl({"start", "--no-wait", file}).code == 0);
            REQUIRE(daemon.wait_for_state(name + ".0", "running"));
            const pid_t supervisor = daemon.supervisor_pid();
            daemon.write("go" + std::to_string(round), "");
            pause(milliseconds{round});
            REQUIRE(::kill(supervisor, SIGKILL) == 0);
            REQUIRE(wait_until([&] { return daemon.is_answering(); }));
            CHECK(wait_until([&] { return is_ready(daemon, name + ".0"); }));
        }
    }

    TEST_CASE("ready/notify: the whole run may speak, and nobody else") {
        const Daemon daemon;
        REQUIRE(daemon.start(worker_table("child", speaks({"child=READY=1"}), kNotify)).code == 0);
        REQUIRE(daemon
                    .ctl({"start", daemon.write("s.toml",
                                                worker_table("session", speaks({"session=READY=1"}),
                                                             kNotify))})
                    .code == 0);
        const std::string silent = worker_table("silent", speaks({}), kNotify);
        REQUIRE(daemon.ctl({"start", "--no-wait", daemon.write("q.toml", silent)}).code == 0);
        REQUIRE(daemon.wait_for_state("silent.0", "running"));
        const std::string socket = daemon.dir() / "run/notify/silent.0.sock";
        REQUIRE(say_as_stranger(socket, "READY=1\nSTATUS=hello\nMAINPID=1"));
        REQUIRE(say_as_stranger(socket, std::string(60000, 'x')));
        // Answers come in order: whatever was said is read by the time this one is given.
        CHECK(status_text(daemon, "silent.0") == "none");
        CHECK_FALSE(is_ready(daemon, "silent.0"));
        CHECK(daemon.ctl({"describe", "silent.0"}).out.find("2 datagrams refused") !=
              std::string::npos);
        CHECK(daemon.ctl({"stop", "all"}).code == 0);
        CHECK(::access(socket.c_str(), F_OK) != 0);
    }

    TEST_CASE("ready/notify: a worker of another user has a socket of its own") {
        if (!is_root()) return skip("needs root");
        const Daemon daemon;
        // The test's directory is for its owner only; the user has to get to program and socket.
        REQUIRE(::chmod(daemon.dir().path().c_str(), 0711) == 0);
        const std::string program = daemon.copy_in(worker_program("speaks"));
        REQUIRE(daemon
                    .start(worker_table("w", {program, "child=READY=1"},
                                        kNotify + "user = \"nobody\"\ncwd = \"/\""))
                    .code == 0);
        struct stat info {};
        REQUIRE(::stat((daemon.dir() / "run/notify/w.0.sock").c_str(), &info) == 0);
        CHECK(info.st_uid != 0);
        CHECK((info.st_mode & 07777) == 0600);
    }

    TEST_CASE("ready/notify: systemd-notify from a shell script") {
        if (!find_program("systemd-notify")) return skip("no systemd-notify here");
        const Daemon daemon;
        const std::string script =
            "systemd-notify --ready --status='from a shell' && exec tail -f /dev/null";
        const Outcome outcome = daemon.start(worker_table("w", {"/bin/sh", "-c", script}, kNotify));
        CHECK(outcome.code == 0);
        CHECK(status_text(daemon, "w.0") == "from a shell");
    }

    TEST_CASE("ready/timeout: is a failure that says so, and more time is given to who asks") {
        const Daemon daemon;
        const std::string slow = "start_timeout = \"300ms\"\nrestart = \"never\"\n";
        const Outcome outcome = daemon.start(worker_table("w", speaks({}), kNotify + slow));
        CHECK(outcome.code == 1);
        CHECK(outcome.err.find("not ready within start_timeout (300ms)") != std::string::npos);
        CHECK(daemon.wait_for_state("w.0", "exited"));
        CHECK(daemon.worker("w.0").at("last_exit").at("reason") == "start_timeout");
        const std::string patient = worker_table(
            "p", speaks({"say=EXTEND_TIMEOUT_USEC=20000000", "after=700", "say=READY=1"}),
            kNotify + slow);
        CHECK(daemon.ctl({"start", daemon.write("p.toml", patient)}).code == 0);
    }

    TEST_CASE("ready/stopping: who announces its end has stop_timeout for it") {
        const Daemon daemon;
        const std::string go = daemon.dir() / "go";
        REQUIRE(
            daemon
                .start(worker_table("w", speaks({"say=READY=1", "until=" + go, "say=STOPPING=1"}),
                                    kNotify + "stop_timeout = \"300ms\"\nrestart = \"never\""))
                .code == 0);
        daemon.write("go", "");
        CHECK(daemon.wait_for_state("w.0", "exited"));
        CHECK(daemon.worker("w.0").at("last_exit").at("reason") == "stopped");
    }

    TEST_CASE("ready/watchdog: who falls silent is ended with SIGABRT, restarted, and says why") {
        const Daemon daemon;
        const std::string fed =
            worker_table("w", speaks({"needs=WATCHDOG_USEC", "needs=pid", "alive=10"}),
                         kAtOnce + "watchdog = \"600ms\"\n");
        const std::string steady = worker_table("steady", speaks({"say=READY=1", "alive=100000"}),
                                                kNotify + "watchdog = \"600ms\"\n");
        const auto begun = std::chrono::steady_clock::now();
        REQUIRE(daemon.start(fed + steady).code == 0);
        const pid_t pid = daemon.pid_of("steady.0");
        REQUIRE(wait_until([&] { return daemon.worker("w.0").at("restarts").get<int>() >= 1; }));
        CHECK(std::chrono::steady_clock::now() - begun >= milliseconds{1400});
        const Json exit = daemon.worker("w.0").at("last_exit");
        CHECK(exit.at("reason") == "watchdog");
        CHECK(exit.at("signal") == "SIGABRT");
        CHECK(daemon.ctl({"describe", "w.0"}).out.find("its watchdog ran out") !=
              std::string::npos);
        CHECK(daemon.ctl({"events", "--json"}).out.find("\"reason\":\"watchdog\"") !=
              std::string::npos);
        CHECK(daemon.pid_of("steady.0") == pid);
    }

    TEST_CASE(
        "ready/watchdog: a run may fire it, and ask for another interval, over a killed "
        "supervisor") {
        const Daemon daemon;
        const std::string go = daemon.dir() / "go";
        const std::string table =
            worker_table("w",
                         speaks({"say=READY=1\\nWATCHDOG_USEC=3600000000", "until=" + go,
                                 "say=WATCHDOG=trigger"}),
                         kNotify + "watchdog = \"300ms\"\nrestart = \"never\"");
        REQUIRE(daemon.start(table).code == 0);
        const pid_t pid = daemon.pid_of("w.0");
        kill_supervisor(daemon);
        pause(milliseconds{700});
        CHECK(daemon.pid_of("w.0") == pid);
        daemon.write("go", "");
        REQUIRE(daemon.wait_for_state("w.0", "exited"));
        CHECK(daemon.worker("w.0").at("last_exit").at("reason") == "watchdog");
    }

    TEST_CASE("ready/flood: a worker that shouts costs the others nothing") {
        const Daemon daemon;
        const std::string flood =
            worker_table("loud", speaks({"say=READY=1", "flood=100000000"}), kNotify);
        REQUIRE(daemon.start(flood).code == 0);
        REQUIRE(wait_until([&] { return status_text(daemon, "loud.0") != "none"; }));
        for (int i = 0; i < 10; ++i) {
            const Outcome outcome = daemon.ctl({"status"});
            CHECK(outcome.code == 0);
            CHECK(outcome.took < milliseconds{1000} * kPatience);
        }
        CHECK(daemon.ctl({"stop", "loud"}).code == 0);
    }

    TEST_CASE("ready/tcp: up when somebody listens, over a killed supervisor") {
        const Daemon daemon;
        const std::string go = daemon.dir() / "go";
        const std::string port = std::to_string(free_port());
        const std::string table = worker_table(
            "w", speaks({"until=" + go, "listen=" + port}),
            kAtOnce + "ready = { tcp = \"localhost:" + port + "\", period = \"50ms\" }");
        Process start = daemon.start_ctl({"start", daemon.write("c.toml", table)});
        REQUIRE(wait_until([&] { return is_known(daemon, "w.0"); }));
        REQUIRE(daemon.wait_for_state("w.0", "running"));
        kill_supervisor(daemon);
        CHECK_FALSE(is_ready(daemon, "w.0"));
        CHECK(wait_until([&] {
            const Json waits = daemon.worker("w.0").value("waits_for", Json());
            return waits == "it to be ready: nobody answers at localhost:" + port;
        }));
        CHECK(start.is_running());
        daemon.write("go", "");
        CHECK(start.wait().code == 0);
        CHECK(is_ready(daemon, "w.0"));
    }

    TEST_CASE("ready/command: up when it ends with 0, in the worker's environment") {
        const Daemon daemon;
        const std::string go = daemon.dir() / "go";
        const std::string probe = "test \\\"$CLUSTER_INSTANCE$MINE\\\" = 1yes && test -e go";
        const std::string table = worker_table(
            "w", {worker_program("idle")},
            kAtOnce +
                "instances = 2\nenv = { MINE = \"yes\" }\nready = { command = [\"/bin/sh\", "
                "\"-c\", \"" +
                probe + "\"], period = \"50ms\" }");
        REQUIRE(daemon.ctl({"start", "--no-wait", daemon.write("c.toml", table)}).code == 0);
        REQUIRE(daemon.wait_for_state("w.1", "running"));
        kill_supervisor(daemon);
        CHECK_FALSE(is_ready(daemon, "w.1"));
        daemon.write("go", "");
        CHECK(wait_until([&] { return is_ready(daemon, "w.1"); }));
        CHECK_FALSE(is_ready(daemon, "w.0"));
    }

    TEST_CASE("ready/command: one that hangs is ended, and no shutdown waits for it") {
        const Daemon daemon;
        const std::string table = worker_table(
            "w", {worker_program("idle")},
            kAtOnce +
                "ready = { command = [\"/bin/sh\", \"-c\", \"echo x >> tries; exec tail -f "
                "/dev/null\"], timeout = \"50ms\", period = \"50ms\" }");
        REQUIRE(daemon.ctl({"start", "--no-wait", daemon.write("c.toml", table)}).code == 0);
        REQUIRE(wait_until([&] { return text_of(daemon.dir() / "tries").size() >= 6; }));
        kill_supervisor(daemon);
        const std::size_t before = text_of(daemon.dir() / "tries").size();
        REQUIRE(wait_until([&] { return text_of(daemon.dir() / "tries").size() > before; }));
        CHECK(daemon.ctl({"shutdown"}).code == 0);
        CHECK(wait_until([&] { return descendants().empty(); }));
    }

    TEST_CASE("ready/memory: a tree above max_memory is restarted and says why") {
        const Daemon daemon;
        const std::string limit = kAtOnce + "max_memory = \"64MiB\"\n";
        REQUIRE(daemon
                    .start(worker_table("alone", speaks({"hold=100"}), limit) +
                           worker_table("tree", speaks({"fork=40", "fork=40"}), limit) +
                           worker_table("small", speaks({"fork=10", "fork=10"}), limit))
                    .code == 0);
        const auto has_restarted = [&](const std::string& id) {
            return daemon.worker(id).at("restarts").get<int>() >= 1;
        };
        CHECK(wait_until([&] { return has_restarted("alone.0") && has_restarted("tree.0"); }));
        CHECK(daemon.worker("alone.0").at("last_exit").at("reason") == "max_memory");
        CHECK(daemon.worker("alone.0").at("last_exit").at("signal") == "SIGTERM");
        CHECK(daemon.worker("tree.0").at("last_exit").at("reason") == "max_memory");
        CHECK_FALSE(has_restarted("small.0"));
    }

    TEST_CASE("ready/env_file: is read again at each start, and says what is wrong with it") {
        const Daemon daemon;
        daemon.write(".env", "GREETING=\"hello $USER_NAME\"\nUSER_NAME=x\n");
        const std::string input = daemon.write("input.txt", "from a file\n");
        const std::string table =
            worker_table("w", {"/bin/sh", "-c", "cat; echo \"$GREETING\"; exec tail -f /dev/null"},
                         kAtOnce + "env_file = \".env\"\nstdin = \"input.txt\"");
        REQUIRE(daemon.start(table).code == 0);
        REQUIRE(wait_until([&] { return daemon.out_log("w.0") == "from a file\nhello \n"; }));
        daemon.write(".env", "GREETING='good bye'\n");
        REQUIRE(daemon.ctl({"restart", "w"}).code == 0);
        REQUIRE(wait_until([&] {
            return daemon.out_log("w.0") == "from a file\nhello \nfrom a file\ngood bye\n";
        }));
        daemon.write(".env", "# fine\nnot fine\n");
        const Outcome outcome = daemon.ctl({"restart", "w"});
        CHECK(outcome.code == 1);
        CHECK(outcome.err.find(".env: line 2: ") != std::string::npos);
    }
}

}  // namespace cluster::test
