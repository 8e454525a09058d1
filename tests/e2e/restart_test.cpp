#include <doctest/doctest.h>
#include <signal.h>

#include <string>

#include "support/daemon.hpp"
#include "support/keys.hpp"

namespace cluster::test {
TEST_SUITE("e2e") {
    TEST_CASE("restart/always: what was killed comes back and is counted") {
        const Daemon daemon;
        REQUIRE(daemon.start(worker_table("api", {worker_program("idle")}, kAtOnce)).code == 0);
        const pid_t first = daemon.pid_of("api.0");
        REQUIRE(::kill(first, SIGKILL) == 0);
        REQUIRE(wait_until([&] {
            const pid_t pid = daemon.pid_of("api.0");
            return pid != 0 && pid != first;
        }));
        const Json worker = daemon.worker("api.0");
        CHECK(worker.at("restarts") == 1);
        CHECK(worker.at("last_exit").at("signal") == "SIGKILL");
        CHECK(worker.at("last_exit").at("reason") == "exited");
    }

    TEST_CASE("restart/always: a clean exit is restarted too") {
        const Daemon daemon;
        REQUIRE(
            daemon.start(worker_table("api", {worker_program("exits"), "0", "20"}, kAtOnce)).code ==
            0);
        CHECK(wait_until([&] { return daemon.worker("api.0").at("restarts").get<int>() >= 2; }));
        CHECK(daemon.worker("api.0").at("last_exit").at("code") == 0);
    }

    TEST_CASE("restart/on-failure: a success stays down and a failure comes back") {
        const Daemon daemon;
        const std::string policy = kAtOnce + "restart = \"on-failure\"\n";
        REQUIRE(daemon
                    .start(worker_table("fine", {worker_program("exits"), "0", "20"}, policy) +
                           worker_table("listed", {worker_program("exits"), "3", "20"},
                                        policy + "success_exit_codes = [0, 3]\n") +
                           worker_table("bad", {worker_program("exits"), "4", "20"}, policy) +
                           worker_table("signal", {worker_program("exits"), "-9", "20"}, policy))
                    .code == 0);
        CHECK(daemon.wait_for_state("fine.0", "exited"));
        CHECK(daemon.wait_for_state("listed.0", "exited"));
        CHECK(wait_until([&] { return daemon.worker("bad.0").at("restarts").get<int>() >= 2; }));
        CHECK(wait_until([&] { return daemon.worker("signal.0").at("restarts").get<int>() >= 2; }));
        CHECK(daemon.worker("fine.0").at("restarts") == 0);
        CHECK(daemon.worker("listed.0").at("last_exit").at("code") == 3);
    }

    TEST_CASE("restart/never: a failure stays down and shows its code") {
        const Daemon daemon;
        REQUIRE(daemon
                    .start(worker_table("job", {worker_program("exits"), "5", "20"},
                                        kAtOnce + "restart = \"never\"\n"))
                    .code == 0);
        CHECK(daemon.wait_for_state("job.0", "exited"));
        const Json worker = daemon.worker("job.0");
        CHECK(worker.at("last_exit").at("code") == 5);
        CHECK(worker.value("pid", Json()).is_null());
        REQUIRE(daemon.ctl({"start", "job"}).code == 0);
        CHECK(daemon.wait_for_state("job.0", "exited"));
    }

    TEST_CASE("restart/backoff: the wait is visible and a stop ends it") {
        const Daemon daemon;
        const Outcome outcome = daemon.start(
            worker_table("api", {worker_program("exits"), "1"},
                         "backoff = { initial = \"20s\", max = \"60s\", jitter = 0.0 }"));
        CHECK(outcome.code == 1);
        const Json worker = daemon.worker("api.0");
        CHECK(worker.at("state") == "backoff");
        CHECK(worker.at("next_start_ms").get<long>() > 10'000);
        CHECK(worker.at("next_start_ms").get<long>() <= 20'000);
        CHECK(worker.value("pid", Json()).is_null());
        CHECK(daemon.ctl({"stop", "api"}, seconds{5}).code == 0);
        CHECK(daemon.state_of("api.0") == "stopped");
        CHECK(daemon.worker("api.0").value("next_start_ms", Json()).is_null());
    }

    TEST_CASE("restart/backoff: waits grow by the factor up to the cap") {
        const Daemon daemon;
        const std::string stamp = "date +%s%N; exit 1";
        CHECK(daemon
                  .start(worker_table("api", {"/bin/sh", "-c", stamp},
                                      "backoff = { initial = \"100ms\", factor = 2.0, max = "
                                      "\"400ms\", jitter = 0.0 }"))
                  .code == 1);
        const auto times = [&] {
            std::istringstream log(daemon.out_log("api.0"));
            std::vector<long long> result;
            for (std::string line; std::getline(log, line);) result.push_back(std::stoll(line));
            return result;
        };
        REQUIRE(wait_until([&] { return times().size() >= 6; }));
        const auto at = times();
        const auto gap_ms = [&](std::size_t i) { return (at[i + 1] - at[i]) / 1'000'000; };
        CHECK(gap_ms(0) >= 95);
        CHECK(gap_ms(1) >= 195);
        CHECK(gap_ms(2) >= 395);
        CHECK(gap_ms(3) >= 395);
        CHECK(gap_ms(3) < 395 + 1000 * kPatience);
    }

    TEST_CASE("restart/limit: fatal gives up until somebody starts it again") {
        const Daemon daemon;
        CHECK(daemon
                  .start(worker_table("api", {worker_program("exits"), "1"},
                                      kAtOnce + "restart_limit = { count = 3, window = \"1m\", then "
                                               "= \"fatal\" }"))
                  .code <= 1);
        REQUIRE(daemon.wait_for_state("api.0", "fatal"));
        const Json worker = daemon.worker("api.0");
        CHECK(worker.at("restarts") == 3);
        CHECK(worker.value("next_start_ms", Json()).is_null());
        daemon.ctl({"start", "api"});
        REQUIRE(daemon.wait_for_state("api.0", "fatal"));
        CHECK(daemon.ctl({"stop", "api"}).code == 0);
        CHECK(daemon.state_of("api.0") == "stopped");
    }

    TEST_CASE("restart/limit: slow keeps trying at the longest wait") {
        const Daemon daemon;
        daemon.start(
            worker_table("api", {worker_program("exits"), "1"},
                         "min_uptime = \"0s\"\nbackoff = { initial = \"10ms\", factor = 1, "
                         "max = \"30s\", jitter = 0.0 }\nrestart_limit = { count = 3, "
                         "window = \"1m\", then = \"slow\" }"));
        CHECK(wait_until([&] {
            const Json worker = daemon.worker("api.0");
            return worker.at("state") == "backoff" && worker.value("next_start_ms", 0L) > 5000;
        }));
        CHECK(daemon.worker("api.0").at("restarts").get<int>() >= 3);
    }

    TEST_CASE("restart/stop: a stop beats a restart that is already decided") {
        const Daemon daemon;
        daemon.start(worker_table("api", {worker_program("exits"), "1", "5"}, kAtOnce));
        REQUIRE(daemon.ctl({"stop", "api"}).code == 0);
        CHECK(daemon.state_of("api.0") == "stopped");
        const std::string before = daemon.out_log("api.0");
        for (int i = 0; i < 20; ++i) {
            pause(milliseconds{10});
            CHECK(daemon.state_of("api.0") == "stopped");
        }
    }
}

}  // namespace cluster::test
