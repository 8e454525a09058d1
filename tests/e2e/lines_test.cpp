// Logs whose lines are looked at (timestamp, merge), and logs on a disk that is full.
#include <doctest/doctest.h>
#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "support/daemon.hpp"
#include "support/small_disk.hpp"

namespace cluster::test {
namespace {

namespace fs = std::filesystem;

const std::string kOnce = "restart = \"never\"\nmin_uptime = \"0s\"\n";
constexpr std::size_t kStampBytes = 25;  // "2024-05-17T09:30:00.123Z "

std::string whole_log(const Daemon& daemon, const std::string& log) {
    std::vector<std::string> archives;
    for (const auto& entry : fs::directory_iterator(daemon.log_dir())) {
        const std::string name = entry.path().filename().string();
        if (name.rfind(log + ".0", 0) == 0) archives.push_back(entry.path().string());
    }
    std::sort(archives.begin(), archives.end());
    std::string text;
    for (const std::string& archive : archives) text += text_of(archive);
    return text + text_of(daemon.log_dir() + "/" + log);
}

std::vector<std::string> lines_of(const std::string& text) {
    std::vector<std::string> lines;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = std::min(text.find('\n', at), text.size());
        lines.push_back(text.substr(at, end - at));
        at = end + 1;
    }
    return lines;
}

bool has_stamp(const std::string& line) {
    return line.size() >= kStampBytes && line[4] == '-' && line[10] == 'T' && line[19] == '.' &&
           line[23] == 'Z' && line[24] == ' ';
}

/// Kills the supervisor again and again while the worker runs.
int kill_while_running(const Daemon& daemon, const std::string& id, int most) {
    int kills = 0;
    while (daemon.state_of(id) == "running" && kills < most) {
        ::kill(daemon.supervisor_pid(), SIGKILL);
        ++kills;
    }
    return kills;
}

/// "line 0" … "line N-1", each once and in order, from `lines`; whatever else stands there is none
/// of them.
bool counts_up(const std::vector<std::string>& lines, const std::string& prefix,
               std::size_t count) {
    std::size_t next = 0;
    for (const std::string& line : lines) {
        if (line.rfind(prefix, 0) != 0) continue;
        if (line != prefix + std::to_string(next)) {
            MESSAGE("\"" << line << "\" instead of " << prefix << next);
            return false;
        }
        ++next;
    }
    if (next != count) MESSAGE(next << " lines instead of " << count);
    return next == count;
}

}  // namespace

