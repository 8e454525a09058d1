// Rotation as an operator meets it, and what a kill leaves of it: archives and log, put together,
// are what the worker wrote.
#include <doctest/doctest.h>
#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "support/daemon.hpp"
#include "support/firehose.hpp"

namespace cluster::test {
namespace {

namespace fs = std::filesystem;

const std::string kOnce = "restart = \"never\"\nmin_uptime = \"0s\"\n";

/// Paths of the archives of a log, oldest first.
std::vector<std::string> archives_of(const Daemon& daemon, const std::string& log) {
    std::vector<std::string> archives;
    for (const auto& entry : fs::directory_iterator(daemon.log_dir())) {
        const std::string name = entry.path().filename().string();
        if (name.rfind(log + ".0", 0) == 0) archives.push_back(entry.path().string());
    }
    std::sort(archives.begin(), archives.end());
    return archives;
}

std::string unpacked(const std::string& path) {
    if (path.size() < 3 || path.compare(path.size() - 3, 3, ".gz") != 0) return text_of(path);
    const Outcome outcome = run({{"gzip", "-dc", path}, {}, ""});
    CHECK(outcome.code == 0);
    return outcome.out;
}

/// Everything that a log holds, archives included.
std::string whole_log(const Daemon& daemon, const std::string& log) {
    std::string text;
    for (const std::string& archive : archives_of(daemon, log)) text += unpacked(archive);
    return text + text_of(daemon.log_dir() + "/" + log);
}

bool is_packed(const std::string& path) {
    return path.size() > 3 && path.compare(path.size() - 3, 3, ".gz") == 0;
}

}  // namespace

TEST_SUITE("e2e") {
    TEST_CASE("rotation/size: archives end with a line, and with the log they are the output") {
        const Daemon daemon;
        constexpr std::size_t kBytes = 3'000'000;
        daemon.start(worker_table(
            "f", {worker_program("firehose"), std::to_string(kBytes)},
            kOnce + "log = { max_size = \"100KB\", keep = 1000, compress = false }\n"));
        REQUIRE(daemon.wait_for_state("f.0", "exited"));
        const auto archives = archives_of(daemon, "f.0.out.log");
        CHECK(archives.size() == kBytes / 100'032);
        for (const std::string& archive : archives) {
            // The first line end at or behind the limit.
            CHECK(fs::file_size(archive) == 100'032);
            CHECK(text_of(archive).back() == '\n');
        }
        CHECK(is_same(whole_log(daemon, "f.0.out.log"), firehose_text(kBytes)));
    }

    TEST_CASE("rotation/keep: only so many archives stay, and the newest") {
        const Daemon daemon;
        constexpr std::size_t kBytes = 3'000'000;
        daemon.start(
            worker_table("f", {worker_program("firehose"), std::to_string(kBytes)},
                         kOnce + "log = { max_size = \"100KB\", keep = 3, compress = false }\n"));
        REQUIRE(daemon.wait_for_state("f.0", "exited"));
        CHECK(archives_of(daemon, "f.0.out.log").size() == 3);
        const std::string kept = whole_log(daemon, "f.0.out.log");
        const std::string all = firehose_text(kBytes);
        CHECK(is_same(kept, all.substr(all.size() - kept.size())));
    }

    TEST_CASE("rotation/total: a log and its archives stay below their common bound") {
        const Daemon daemon;
        constexpr std::size_t kBytes = 3'000'000;
        daemon.start(worker_table("f", {worker_program("firehose"), std::to_string(kBytes)},
                                  kOnce +
                                      "log = { max_size = \"100KB\", max_total_size = \"450KB\", "
                                      "compress = false }\n"));
        REQUIRE(daemon.wait_for_state("f.0", "exited"));
        const auto archives = archives_of(daemon, "f.0.out.log");
        CHECK(archives.size() == 4);
    }

    TEST_CASE("rotation/compress: archives are packed, and packed they hold the same") {
        if (!find_program("gzip")) return skip("no gzip");
        const Daemon daemon;
        constexpr std::size_t kBytes = 3'000'000;
        daemon.start(worker_table("f", {worker_program("firehose"), std::to_string(kBytes)},
                                  kOnce + "log = { max_size = \"500KB\" }\n"));
        REQUIRE(daemon.wait_for_state("f.0", "exited"));
        CHECK(wait_until([&] {
            const auto archives = archives_of(daemon, "f.0.out.log");
            return archives.size() == 5 && std::all_of(archives.begin(), archives.end(), is_packed);
        }));
        CHECK(is_same(whole_log(daemon, "f.0.out.log"), firehose_text(kBytes)));
        const auto mode = fs::status(archives_of(daemon, "f.0.out.log").front()).permissions();
        CHECK((mode & fs::perms::others_all) == fs::perms::none);
    }

    TEST_CASE("rotation/forced: by the command and by SIGUSR2, only what holds something") {
        const Daemon daemon;
        REQUIRE(daemon
                    .start(worker_table("p", {"/bin/sh", "-c", "echo one; exec sleep 1000"},
                                        "min_uptime = \"0s\"\nlog.compress = false\n") +
                           worker_table("q", {"/bin/sh", "-c", "echo two >&2"},
                                        kOnce + "log.compress = false\n"))
                    .code == 0);
        REQUIRE(wait_until(
            [&] { return daemon.out_log("p.0") == "one\n" && daemon.err_log("q.0") == "two\n"; }));
        const Outcome first = daemon.ctl({"logs", "--rotate", "p"});
        CHECK(first.code == 0);
        CHECK(first.out == "1 log was rotated\n");
        CHECK(daemon.out_log("p.0").empty());
        REQUIRE(archives_of(daemon, "p.0.out.log").size() == 1);
        CHECK(text_of(archives_of(daemon, "p.0.out.log").front()) == "one\n");
        CHECK(archives_of(daemon, "q.0.err.log").empty());
        CHECK(daemon.ctl({"logs", "--rotate", "p"}).out == "0 logs were rotated\n");
        CHECK(daemon.ctl({"logs", "--rotate", "nobody"}).code == 1);
        // Of a worker that does not run any more.
        ::kill(daemon.keeper_pid(), SIGUSR2);
        CHECK(wait_until([&] { return archives_of(daemon, "q.0.err.log").size() == 1; }));
        CHECK(archives_of(daemon, "p.0.out.log").size() == 1);
    }

    TEST_CASE("rotation/foreign: a log that was moved away is opened anew when asked for") {
        const Daemon daemon;
        REQUIRE(
            daemon.start(worker_table("p", {worker_program("ticker"), "20"}, "min_uptime = \"0s\""))
                .code == 0);
        REQUIRE(wait_until([&] { return !daemon.out_log("p.0").empty(); }));
        const std::string log = daemon.log_dir() + "/p.0.out.log";
        fs::rename(log, log + ".mine");
        CHECK(daemon.ctl({"logs", "--rotate"}).code == 0);
        CHECK(wait_until([&] { return !daemon.out_log("p.0").empty(); }));
        CHECK(archives_of(daemon, "p.0.out.log").empty());
        const std::string moved = text_of(log + ".mine");
        CHECK(moved.rfind("tick 0\n", 0) == 0);
        CHECK(daemon.out_log("p.0").rfind("tick 0\n", 0) != 0);
    }

    TEST_CASE("rotation/change: new bounds hold at once and restart nothing") {
        const Daemon daemon;
        const auto config = [](const std::string& log) {
            return worker_table("p", {worker_program("ticker"), "5"},
                                "min_uptime = \"0s\"\nlog = { " + log + ", compress = false }\n");
        };
        REQUIRE(daemon.start(config("max_size = \"4KiB\"")).code == 0);
        const pid_t pid = daemon.pid_of("p.0");
        for (int i = 0; i < 4; ++i) {
            REQUIRE(wait_until([&] { return !daemon.out_log("p.0").empty(); }));
            REQUIRE(daemon.ctl({"logs", "--rotate"}).code == 0);
        }
        CHECK(archives_of(daemon, "p.0.out.log").size() == 4);
        REQUIRE(daemon.start(config("keep = 2")).code == 0);
        CHECK(wait_until([&] { return archives_of(daemon, "p.0.out.log").size() == 2; }));
        CHECK(daemon.pid_of("p.0") == pid);
    }

    TEST_CASE(
        "rotation/kill: nothing is lost or doubled when the supervisor dies again and again") {
        const Daemon daemon;
        constexpr int kKills = 8;
        const std::size_t bytes = kIsSanitized ? 40'000'000 : 200'000'000;
        daemon.start(worker_table(
            "f", {worker_program("firehose"), std::to_string(bytes), std::to_string(kKills)},
            kOnce + "log = { max_size = \"64KiB\", keep = 10000, compress = false }\n"));
        const pid_t worker = daemon.pid_of("f.0");
        for (int i = 0; i < kKills; ++i) {
            REQUIRE(wait_until([&] { return is_suspended(worker); }));
            const pid_t supervisor = daemon.supervisor_pid();
            ::kill(worker, SIGCONT);  // so that it dies with its hands full
            ::kill(supervisor, SIGKILL);
        }
        REQUIRE(daemon.wait_for_state("f.0", "exited", seconds{120}));
        CHECK(archives_of(daemon, "f.0.out.log").size() > 100);
        CHECK(is_same(whole_log(daemon, "f.0.out.log"), firehose_text(bytes)));
    }

    TEST_CASE("rotation/kill: an archive that was being packed at a kill is packed all the same") {
        if (!find_program("gzip")) return skip("no gzip");
        const Daemon daemon;
        constexpr std::size_t kBytes = 60'000'000;
        daemon.start(worker_table("f", {worker_program("firehose"), std::to_string(kBytes)},
                                  kOnce + "log = { max_size = \"5MB\", keep = 100 }\n"));
        for (int i = 0; i < 10; ++i) {
            ::kill(daemon.supervisor_pid(), SIGKILL);
            pause(milliseconds{20});
        }
        REQUIRE(daemon.wait_for_state("f.0", "exited", seconds{120}));
        CHECK(wait_until(
            [&] {
                const auto archives = archives_of(daemon, "f.0.out.log");
                return archives.size() == 12 &&
                       std::all_of(archives.begin(), archives.end(), is_packed);
            },
            seconds{60}));
        CHECK(is_same(whole_log(daemon, "f.0.out.log"), firehose_text(kBytes)));
        CHECK(daemon.ctl({"shutdown"}, seconds{20}).code == 0);
    }

    TEST_CASE("rotation/logs: the last lines reach back into archives, packed ones too") {
        if (!find_program("gzip")) return skip("no gzip");
        const Daemon daemon;
        daemon.start(worker_table("p", {worker_program("lines"), "2"}, kOnce));
        for (int i = 0; i < 3; ++i) {
            REQUIRE(daemon.wait_for_state("p.0", "exited"));
            if (i == 2) break;
            REQUIRE(daemon.ctl({"logs", "--rotate"}).code == 0);
            REQUIRE(daemon.ctl({"start", "p"}).code == 0);
        }
        REQUIRE(wait_until([&] {
            const auto archives = archives_of(daemon, "p.0.out.log");
            return archives.size() == 2 && std::all_of(archives.begin(), archives.end(), is_packed);
        }));
        CHECK(
            daemon.ctl({"logs", "p"}).out ==
            "p.0 | line 0\np.0 | line 1\np.0 | line 0\np.0 | line 1\np.0 | line 0\np.0 | line 1\n");
        CHECK(daemon.ctl({"logs", "-n", "3", "p"}).out ==
              "p.0 | line 1\np.0 | line 0\np.0 | line 1\n");
        CHECK(daemon.ctl({"logs", "--grep", "1$", "p"}).out ==
              "p.0 | line 1\np.0 | line 1\np.0 | line 1\n");
        CHECK(daemon.ctl({"logs", "--grep", "1$", "-n", "1", "--json", "p"}).out ==
              "{\"id\":\"p.0\",\"stream\":\"out\",\"time\":null,\"line\":\"line 1\"}\n");
        const Outcome since = daemon.ctl({"logs", "--since", "1h", "p"});
        CHECK(since.code == 0);
        CHECK(std::count(since.out.begin(), since.out.end(), '\n') == 6);
        CHECK(since.err.find("p.0.out.log") != std::string::npos);
        CHECK(daemon.ctl({"logs", "--since", "2001-01-01 00:00", "-n", "1", "p"}).out ==
              "p.0 | line 1\n");
        CHECK(daemon.ctl({"logs", "--since", "then", "p"}).code == 2);
        CHECK(daemon.ctl({"logs", "--grep", "(", "p"}).code == 2);
    }

    TEST_CASE("rotation/follow: not a line is missed or shown twice, however fast logs rotate") {
        const Daemon daemon;
        constexpr int kLines = 200'000;
        REQUIRE(daemon
                    .start(worker_table(
                        "p", {worker_program("lines"), std::to_string(kLines)},
                        kOnce + "autostart = false\n"
                                "log = { max_size = \"20KB\", keep = 1000, compress = false }\n"))
                    .code == 0);
        // Shown when everything is watched.
        write_text(daemon.log_dir() + "/p.0.out.log", "before\n");
        Process follow = daemon.start_ctl({"logs", "-f", "p"});
        std::string expected = "p.0 | before\n";
        REQUIRE(wait_until([&] { return follow.out() == expected; }));
        daemon.ctl({"start", "p"});
        REQUIRE(daemon.wait_for_state("p.0", "exited"));
        for (int i = 0; i < kLines; ++i) expected += "p.0 | line " + std::to_string(i) + "\n";
        CHECK(wait_until([&] { return follow.out().size() >= expected.size(); }, seconds{30}));
        CHECK(is_same(follow.out(), expected));
    }
}

}  // namespace cluster::test
