// A busy output goes through a relay (lib/capture/relay.hpp), which nobody notices.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>

#include "support/daemon.hpp"
#include "support/failpoints.hpp"
#include "support/firehose.hpp"
#include "support/small_disk.hpp"
#include "sys/file.hpp"

namespace cluster::test {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kPipe = std::size_t{1} << 20U;
constexpr std::size_t kStampBytes = 25;  // "2024-05-17T09:30:00.123Z "

std::string flood_table(std::size_t bytes, int stops, const std::string& log) {
    return worker_table("f",
                        {worker_program("firehose"), std::to_string(bytes), std::to_string(stops),
                         std::to_string(kPipe)},
                        "restart = \"never\"\nmin_uptime = \"0s\"\nlog = { " + log +
                            " max_size = \"unlimited\" }\n");
}

/// Of the pipes that the keeper holds, only a relay is open for both reading and writing.
bool has_relay(pid_t keeper) {
    const std::string process = "/proc/" + std::to_string(keeper);
    const auto is_relay = [&](const fs::directory_entry& entry) {
        std::error_code gone;
        const std::string target = fs::read_symlink(entry.path(), gone).string();
        if (target.rfind("pipe:", 0) != 0) return false;
        std::ifstream info(process + "/fdinfo/" + entry.path().filename().string());
        unsigned flags = 0;
        for (std::string word; info >> word;) {
            if (word == "flags:") info >> std::oct >> flags;
        }
        return (flags & static_cast<unsigned>(O_ACCMODE)) == O_RDWR;
    };
    const fs::directory_iterator descriptors(process + "/fd");
    return std::any_of(fs::begin(descriptors), fs::end(descriptors), is_relay);
}

/// Lets the worker, which has suspended itself, fill its pipe while nobody empties it: more than a
/// turn takes.
void begin_relay(const Daemon& daemon) {
    const pid_t worker = daemon.pid_of("f.0");
    const pid_t supervisor = daemon.supervisor_pid();
    REQUIRE(wait_until([&] { return is_suspended(worker); }));
    ::kill(supervisor, SIGSTOP);
    ::kill(worker, SIGCONT);
    const auto pipe =
        sys::open_file("/proc/" + std::to_string(worker) + "/fd/1", O_WRONLY | O_NONBLOCK);
    REQUIRE(pipe);
    const bool is_full =
        wait_until([&] { return sys::bytes_in_pipe(pipe->get()).value_or(0) >= kPipe / 2; });
    ::kill(supervisor, SIGCONT);
    REQUIRE(is_full);
    REQUIRE(wait_until([&] { return has_relay(daemon.keeper_pid()); }));
}

/// Without what a change of the mode in the middle of a line may have added to it.
std::string without_stamps_and_ends(const std::string& text) {
    std::string rest;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = std::min(text.find('\n', at), text.size());
        const bool has_stamp = end - at >= kStampBytes && text[at + 10] == 'T';
        if (has_stamp) at += kStampBytes;
        rest.append(text, at, end - at);
        at = end + 1;
    }
    return rest;
}

}  // namespace

