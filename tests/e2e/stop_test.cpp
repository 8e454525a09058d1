#include <doctest/doctest.h>
#include <signal.h>

#include <string>

#include "support/daemon.hpp"
#include "support/keys.hpp"

namespace cluster::test {
TEST_SUITE("e2e") {
    TEST_CASE("stop/deaf: one that ignores the signal is killed after its time") {
        const Daemon daemon;
        REQUIRE(daemon
                    .start(worker_table("deaf", {worker_program("stubborn")},
                                        kQuick + "stop_timeout = \"500ms\""))
                    .code == 0);
        const pid_t pid = daemon.pid_of("deaf.0");
        const Outcome outcome = daemon.ctl({"stop", "deaf"});
        INFO(outcome.err);
        CHECK(outcome.code == 0);
        CHECK(outcome.took >= milliseconds{500});
        CHECK(outcome.took < seconds{5} * kPatience);
        CHECK_FALSE(is_alive(pid));
        CHECK(daemon.out_log("deaf.0") == "ready\nasked\n");
        const Json exit = daemon.worker("deaf.0").at("last_exit");
        CHECK(exit.at("signal") == "SIGKILL");
        CHECK(exit.at("reason") == "killed");
    }

    TEST_CASE("stop/slow: a stop waits for a slow worker and says what it waits for") {
        const Daemon daemon;
        REQUIRE(
            daemon.start(worker_table("slow", {worker_program("stubborn"), "5000"}, kQuick)).code ==
            0);
        const Outcome outcome = daemon.ctl({"stop", "slow"});
        INFO(outcome.out, outcome.err);
        CHECK(outcome.code == 0);
        CHECK(outcome.took >= seconds{5});
        CHECK((outcome.err + outcome.out).find("slow.0") != std::string::npos);
        CHECK((outcome.err + outcome.out).find("SIGKILL in") != std::string::npos);
        const Json exit = daemon.worker("slow.0").at("last_exit");
        CHECK(exit.at("code") == 0);
        CHECK(exit.at("reason") == "stopped");
    }

    TEST_CASE("stop/slow: a slow stop of one keeps nobody else waiting") {
        const Daemon daemon;
        REQUIRE(daemon
                    .start(worker_table("slow", {worker_program("stubborn"), "4000"}, kQuick) +
                           worker_table("quick", {worker_program("idle")}, kQuick))
                    .code == 0);
        Process waiting = daemon.start_ctl({"stop", "slow"});
        REQUIRE(wait_until([&] { return daemon.state_of("slow.0") == "stopping"; }));
        const Outcome restart = daemon.ctl({"restart", "quick"});
        CHECK(restart.code == 0);
        CHECK(restart.took < seconds{3} * kPatience);
        CHECK(daemon.state_of("slow.0") == "stopping");
        CHECK(waiting.wait().code == 0);
    }

    TEST_CASE("stop/group: a child that outlives the worker is waited for") {
        const Daemon daemon;
        const std::string pid_file = daemon.dir() / "child";
        REQUIRE(daemon
                    .start(worker_table(
                        "family", {worker_program("family"), "obey", "same", pid_file}, kQuick))
                    .code == 0);
        const pid_t child = std::stoi(text_of(pid_file));
        REQUIRE(is_alive(child));
        REQUIRE(daemon.ctl({"stop", "family"}).code == 0);
        CHECK_FALSE(is_alive(child));
    }

    TEST_CASE("stop/group: a child that ignores the signal is killed with the group") {
        const Daemon daemon;
        const std::string pid_file = daemon.dir() / "child";
        REQUIRE(daemon
                    .start(worker_table("family",
                                        {worker_program("family"), "obey", "stubborn", pid_file},
                                        kQuick + "stop_timeout = \"600ms\""))
                    .code == 0);
        const pid_t leader = daemon.pid_of("family.0");
        const pid_t child = std::stoi(text_of(pid_file));
        const Outcome outcome = daemon.ctl({"stop", "family"});
        CHECK(outcome.code == 0);
        CHECK(outcome.took >= milliseconds{600});
        CHECK_FALSE(is_alive(leader));
        CHECK_FALSE(is_alive(child));
    }

    TEST_CASE("stop/group: what a dead worker left in its group is gone before the next run") {
        const Daemon daemon;
        const std::string pid_file = daemon.dir() / "child";
        daemon.start(worker_table("family", {worker_program("family"), "stay", "same", pid_file},
                                  kQuick + "stop_timeout = \"500ms\""));
        const pid_t child = std::stoi(text_of(pid_file));
        REQUIRE(daemon.ctl({"restart", "family"}).code == 0);
        CHECK_FALSE(is_alive(child));
        CHECK(std::stoi(text_of(pid_file)) != child);
    }

    TEST_CASE("stop/stopped process: one that was suspended is woken to hear its signal") {
        const Daemon daemon;
        REQUIRE(daemon
                    .start(worker_table("api", {worker_program("ticker"), "10"},
                                        kQuick + "stop_timeout = \"5s\""))
                    .code == 0);
        ::kill(daemon.pid_of("api.0"), SIGSTOP);
        const Outcome outcome = daemon.ctl({"stop", "api"});
        CHECK(outcome.code == 0);
        CHECK(daemon.worker("api.0").at("last_exit").at("code") == 0);
        CHECK(daemon.out_log("api.0").find("end ") != std::string::npos);
    }

    TEST_CASE("stop/signal: the configured signal is the one that is sent") {
        const Daemon daemon;
        const std::string script =
            "trap 'echo got-usr2; exit 0' USR2; echo ready; while :; do read x < fifo; done";
        REQUIRE(
            daemon
                .start(worker_table("sig", {"/bin/sh", "-c", "mkfifo fifo; " + script},
                                    kQuick + "stop_signal = \"SIGUSR2\"\nstop_timeout = \"3s\""))
                .code == 0);
        REQUIRE(wait_until([&] { return daemon.out_log("sig.0") == "ready\n"; }));
        REQUIRE(daemon.ctl({"stop", "sig"}).code == 0);
        CHECK(daemon.out_log("sig.0") == "ready\ngot-usr2\n");
    }

    TEST_CASE("stop/zero timeout: kills at once") {
        const Daemon daemon;
        REQUIRE(daemon
                    .start(worker_table("deaf", {worker_program("stubborn")},
                                        kQuick + "stop_timeout = \"0s\""))
                    .code == 0);
        const Outcome outcome = daemon.ctl({"stop", "deaf"});
        CHECK(outcome.code == 0);
        CHECK(outcome.took < seconds{2} * kPatience);
    }

    TEST_CASE("stop/many: fifty deaf workers take one timeout and not fifty") {
        const Daemon daemon;
        REQUIRE(daemon
                    .start(worker_table("deaf", {worker_program("stubborn")},
                                        kQuick + "instances = 50\nstop_timeout = \"1s\""))
                    .code == 0);
        const Outcome outcome = daemon.ctl({"stop", "all"});
        CHECK(outcome.code == 0);
        CHECK(outcome.took >= seconds{1});
        CHECK(outcome.took < seconds{8} * kPatience);
    }
}

}  // namespace cluster::test