TEST_SUITE("e2e") {
    TEST_CASE("lines/timestamp: each line has its time, and clusterctl knows what to do with it") {
        const Daemon daemon;
        daemon.start(worker_table("a", {"/bin/sh", "-c", "echo one; echo two >&2; printf three"},
                                  kOnce + "log.timestamp = true\n"));
        REQUIRE(daemon.wait_for_state("a.0", "exited"));
        const auto out = lines_of(daemon.out_log("a.0"));
        REQUIRE(out.size() == 2);
        CHECK(has_stamp(out[0]));
        CHECK(out[0].substr(kStampBytes) == "one");
        CHECK(has_stamp(out[1]));
        CHECK(out[1].substr(kStampBytes) == "three");
        const Outcome json = daemon.ctl({"logs", "--json", "--err"});
        CHECK(json.out.find("\"time\":\"" + daemon.err_log("a.0").substr(0, 24) +
                            "\",\"line\":\"two\"") != std::string::npos);
        CHECK(lines_of(daemon.ctl({"logs", "--since", "1m"}).out).size() == 3);
        CHECK(daemon.ctl({"logs", "--since", "0s"}).out.empty());
        CHECK(daemon.ctl({"logs", "--since", "1m"}).err.empty());
    }

    TEST_CASE("lines/time: several logs are shown in the order of time") {
        const Daemon daemon;
        const auto wait_for = [&](const std::string& file) {
            return "while [ ! -e " + (daemon.dir() / file) + " ]; do sleep 0.01; done; ";
        };
        daemon.start(worker_table("a",
                                  {"/bin/sh", "-c", "echo a1; " + wait_for("third") + "echo a3"},
                                  kOnce + "log.timestamp = true\n") +
                     worker_table("b", {"/bin/sh", "-c", wait_for("second") + "echo b2"},
                                  kOnce + "log.timestamp = true\n"));
        // A line has the time at which it was read: the next one is written after that.
        REQUIRE(wait_until([&] { return !daemon.out_log("a.0").empty(); }));
        pause(milliseconds{5});
        write_text(daemon.dir() / "second", "");
        REQUIRE(wait_until([&] { return !daemon.out_log("b.0").empty(); }));
        pause(milliseconds{5});
        write_text(daemon.dir() / "third", "");
        REQUIRE(daemon.wait_for_state("a.0", "exited"));
        REQUIRE(daemon.wait_for_state("b.0", "exited"));
        std::string order;
        for (const std::string& line : lines_of(daemon.ctl({"logs", "a", "b"}).out)) {
            order += line.substr(line.size() - 2) + " ";
        }
        CHECK(order == "a1 b2 a3 ");
    }

    TEST_CASE("lines/merge: one file, whole lines, and an unfinished one after a while") {
        const Daemon daemon;
        REQUIRE(daemon
                    .start(worker_table(
                        "m",
                        {"/bin/sh", "-c", "echo out; echo err >&2; printf prompt; exec sleep 1000"},
                        "min_uptime = \"0s\"\nlog.merge = true\n"))
                    .code == 0);
        const std::string log = daemon.log_dir() + "/m.0.log";
        CHECK(wait_until([&] { return text_of(log).size() == 14; }));
        std::string text = text_of(log);
        CHECK(text.substr(8) == "prompt");
        CHECK(text.find("out\n") != std::string::npos);
        CHECK(text.find("err\n") != std::string::npos);
        CHECK_FALSE(fs::exists(daemon.log_dir() + "/m.0.out.log"));
        const Json worker = daemon.worker("m.0");
        CHECK(worker.at("out_log") == log);
        CHECK(worker.at("err_log") == log);
        CHECK(lines_of(daemon.ctl({"logs", "m"}).out).size() == 3);
        CHECK(daemon.ctl({"logs", "--json", "m"}).out.find("\"stream\":\"both\"") !=
              std::string::npos);
    }

    TEST_CASE("lines/split: a line beyond max_line becomes several") {
        const Daemon daemon;
        daemon.start(worker_table("l", {"/bin/sh", "-c", "head -c 5000 /dev/zero | tr '\\0' x"},
                                  kOnce + "log = { timestamp = true, max_line = \"1KiB\" }\n"));
        REQUIRE(daemon.wait_for_state("l.0", "exited"));
        const auto lines = lines_of(daemon.out_log("l.0"));
        REQUIRE(lines.size() == 5);
        for (const std::string& line : lines) CHECK(has_stamp(line));
        CHECK(lines[0].size() == kStampBytes + 1024);
        CHECK(lines[4].size() == kStampBytes + 5000 - 4096);
    }

    TEST_CASE("lines/change: a log's mode changes under a running worker, and no byte is lost") {
        const Daemon daemon;
        const std::string stop = daemon.dir() / "stop";
        const std::string rounds = daemon.dir() / "rounds";
        const std::string program = "n=0; while [ ! -e " + stop + " ]; do " +
                                    worker_program("lines") + " 2000; n=$((n+1)); done; echo $n >" +
                                    rounds;
        const auto config = [&](const std::string& log) {
            return worker_table("t", {"/bin/sh", "-c", program},
                                kOnce + "log = { " + log + " max_size = \"unlimited\" }\n");
        };
        REQUIRE(daemon.start(config("")).code == 0);
        const std::vector<std::string> modes = {"timestamp = true,", "merge = true,", "",
                                                "merge = true, timestamp = true,", ""};
        for (const std::string& mode : modes) REQUIRE(daemon.start(config(mode)).code == 0);
        std::ofstream{stop}.flush();
        REQUIRE(daemon.wait_for_state("t.0", "exited", seconds{60}));
        // Where a line went depends on the moment, and one that is cut by a change is in two logs:
        // what can be told is how much was written that is neither a stamp nor an end of a line.
        std::size_t bytes = 0;
        for (const std::string log : {"t.0.out.log", "t.0.log"}) {
            const std::string text = text_of(daemon.log_dir() + "/" + log);
            const auto count = [&](char c) {
                return static_cast<std::size_t>(std::count(text.begin(), text.end(), c));
            };
            constexpr std::size_t kColonsOfStamp = 2;
            bytes += text.size() - count('\n') - count(':') / kColonsOfStamp * kStampBytes;
        }
        std::size_t of_a_round = 0;
        for (int i = 0; i < 2000; ++i) of_a_round += ("line " + std::to_string(i)).size();
        CHECK(bytes == std::stoul(text_of(rounds)) * of_a_round);
    }

    TEST_CASE("lines/kill: stamped lines are exact when the supervisor dies again and again") {
        const Daemon daemon;
        const int count = kIsSanitized ? 100'000 : 2'000'000;
        daemon.start(
            worker_table("k", {worker_program("lines"), std::to_string(count)},
                         kOnce + "log = { timestamp = true, max_size = \"200KB\", keep = 10000, "
                                 "compress = false }\n"));
        MESSAGE(kill_while_running(daemon, "k.0", 20) << " kills");
        REQUIRE(daemon.wait_for_state("k.0", "exited", seconds{120}));
        std::vector<std::string> lines = lines_of(whole_log(daemon, "k.0.out.log"));
        CHECK(std::all_of(lines.begin(), lines.end(), has_stamp));
        for (std::string& line : lines) line.erase(0, std::min(line.size(), kStampBytes));
        CHECK(counts_up(lines, "line ", static_cast<std::size_t>(count)));
        CHECK(lines.size() == static_cast<std::size_t>(count));
    }

    TEST_CASE("lines/kill: merged lines are exact when the supervisor dies again and again") {
        const Daemon daemon;
        const int count = kIsSanitized ? 50'000 : 500'000;
        const std::string program = worker_program("lines") + " " + std::to_string(count);
        daemon.start(worker_table(
            "k", {"/bin/sh", "-c", program + " | sed s/line/err/ >&2 & " + program + "; wait"},
            kOnce +
                "log = { merge = true, max_size = \"200KB\", keep = 10000, compress = false }\n"));
        MESSAGE(kill_while_running(daemon, "k.0", 20) << " kills");
        REQUIRE(daemon.wait_for_state("k.0", "exited", seconds{120}));
        const auto lines = lines_of(whole_log(daemon, "k.0.log"));
        CHECK(counts_up(lines, "line ", static_cast<std::size_t>(count)));
        CHECK(counts_up(lines, "err ", static_cast<std::size_t>(count)));
        CHECK(lines.size() == 2 * static_cast<std::size_t>(count));
    }

    TEST_CASE("lines/full disk: reported and counted, and worker and log go on") {
        if (!is_root()) return skip("needs root, for a file system of its own");
        Daemon daemon;
        const SmallDisk disk(daemon.log_dir(), "1m");
        if (!disk.is_mounted()) return skip("may not mount");
        // More than fits, then a line now and then.
        const std::string script = "head -c 3000000 /dev/zero | tr '\\0' 'x' | fold -w 99; touch " +
                                   (daemon.dir() / "written") +
                                   "; while sleep 0.05; do echo tick; done";
        REQUIRE(daemon
                    .start(worker_table("d", {"/bin/sh", "-c", script},
                                        "min_uptime = \"0s\"\nlog.max_size = \"unlimited\"\n"))
                    .code == 0);
        const pid_t pid = daemon.pid_of("d.0");
        // It could write everything, although not even half of it fits.
        CHECK(wait_until([&] { return fs::exists(daemon.dir() / "written"); }));
        CHECK(wait_until([&] { return !daemon.worker("d.0").at("log_problem").is_null(); }));
        const Json full = daemon.worker("d.0");
        CHECK(full.at("log_problem") == "No space left on device");
        const auto lost = full.at("log_lost_bytes").get<std::uint64_t>();
        CHECK(lost > 1'000'000);
        CHECK(daemon.ctl({"status"}).out.find("No space left on device") != std::string::npos);
        CHECK(daemon.ctl({"describe", "d.0"})
                  .out.find("cannot be written: No space left on device; ") != std::string::npos);
        disk.resize("8m");
        CHECK(wait_until([&] { return daemon.worker("d.0").at("log_problem").is_null(); }));
        CHECK(wait_until([&] {
            const std::string log = daemon.out_log("d.0");
            return log.size() > 6 && log.compare(log.size() - 5, 5, "tick\n") == 0;
        }));
        const std::string log = daemon.out_log("d.0");
        const std::size_t note = log.find("\n[clusterd: ");
        REQUIRE(note != std::string::npos);
        CHECK(log.find(" bytes of output are missing here: No space left on device]\n", note) !=
              std::string::npos);
        // What is there and what is missing is what was written.
        const auto missing = std::stoull(log.substr(note + 12));
        CHECK(missing == daemon.worker("d.0").at("log_lost_bytes").get<std::uint64_t>());
        const auto ticks_at = log.find("tick\n");
        const std::size_t note_bytes = log.find('\n', note + 1) - note;
        CHECK(ticks_at - note_bytes + missing >= 3'030'000);
        CHECK(daemon.pid_of("d.0") == pid);
    }

    TEST_CASE("lines/full disk: stamped lines wait and are all there when there is room again") {
        if (!is_root()) return skip("needs root, for a file system of its own");
        Daemon daemon;
        const SmallDisk disk(daemon.log_dir(), "256k");
        if (!disk.is_mounted()) return skip("may not mount");
        write_text(daemon.log_dir() + "/ballast", std::string(200'000, 'x'));
        REQUIRE(daemon
                    .start(worker_table(
                        "s", {worker_program("lines"), "3000", "20"},
                        kOnce + "log = { timestamp = true, max_size = \"unlimited\" }\n"))
                    .code == 0);
        REQUIRE(wait_until([&] { return !daemon.worker("s.0").at("log_problem").is_null(); }));
        // Killed in between as well: what is staged is in the keeper's hands.
        ::kill(daemon.supervisor_pid(), SIGKILL);
        REQUIRE(wait_until([&] { return !daemon.worker("s.0").at("log_problem").is_null(); }));
        fs::remove(daemon.log_dir() + "/ballast");
        REQUIRE(daemon.wait_for_state("s.0", "exited", seconds{60}));
        REQUIRE(wait_until([&] { return daemon.worker("s.0").at("log_problem").is_null(); }));
        std::vector<std::string> lines = lines_of(daemon.out_log("s.0"));
        CHECK(std::all_of(lines.begin(), lines.end(), has_stamp));
        for (std::string& line : lines) line.erase(0, std::min(line.size(), kStampBytes));
        CHECK(counts_up(lines, "line ", 3000));
    }
}

}  // namespace cluster::test
