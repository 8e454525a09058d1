#include <doctest/doctest.h>
#include <signal.h>

#include <algorithm>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "support/daemon.hpp"
#include "support/keys.hpp"

namespace cluster::test {
namespace {

using Clock = std::chrono::steady_clock;


/// "tick 0" … without a gap and without a repetition, from the start of each run.
bool is_gapless(const std::string& log) {
    std::istringstream lines(log);
    long expected = 0;
    for (std::string line; std::getline(lines, line);) {
        const bool is_last = lines.eof();
        if (line == "tick " + std::to_string(expected)) {
            ++expected;
        } else if (line == "end " + std::to_string(expected)) {
            expected = 0;
        } else if (!is_last) {
            MESSAGE("expected tick " << expected << ", found " << line);
            return false;
        }
    }
    return true;
}

std::map<std::string, pid_t> pids(const Daemon& daemon) {
    std::map<std::string, pid_t> result;
    const Json status = daemon.status();
    for (const auto& worker : status.at("workers")) {
        result[worker.at("id")] =
            worker.value("pid", Json()).is_null() ? 0 : worker.at("pid").get<pid_t>();
    }
    return result;
}

}  // namespace

TEST_SUITE("e2e") {
    TEST_CASE(
        "recovery/supervisor killed: workers keep their pids and no line is lost or doubled") {
        const Daemon daemon;
        REQUIRE(daemon
                    .start(worker_table("tick", {worker_program("ticker"), "1"},
                                        kQuick + "instances = 3"))
                    .code == 0);
        const auto before = pids(daemon);
        const pid_t keeper = daemon.keeper_pid();
        std::mt19937 random(std::random_device{}());
        std::vector<milliseconds> answers;
        for (int round = 0; round < 20; ++round) {
            pause(milliseconds{std::uniform_int_distribution<int>(0, 80)(random)});
            answers.push_back(kill_supervisor(daemon));
        }
        CHECK(pids(daemon) == before);
        CHECK(daemon.keeper_pid() == keeper);
        std::sort(answers.begin(), answers.end());
        MESSAGE("control answered again after " << answers.front().count() << " to "
                                                << answers.back().count() << " ms, median "
                                                << answers[answers.size() / 2].count() << " ms");
        // The promise is 200 ms for a death now and then; from the third in a row on the keeper
        // waits 100 ms and more by its table. The bound here catches what is broken, not what is
        // slow.
        CHECK(answers.back() < seconds{3} * kPatience);
        REQUIRE(daemon.ctl({"stop", "tick"}).code == 0);
        for (const char* id : {"tick.0", "tick.1", "tick.2"}) {
            const std::string log = daemon.out_log(id);
            CHECK(is_gapless(log));
            CHECK(log.find("end ") != std::string::npos);
            CHECK(is_gapless(daemon.err_log(id)));
        }
        const Json status = daemon.status();
        for (const auto& worker : status.at("workers")) CHECK(worker.at("restarts") == 0);
    }

    TEST_CASE("recovery/supervisor killed: one death now and then is answered within 200 ms") {
        const Daemon daemon;
        REQUIRE(daemon
                    .start(worker_table("tick", {worker_program("ticker"), "5"},
                                        kQuick + "instances = 10"))
                    .code == 0);
        const milliseconds took = kill_supervisor(daemon);
        MESSAGE("control answered again after " << took.count() << " ms");
        CHECK(took < milliseconds{400} * kPatience);
        CHECK(daemon.status().at("daemon").at("supervisor_starts") == 2);
    }

    TEST_CASE("recovery/desired state: what was stopped stays stopped and what was scaled stays") {
        const Daemon daemon;
        REQUIRE(daemon
                    .start(worker_table("a", {worker_program("idle")}, kQuick + "instances = 2") +
                           worker_table("b", {worker_program("idle")}, kQuick))
                    .code == 0);
        REQUIRE(daemon.ctl({"stop", "b"}).code == 0);
        REQUIRE(daemon.ctl({"scale", "a", "3"}).code == 0);
        REQUIRE(daemon.ctl({"start", "--name", "c", "--", worker_program("idle")}).code == 0);
        const auto before = pids(daemon);
        kill_supervisor(daemon);
        CHECK(pids(daemon) == before);
        CHECK(daemon.state_of("b.0") == "stopped");
        CHECK(daemon.state_of("a.2") == "running");
        const Json exit = daemon.worker("b.0").at("last_exit");
        CHECK(exit.at("signal") == "SIGTERM");
        REQUIRE(daemon.ctl({"restart", "all"}).code == 0);
        REQUIRE(daemon.ctl({"scale", "a", "1"}).code == 0);
        CHECK(pids(daemon).size() == 3);
    }

    TEST_CASE("recovery/death meanwhile: a worker that died without a supervisor is restarted") {
        const Daemon daemon;
        REQUIRE(daemon.start(worker_table("a", {worker_program("idle")}, kQuick)).code == 0);
        const pid_t worker = daemon.pid_of("a.0");
        const pid_t supervisor = daemon.supervisor_pid();
        ::kill(supervisor, SIGSTOP);
        ::kill(worker, SIGKILL);
        REQUIRE(wait_until([&] { return !is_alive(worker); }));
        ::kill(supervisor, SIGKILL);
        REQUIRE(wait_until([&] {
            const pid_t pid = daemon.pid_of("a.0");
            return pid != 0 && pid != worker;
        }));
        const Json status = daemon.worker("a.0");
        CHECK(status.at("restarts") == 1);
        CHECK(status.at("last_exit").at("signal") == "SIGKILL");
    }

    TEST_CASE("recovery/backoff: the wait goes on where it was") {
        const Daemon daemon;
        daemon.start(worker_table("a", {worker_program("exits"), "1"},
                                  "backoff = { initial = \"20s\", max = \"60s\", jitter = 0.0 }"));
        REQUIRE(daemon.state_of("a.0") == "backoff");
        const long before = daemon.worker("a.0").at("next_start_ms").get<long>();
        kill_supervisor(daemon);
        const Json worker = daemon.worker("a.0");
        CHECK(worker.at("state") == "backoff");
        CHECK(worker.at("next_start_ms").get<long>() <= before);
        CHECK(worker.at("next_start_ms").get<long>() > before - 10'000);
    }

    TEST_CASE("recovery/stop under way: clusterctl still reports how it ended") {
        const Daemon daemon;
        REQUIRE(
            daemon.start(worker_table("slow", {worker_program("stubborn"), "1500"}, kQuick)).code ==
            0);
        Process stop = daemon.start_ctl({"stop", "slow"});
        REQUIRE(wait_until([&] { return daemon.state_of("slow.0") == "stopping"; }));
        kill_supervisor(daemon);
        const Outcome outcome = stop.wait(seconds{30});
        INFO(outcome.err);
        CHECK(outcome.code == 0);
        CHECK(daemon.state_of("slow.0") == "stopped");
        CHECK(daemon.worker("slow.0").at("last_exit").at("code") == 0);
        // Asked once, by whichever supervisor.
        CHECK(daemon.out_log("slow.0") == "ready\nasked\n");
    }

    TEST_CASE("recovery/stop under way: the grace period is kept and ends in SIGKILL") {
        const Daemon daemon;
        REQUIRE(daemon
                    .start(worker_table("deaf", {worker_program("stubborn")},
                                        kQuick + "stop_timeout = \"2s\""))
                    .code == 0);
        const auto start = Clock::now();
        Process stop = daemon.start_ctl({"stop", "deaf"});
        REQUIRE(wait_until([&] { return daemon.state_of("deaf.0") == "stopping"; }));
        kill_supervisor(daemon);
        CHECK(stop.wait(seconds{30}).code == 0);
        const auto took = Clock::now() - start;
        CHECK(took >= seconds{2});
        CHECK(took < seconds{6} * kPatience);
        CHECK(daemon.worker("deaf.0").at("last_exit").at("reason") == "killed");
    }

    TEST_CASE("recovery/start under way: clusterctl still reports how it ended") {
        const Daemon daemon;
        REQUIRE(daemon.start(worker_table("x", {worker_program("idle")}, kQuick)).code == 0);
        const std::string file = daemon.write(
            "second.toml",
            worker_table("good", {worker_program("idle")}, "min_uptime = \"1500ms\"") +
                worker_table("bad", {worker_program("exits"), "6", "900"},
                             "min_uptime = \"1500ms\"\nbackoff = { initial = \"20s\" }"));
        Process start = daemon.start_ctl({"start", file});
        REQUIRE(wait_until([&] {
            return daemon.status().at("workers").size() == 3 && daemon.pid_of("bad.0") != 0;
        }));
        const pid_t good = daemon.pid_of("good.0");
        kill_supervisor(daemon);
        const Outcome outcome = start.wait(seconds{30});
        INFO(outcome.err);
        CHECK(outcome.code == 1);
        CHECK(outcome.err.find("bad.0") != std::string::npos);
        CHECK(outcome.err.find("good.0") == std::string::npos);
        CHECK(daemon.pid_of("good.0") == good);
    }

    TEST_CASE("recovery/shutdown under way: it goes on and ends") {
        const Daemon daemon;
        REQUIRE(
            daemon.start(worker_table("slow", {worker_program("stubborn"), "1500"}, kQuick)).code ==
            0);
        const pid_t keeper = daemon.keeper_pid();
        const pid_t supervisor = daemon.supervisor_pid();
        Process shutdown = daemon.start_ctl({"shutdown"});
        REQUIRE(wait_until([&] { return daemon.out_log("slow.0") == "ready\nasked\n"; }));
        ::kill(supervisor, SIGKILL);
        const Outcome outcome = shutdown.wait(seconds{30});
        INFO(outcome.err);
        CHECK(outcome.code == 0);
        CHECK_FALSE(is_alive(keeper));
        CHECK(wait_until([] { return descendants().empty(); }, seconds{2}));
    }

    TEST_CASE("recovery/random moments: changes under kills end in what was asked") {
        const Daemon daemon;
        REQUIRE(daemon
                    .start(worker_table("a", {worker_program("idle")},
                                        "min_uptime = \"20ms\"\ninstances = 2") +
                           worker_table("tick", {worker_program("ticker"), "2"}, kQuick))
                    .code == 0);
        const pid_t tick = daemon.pid_of("tick.0");
        const unsigned seed = std::random_device{}();
        MESSAGE("SEED=" << seed);
        std::mt19937 random(seed);
        for (int round = 0; round < 12; ++round) {
            const int wanted = 1 + round % 4;
            Process scale = daemon.start_ctl({"scale", "a", std::to_string(wanted)});
            pause(milliseconds{std::uniform_int_distribution<int>(0, 40)(random)});
            const Json status = daemon.status();
            ::kill(status.at("daemon").at("supervisor_pid").get<pid_t>(), SIGKILL);
            const Outcome outcome = scale.wait(seconds{30});
            INFO(outcome.err);
            CHECK(outcome.code == 0);
            const auto now = pids(daemon);
            CHECK(now.size() == static_cast<std::size_t>(wanted) + 1);
            for (const auto& [id, pid] : now) CHECK_MESSAGE(is_alive(pid), id);
        }
        CHECK(daemon.pid_of("tick.0") == tick);
        REQUIRE(daemon.ctl({"stop", "tick"}).code == 0);
        CHECK(is_gapless(daemon.out_log("tick.0")));
        REQUIRE(daemon.ctl({"shutdown"}).code == 0);
        CHECK(wait_until([] { return descendants().empty(); }, seconds{2}));
    }

    TEST_CASE("recovery/stopped supervisor: workers write on and nothing is lost") {
        const Daemon daemon;
        REQUIRE(daemon.start(worker_table("tick", {worker_program("ticker"), "1"}, kQuick)).code ==
                0);
        const pid_t supervisor = daemon.supervisor_pid();
        ::kill(supervisor, SIGSTOP);
        pause(milliseconds{500});
        ::kill(supervisor, SIGCONT);
        REQUIRE(daemon.ctl({"stop", "tick"}).code == 0);
        CHECK(is_gapless(daemon.out_log("tick.0")));
    }

    TEST_CASE("recovery/firehose: a flood across kills is exact to the byte") {
        const Daemon daemon;
        constexpr unsigned long long kBytes = 200ULL << 20U;
        daemon.start(
            worker_table("f", {worker_program("firehose"), std::to_string(kBytes)},
                         "min_uptime = \"0s\"\nrestart = \"never\"\nlog.max_size = \"unlimited\""));
        for (int round = 0; round < 3; ++round) {
            if (daemon.state_of("f.0") == "exited") break;
            kill_supervisor(daemon);
        }
        REQUIRE(daemon.wait_for_state("f.0", "exited", seconds{60}));
        std::ifstream log(daemon.log_dir() + "/f.0.out.log", std::ios::binary);
        std::string line;
        unsigned long long count = 0;
        bool is_exact = true;
        for (; std::getline(log, line); ++count) {
            is_exact = is_exact && line.size() == 63 && std::stoull(line) == count;
        }
        CHECK(is_exact);
        CHECK(count == kBytes / 64);
    }
}

}  // namespace cluster::test
