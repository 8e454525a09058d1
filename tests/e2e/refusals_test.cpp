// What the kernel can refuse is refused, at one call after the other: descriptors, memory,
// processes, room on the disk. Whoever asked is told or waits for a bounded retry, nobody is lost,
// and everything that is wanted runs in the end.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "support/failpoints.hpp"
#include "support/small_disk.hpp"

namespace cluster::test {
namespace {

const std::string kPatient =
    "min_uptime = \"20ms\"\nbackoff = { initial = \"20ms\", max = \"100ms\" }\n";

struct Refusal {
    std::string program;
    Failpoint point;
    std::string code;
    /// The supervisor may die of it and be replaced: memory that it cannot do without.
    bool is_fatal = false;
    /// Each round begins with the death of the supervisor; few rounds, for the keeper slows down.
    bool is_of_takeover = false;
};

std::string config_of(const std::string& name) {
    return worker_table(name, {worker_program("idle")}, kPatient);
}

int starts_of(const Daemon& daemon) {
    return daemon.status().at("daemon").at("supervisor_starts").get<int>();
}

/// Asked again when it was refused: with a reason, and only for now.
void insist(const Daemon& daemon, const std::vector<std::string>& arguments) {
    const Outcome first = daemon.ctl(arguments);
    if (first.code == 0) return;
    INFO(first.err);
    CHECK(first.code == 1);
    CHECK_FALSE(first.err.empty());
    CHECK(wait_until([&] { return daemon.ctl(arguments).code == 0; }));
}

/// A worker is added, another dies and comes back, logs are rotated, the first is deleted.
void live_through(const Daemon& daemon, const std::string& name) {
    const pid_t victim = daemon.pid_of("victim.0");
    const std::string file = daemon.write(name + ".toml", config_of(name));
    insist(daemon, {"start", file});
    ::kill(victim, SIGKILL);
    CHECK(wait_until([&] {
        const pid_t pid = daemon.pid_of("victim.0");
        return pid != 0 && pid != victim && daemon.state_of("victim.0") == "running";
    }));
    CHECK(daemon.wait_for_state(name + ".0", "running"));
    insist(daemon, {"logs", "--rotate", "victim"});
    insist(daemon, {"delete", name});
}

/// Fails the first, the second, the third … passing of the point, one in each round, until a round
/// passes it less often.
void refuse_each(const Refusal& refusal) {
    if (!has_failpoints()) return;
    const int max_rounds = refusal.is_of_takeover ? 6 : 24;
    Daemon daemon;
    const Failpoints points(daemon);
    REQUIRE(daemon
                .start(worker_table("tick", {worker_program("ticker"), "1"}, kPatient) +
                       config_of("victim"))
                .code == 0);
    const pid_t tick = daemon.pid_of("tick.0");
    const pid_t keeper = daemon.keeper_pid();
    int refused = 0;
    for (int nth = 1; nth <= max_rounds; ++nth) {
        CAPTURE(nth);
        points.arm(refusal.program, refusal.point, refusal.code + " " + std::to_string(nth));
        if (refusal.is_of_takeover) {
            ::kill(daemon.supervisor_pid(), SIGKILL);
            REQUIRE(wait_until([&] { return daemon.is_answering(); }));
        }
        live_through(daemon, "x" + std::to_string(nth));
        if (points.is_armed(refusal.program, refusal.point)) break;
        ++refused;
    }
    points.disarm(refusal.program, refusal.point);
    MESSAGE(refusal.program << " " << std::string(failpoint_name(refusal.point)) << " "
                            << refusal.code << ": " << refused << " calls refused, "
                            << starts_of(daemon) - 1 << " supervisors replaced");
    CHECK(refused > 0);
    CHECK(daemon.pid_of("tick.0") == tick);
    CHECK(daemon.keeper_pid() == keeper);
    if (!refusal.is_fatal && !refusal.is_of_takeover) CHECK(starts_of(daemon) == 1);
    CHECK(wait_until([&] { return has_no_strangers(daemon); }));
    REQUIRE(daemon.ctl({"stop", "tick"}).code == 0);
    CHECK(is_gapless(daemon.out_log("tick.0")));
    CHECK(daemon.ctl({"shutdown"}).code == 0);
    CHECK(wait_until([] { return descendants().empty(); }));
}

/// Starts a daemon whose `nth` passing of the point fails: it runs all the same, or it says why not
/// and leaves nobody behind. False when the start passes the point less often.
bool survives_start(const Refusal& refusal, int nth) {
    CAPTURE(refusal.program);
    CAPTURE(std::string(failpoint_name(refusal.point)));
    CAPTURE(nth);
    Daemon daemon;
    const Failpoints points(daemon);
    points.arm(refusal.program, refusal.point, refusal.code + " " + std::to_string(nth));
    Process clusterd =
        daemon.start_clusterd({"--config", daemon.write("config.toml", config_of("a"))});
    CHECK(wait_until([&] {
        return !clusterd.is_running() ||
               (daemon.is_answering() && daemon.status().at("workers").size() == 1 &&
                daemon.state_of("a.0") == "running");
    }));
    const bool was_refused = !points.is_armed(refusal.program, refusal.point);
    points.disarm(refusal.program, refusal.point);
    const bool is_running = clusterd.is_running();
    if (is_running) clusterd.send(SIGTERM);
    const Outcome outcome = clusterd.wait(seconds{20});
    INFO(outcome.err);
    if (is_running) {
        CHECK(outcome.code == 0);
    } else {
        CHECK((outcome.code == 1 || outcome.code == 2));
        CHECK(outcome.err.find(refusal.code == "ENOMEM"   ? "Cannot allocate memory"
                               : refusal.code == "EMFILE" ? "Too many open files"
                               : refusal.code == "EAGAIN"
                                   ? "Resource temporarily unavailable"
                                   : "No space left on device") != std::string::npos);
    }
    CHECK(wait_until([] { return descendants().empty(); }));
    return was_refused;
}

}  // namespace

TEST_SUITE("e2e") {
    TEST_CASE("refusals/first start: a daemon that cannot start says why and leaves nobody") {
        if (!has_failpoints()) return;
        constexpr int kMaxPassings = 10;
        const std::vector<Refusal> refusals = {{kKeeper, Failpoint::sys_memory_file, "ENOMEM"},
                                               {kKeeper, Failpoint::sys_map, "ENOMEM"},
                                               {kKeeper, Failpoint::sys_socket, "EMFILE"},
                                               {kKeeper, Failpoint::sys_open, "EMFILE"},
                                               {kKeeper, Failpoint::sys_watch, "ENOMEM"},
                                               {kKeeper, Failpoint::sys_write, "ENOSPC"},
                                               {kKeeper, Failpoint::sys_clone, "EAGAIN"},
                                               {kSupervisor, Failpoint::sys_memory_file, "EMFILE"},
                                               {kSupervisor, Failpoint::sys_map, "ENOMEM"},
                                               {kSupervisor, Failpoint::sys_open, "EMFILE"}};
        for (const Refusal& refusal : refusals) {
            for (int nth = 1; nth <= kMaxPassings && survives_start(refusal, nth); ++nth) {
            }
        }
    }

    TEST_CASE("refusals/EMFILE: pipes") {
        refuse_each({kSupervisor, Failpoint::sys_pipe, "EMFILE"});
    }
    TEST_CASE("refusals/EMFILE: files") {
        refuse_each({kSupervisor, Failpoint::sys_open, "EMFILE"});
    }
    TEST_CASE("refusals/EMFILE: memory files") {
        refuse_each({kSupervisor, Failpoint::sys_memory_file, "EMFILE"});
    }
    TEST_CASE("refusals/EMFILE: control connections") {
        refuse_each({kSupervisor, Failpoint::sys_accept, "EMFILE"});
    }
    TEST_CASE("refusals/ENOMEM: watched descriptors") {
        refuse_each({kSupervisor, Failpoint::sys_watch, "ENOMEM"});
        refuse_each({kSupervisor, Failpoint::sys_watch, "ENOSPC"});
    }
    TEST_CASE("refusals/ENOMEM: memory files") {
        refuse_each({kSupervisor, Failpoint::sys_memory_file, "ENOMEM"});
    }
    TEST_CASE("refusals/ENOSPC: what is written and renamed") {
        refuse_each({kSupervisor, Failpoint::sys_write, "ENOSPC", true});
        refuse_each({kSupervisor, Failpoint::sys_rename, "ENOSPC"});
    }
    TEST_CASE("refusals/ENOSPC: what is pumped") {
        refuse_each({kSupervisor, Failpoint::sys_splice, "ENOSPC"});
    }
    TEST_CASE("refusals/takeover: descriptors") {
        refuse_each({kSupervisor, Failpoint::sys_duplicate, "EMFILE", false, true});
        refuse_each({kSupervisor, Failpoint::sys_open, "EMFILE", false, true});
    }
    TEST_CASE("refusals/takeover: memory") {
        refuse_each({kSupervisor, Failpoint::sys_map, "ENOMEM", false, true});
        refuse_each({kSupervisor, Failpoint::sys_watch, "ENOMEM", false, true});
    }
    TEST_CASE("refusals/EAGAIN and ENOMEM: processes") {
        refuse_each({kKeeper, Failpoint::sys_clone, "EAGAIN"});
        refuse_each({kKeeper, Failpoint::sys_clone, "ENOMEM"});
    }

    TEST_CASE("refusals/allocation: a supervisor without memory is replaced, and nobody is lost") {
        if (kIsSanitized) return skip("sanitizers need all the address space");
        const Daemon daemon;
        REQUIRE(
            daemon.start(worker_table("tick", {worker_program("ticker"), "1"}, kPatient)).code ==
            0);
        const pid_t tick = daemon.pid_of("tick.0");
        const pid_t keeper = daemon.keeper_pid();
        const pid_t supervisor = daemon.supervisor_pid();
        // Not a page more than it has; 900 workers want some.
        std::istringstream statm(text_of("/proc/" + std::to_string(supervisor) + "/statm"));
        rlim_t pages = 0;
        statm >> pages;
        const rlim_t bytes = pages * static_cast<rlim_t>(::sysconf(_SC_PAGESIZE));
        const rlimit limit{.rlim_cur = bytes, .rlim_max = bytes};
        REQUIRE(::prlimit(supervisor, RLIMIT_AS, &limit, nullptr) == 0);
        std::string many;
        for (int i = 0; i < 900; ++i) {
            many += worker_table("w" + std::to_string(i), {worker_program("idle")},
                                 "autostart = false");
        }
        const Outcome outcome = daemon.ctl({"start", daemon.write("many.toml", many)});
        INFO(outcome.err);
        CHECK(outcome.code == 0);
        CHECK(daemon.supervisor_pid() != supervisor);
        CHECK(daemon.status().at("workers").size() == 901);
        CHECK(daemon.keeper_pid() == keeper);
        CHECK(daemon.pid_of("tick.0") == tick);
        REQUIRE(daemon.ctl({"stop", "tick"}).code == 0);
        CHECK(is_gapless(daemon.out_log("tick.0")));
    }

    TEST_CASE("refusals/allocation: any that fails costs the supervisor and nobody else") {
        if (!has_failpoints()) return;
        if (kIsSanitized) return skip("a sanitizer allocates by itself");
        Daemon daemon;
        const Failpoints points(daemon);
        REQUIRE(daemon
                    .start(worker_table("tick", {worker_program("ticker"), "1"}, kPatient) +
                           config_of("victim"))
                    .code == 0);
        const pid_t tick = daemon.pid_of("tick.0");
        const pid_t keeper = daemon.keeper_pid();
        // The n-th allocation from now on: in a takeover, in a request, in the turn of a death.
        int replaced = 0;
        for (const int nth : {1, 7, 40, 150, 400, 900, 1'700, 3'000}) {
            CAPTURE(nth);
            const int before = starts_of(daemon);
            points.arm(kSupervisor, Failpoint::heap, "ENOMEM " + std::to_string(nth));
            live_through(daemon, "x" + std::to_string(nth));
            points.disarm(kSupervisor, Failpoint::heap);
            if (starts_of(daemon) > before) ++replaced;
        }
        MESSAGE(replaced << " allocations refused");
        CHECK(replaced >= 5);
        CHECK(daemon.pid_of("tick.0") == tick);
        CHECK(daemon.keeper_pid() == keeper);
        CHECK(wait_until([&] { return has_no_strangers(daemon); }));
        REQUIRE(daemon.ctl({"stop", "tick"}).code == 0);
        CHECK(is_gapless(daemon.out_log("tick.0")));
        CHECK(daemon.ctl({"shutdown"}).code == 0);
        CHECK(wait_until([] { return descendants().empty(); }));
    }

    TEST_CASE("refusals/full disk: neither state nor logs can be written, and all goes on") {
        if (!is_root()) return skip("needs root, for a file system of its own");
        Daemon daemon;
        const SmallDisk state(daemon.dir() / "state", "64k");
        const SmallDisk logs(daemon.log_dir(), "64k");
        if (!state.is_mounted() || !logs.is_mounted()) return skip("may not mount");
        const std::string state_ballast = daemon.dir() / "state/ballast";
        const std::string log_ballast = daemon.log_dir() + "/ballast";
        for (const std::string& path : {state_ballast, log_ballast}) {
            std::ofstream(path) << std::string(std::size_t{128} << 10U, 'x');
        }
        const Outcome started = daemon.start(config_of("a"));
        INFO(started.err);
        REQUIRE(started.code == 0);
        const pid_t pid = daemon.pid_of("a.0");
        CHECK(daemon.start(config_of("b")).code == 0);
        ::kill(daemon.supervisor_pid(), SIGKILL);
        REQUIRE(wait_until([&] { return daemon.is_answering(); }));
        CHECK(daemon.pid_of("a.0") == pid);
        CHECK(daemon.state_of("b.0") == "running");
        CHECK_FALSE(std::filesystem::exists(daemon.dir() / "state/state.json"));
        // With room again the next change is remembered, and the logs get what waited.
        std::filesystem::remove(state_ballast);
        std::filesystem::remove(log_ballast);
        CHECK(daemon.ctl({"restart", "b"}).code == 0);
        CHECK(daemon.ctl({"scale", "b", "2"}).code == 0);
        CHECK(text_of(daemon.dir() / "state/state.json").find("\"b\"") != std::string::npos);
        CHECK(wait_until([&] { return daemon.out_log("a.0") == "started\n"; }));
        CHECK(daemon.pid_of("a.0") == pid);
        CHECK(daemon.ctl({"shutdown"}).code == 0);
    }
}

}  // namespace cluster::test
