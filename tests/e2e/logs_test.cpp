#include <doctest/doctest.h>
#include <signal.h>

#include <algorithm>
#include <string>

#include "support/daemon.hpp"

namespace cluster::test {
namespace {

const std::string kOnce = "restart = \"never\"\nmin_uptime = \"0s\"\n";

std::string numbered_lines(int count) {
    std::string text;
    for (int i = 0; i < count; ++i) text += "line " + std::to_string(i) + "\n";
    return text;
}

std::size_t count_of(const std::string& text, const std::string& word) {
    std::size_t count = 0;
    for (auto at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) ++count;
    return count;
}

/// Waits until the worker has ended: from then on everything that it wrote is in its log.
void wait_for_end(const Daemon& daemon, const std::string& id) {
    REQUIRE(daemon.wait_for_state(id, "exited", seconds{120}));
}

}  // namespace

TEST_SUITE("e2e") {
    TEST_CASE("logs/drain: 20000 lines and an exit at once are 20000 lines every time") {
        constexpr int kLines = 20'000;
        const Daemon daemon;
        const std::string expected = numbered_lines(kLines);
        daemon.start(worker_table("p", {worker_program("lines"), std::to_string(kLines)}, kOnce));
        for (int round = 1; round <= 8; ++round) {
            wait_for_end(daemon, "p.0");
            const std::string log = daemon.out_log("p.0");
            CHECK(log.size() == expected.size() * static_cast<std::size_t>(round));
            CHECK(log.compare(log.size() - expected.size(), expected.size(), expected) == 0);
            daemon.ctl({"start", "p"});
        }
    }

    TEST_CASE("logs/drain: the exit is shown only after the last line is in the file") {
        const Daemon daemon;
        daemon.start(worker_table("p", {worker_program("lines"), "3000", "9"},
                                  "min_uptime = \"0s\"\nrestart = \"never\""));
        REQUIRE(wait_until([&] {
            const Json worker = daemon.worker("p.0");
            return !worker.value("last_exit", Json()).is_null();
        }));
        CHECK(daemon.out_log("p.0") == numbered_lines(3000));
    }

    TEST_CASE("logs/firehose: every byte of a large output arrives") {
        const Daemon daemon;
        const unsigned long long bytes = kIsSanitized ? 200ULL << 20U : 1ULL << 30U;
        daemon.start(worker_table("f", {worker_program("firehose"), std::to_string(bytes)},
                                  kOnce + "log.max_size = \"unlimited\"\n"));
        const auto before = std::chrono::steady_clock::now();
        REQUIRE(daemon.ctl({"status"}, seconds{5}).code == 0);
        MESSAGE("status beside a firehose took " << std::chrono::duration_cast<milliseconds>(
                                                        std::chrono::steady_clock::now() - before)
                                                        .count()
                                                 << " ms");
        wait_for_end(daemon, "f.0");
        CHECK(std::filesystem::file_size(daemon.log_dir() + "/f.0.out.log") == bytes);
        // The last whole line carries the number that the byte count says.
        std::ifstream log(daemon.log_dir() + "/f.0.out.log", std::ios::binary);
        log.seekg(-64, std::ios::end);
        std::string last;
        std::getline(log, last);
        CHECK(std::stoull(last) == bytes / 64 - 1);
    }

    TEST_CASE("logs/no newline: the text is in the log while the worker lives") {
        const Daemon daemon;
        REQUIRE(daemon
                    .start(worker_table("p", {worker_program("no_newline"), "no end in sight"},
                                        "min_uptime = \"0s\""))
                    .code == 0);
        CHECK(wait_until([&] { return daemon.out_log("p.0") == "no end in sight"; }));
        const Outcome shown = daemon.ctl({"logs", "p"});
        CHECK(shown.code == 0);
        CHECK(shown.out.find("no end in sight") != std::string::npos);
    }

    TEST_CASE("logs/streams: stdout and stderr are kept apart") {
        const Daemon daemon;
        daemon.start(worker_table("p", {"/bin/sh", "-c", "echo to-out; echo to-err >&2"}, kOnce));
        wait_for_end(daemon, "p.0");
        CHECK(daemon.out_log("p.0") == "to-out\n");
        CHECK(daemon.err_log("p.0") == "to-err\n");
        const Outcome out = daemon.ctl({"logs", "--out", "p"});
        CHECK(out.out.find("to-out") != std::string::npos);
        CHECK(out.out.find("to-err") == std::string::npos);
        const Outcome err = daemon.ctl({"logs", "--err", "p"});
        CHECK(err.out.find("to-err") != std::string::npos);
        CHECK(err.out.find("to-out") == std::string::npos);
    }

    TEST_CASE("logs/closed: a worker that closes its streams is left alone and costs nothing") {
        const Daemon daemon;
        REQUIRE(daemon
                    .start(worker_table("p", {worker_program("closes_stdout")},
                                        "min_uptime = \"100ms\""))
                    .code == 0);
        CHECK(daemon.state_of("p.0") == "running");
        CHECK(wait_until([&] { return daemon.out_log("p.0") == "out\n"; }));
        CHECK(daemon.err_log("p.0") == "err\n");
        // Nobody spins on the closed pipe.
        const auto ticks = [&](pid_t pid) {
            std::istringstream fields(text_of("/proc/" + std::to_string(pid) + "/stat"));
            std::string field;
            long used = 0;
            for (int i = 1; fields >> field; ++i) {
                if (i == 14 || i == 15) used += std::stol(field);
            }
            return used;
        };
        const pid_t keeper = daemon.keeper_pid();
        const pid_t supervisor = daemon.supervisor_pid();
        const long before = ticks(keeper) + ticks(supervisor);
        pause(milliseconds{500});
        CHECK(ticks(keeper) + ticks(supervisor) - before <= 10);
        REQUIRE(daemon.ctl({"stop", "p"}, seconds{5}).code == 0);
    }

    TEST_CASE("logs/grandchild: one that keeps the pipe delays no restart and is still heard") {
        const Daemon daemon;
        const std::string pid_file = daemon.dir() / "grandchild";
        daemon.start(worker_table("p", {worker_program("family"), "exit", "session", pid_file},
                                  "min_uptime = \"0s\"\nbackoff = { initial = \"20ms\", max = "
                                  "\"20ms\", jitter = 0.0 }\n"
                                  "restart_limit = { count = 32, window = \"1s\" }"));
        CHECK(wait_until([&] { return daemon.worker("p.0").at("restarts").get<int>() >= 3; },
                         seconds{5}));
        // A run may be there before its child is; a stop that comes in between is no concern of this.
        CHECK(wait_until([&] { return count_of(daemon.out_log("p.0"), "child tick 0\n") >= 4; },
                         seconds{5}));
        REQUIRE(daemon.ctl({"stop", "p"}, seconds{10}).code == 0);
        const pid_t last = std::stoi(text_of(pid_file));
        REQUIRE(is_alive(last));
        const std::size_t before = daemon.out_log("p.0").size();
        CHECK(wait_until([&] { return daemon.out_log("p.0").size() > before + 50; }));
    }

    TEST_CASE("logs/command: the last 15 lines of each stream with their instance") {
        const Daemon daemon;
        daemon.start(worker_table("p", {worker_program("lines"), "100"}, kOnce));
        wait_for_end(daemon, "p.0");
        const Outcome shown = daemon.ctl({"logs"});
        INFO(shown.out);
        CHECK(shown.code == 0);
        CHECK(count_of(shown.out, "line ") == 15);
        CHECK(shown.out.find("line 99") != std::string::npos);
        CHECK(shown.out.find("line 85") != std::string::npos);
        CHECK(shown.out.find("line 84") == std::string::npos);
        CHECK(shown.out.find("p.0") != std::string::npos);
        CHECK(shown.out.find('\x1b') == std::string::npos);  // no colour without a terminal
        CHECK(count_of(daemon.ctl({"logs", "-n", "3", "p.0"}).out, "line ") == 3);
        CHECK(daemon.ctl({"logs", "nobody"}).code == 1);
    }

    TEST_CASE("logs/follow: new lines of old and of new instances appear as they are written") {
        const Daemon daemon;
        REQUIRE(
            daemon.start(worker_table("p", {worker_program("ticker"), "20"}, "min_uptime = \"0s\""))
                .code == 0);
        Process follow = daemon.start_ctl({"logs", "-f", "p"});
        REQUIRE(wait_until([&] { return count_of(follow.out(), "tick ") > 50; }));
        ::kill(daemon.pid_of("p.0"), SIGKILL);  // the next run writes to the same log
        const std::size_t seen = count_of(follow.out(), "tick 0\n");
        CHECK(wait_until([&] { return count_of(follow.out(), "tick 0\n") > seen; }));
        REQUIRE(daemon.ctl({"scale", "p", "2"}).code == 0);
        CHECK(wait_until([&] { return follow.out().find("p.1") != std::string::npos; }));
        follow.send(SIGINT);
        const Outcome outcome = follow.wait(seconds{5});
        CHECK_FALSE(outcome.has_timed_out);
    }

    TEST_CASE("logs/restart: a log is continued and not begun anew") {
        const Daemon daemon;
        const std::string table = worker_table("p", {worker_program("lines"), "2"}, kOnce);
        const std::string once = numbered_lines(2);
        daemon.start(table);
        wait_for_end(daemon, "p.0");
        daemon.ctl({"start", "p"});
        CHECK(wait_until([&] { return daemon.out_log("p.0") == once + once; }));
        // Nor by another daemon.
        daemon.ctl({"shutdown"});
        daemon.start(table);
        CHECK(wait_until([&] { return daemon.out_log("p.0") == once + once + once; }));
    }

    TEST_CASE("logs/mode: what workers write is not for everybody's eyes") {
        const Daemon daemon;
        daemon.start(worker_table("p", {worker_program("lines"), "2"}, kOnce));
        wait_for_end(daemon, "p.0");
        const auto mode = std::filesystem::status(daemon.log_dir() + "/p.0.out.log").permissions();
        CHECK((mode & std::filesystem::perms::others_write) == std::filesystem::perms::none);
        CHECK((mode & std::filesystem::perms::group_write) == std::filesystem::perms::none);
    }
}

}  // namespace cluster::test