TEST_SUITE("e2e") {
    TEST_CASE("relay/kill: a flood is exact when the supervisor dies with the relay full") {
        Daemon daemon;
        const Failpoints points(daemon);
        constexpr std::size_t kBytes = 80'000'000;
        constexpr int kStops = 7;
        REQUIRE(daemon.start(flood_table(kBytes, kStops, "")).code == 0);
        begin_relay(daemon);
        const pid_t worker = daemon.pid_of("f.0");
        for (int kills = 1; kills < kStops; ++kills) {
            REQUIRE(wait_until([&] { return is_suspended(worker); }));
            const pid_t supervisor = daemon.supervisor_pid();
#ifdef CLUSTER_FAILPOINTS
            points.arm(kSupervisor, Failpoint::relay_filled, "crash");
            ::kill(worker, SIGCONT);
#else
            ::kill(worker, SIGCONT);
            ::kill(supervisor, SIGKILL);
#endif
            REQUIRE(wait_until([&] { return !is_alive(supervisor); }));
        }
        REQUIRE(daemon.wait_for_state("f.0", "exited", seconds{60}));
        CHECK(is_same(daemon.out_log("f.0"), firehose_text(kBytes)));
        CHECK(wait_until([&] { return !has_relay(daemon.keeper_pid()); }));
    }

    TEST_CASE("relay/change: the lines of a flood get their time, behind what was relayed") {
        const Daemon daemon;
        constexpr std::size_t kBytes = 100'000'000;
        REQUIRE(daemon.start(flood_table(kBytes, 2, "")).code == 0);
        begin_relay(daemon);
        REQUIRE(daemon.start(flood_table(kBytes, 2, "timestamp = true,")).code == 0);
        CHECK(wait_until([&] { return !has_relay(daemon.keeper_pid()); }));
        const pid_t worker = daemon.pid_of("f.0");
        REQUIRE(wait_until([&] { return is_suspended(worker); }));
        ::kill(worker, SIGCONT);
        REQUIRE(daemon.wait_for_state("f.0", "exited", seconds{60}));
        const std::string log = daemon.out_log("f.0");
        CHECK(log.find("T", log.size() - 64 - kStampBytes) != std::string::npos);
        CHECK(is_same(without_stamps_and_ends(log),
                      without_stamps_and_ends(firehose_text(kBytes))));
    }

    TEST_CASE("relay/takeover: what is relayed is written when the log can be opened again") {
        Daemon daemon;
        const Failpoints points(daemon);
#ifndef CLUSTER_FAILPOINTS
        return skip("built without failpoints");
#endif
        constexpr std::size_t kBytes = 30'000'000;
        REQUIRE(daemon.start(flood_table(kBytes, 3, "")).code == 0);
        begin_relay(daemon);
        const pid_t worker = daemon.pid_of("f.0");
        REQUIRE(wait_until([&] { return is_suspended(worker); }));
        const pid_t supervisor = daemon.supervisor_pid();
        const std::string log = daemon.log_dir() + "/f.0.out.log";
        points.arm(kSupervisor, Failpoint::relay_filled, "crash");
        // Nobody can open it while a directory stands in its place.
        fs::rename(log, log + ".aside");
        fs::create_directory(log);
        ::kill(worker, SIGCONT);
        REQUIRE(wait_until([&] { return !is_alive(supervisor); }));
        REQUIRE(wait_until([&] { return daemon.is_answering(); }));
        fs::remove(log);
        fs::rename(log + ".aside", log);
        REQUIRE(wait_until([&] { return is_suspended(worker); }));
        ::kill(worker, SIGCONT);
        REQUIRE(daemon.wait_for_state("f.0", "exited", seconds{60}));
        CHECK(is_same(daemon.out_log("f.0"), firehose_text(kBytes)));
    }

    TEST_CASE("relay/full disk: what is written, what is missing and the order are right") {
        if (!is_root()) return skip("needs root, for a file system of its own");
        Daemon daemon;
        const SmallDisk disk(daemon.log_dir(), "12m");
        if (!disk.is_mounted()) return skip("may not mount");
        constexpr std::size_t kBytes = 30'000'000;
        REQUIRE(daemon.start(flood_table(kBytes, 2, "")).code == 0);
        begin_relay(daemon);
        const pid_t worker = daemon.pid_of("f.0");
        // Less than its second third fits; what does not is thrown away, and it comes to the end.
        REQUIRE(wait_until([&] { return is_suspended(worker); }));
        disk.resize("64m");
        REQUIRE(wait_until([&] { return daemon.worker("f.0").at("log_problem").is_null(); }));
        ::kill(worker, SIGCONT);
        REQUIRE(daemon.wait_for_state("f.0", "exited"));

        const std::string log = daemon.out_log("f.0");
        const std::string whole = firehose_text(kBytes);
        const std::string mark = "[clusterd: ";
        const std::size_t note = log.find(mark);
        REQUIRE(note != std::string::npos);
        const auto missing = std::stoull(log.substr(note + mark.size()));
        std::string before = log.substr(0, note);
        // A line that was cut off was ended for the note.
        if (whole.compare(0, before.size(), before) != 0) before.pop_back();
        const std::string behind = log.substr(log.find('\n', note) + 1);
        CHECK(is_same(before, whole.substr(0, before.size())));
        CHECK(is_same(behind, whole.substr(whole.size() - behind.size())));
        CHECK(before.size() + missing + behind.size() == kBytes);
    }
}

}  // namespace cluster::test
