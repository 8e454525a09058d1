// One keeper after another: the death of clusterd by kill -9, and its upgrade, go unnoticed by every
// worker, and whatever ends afterwards is seen, and told, as ever.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "support/failpoints.hpp"
#include "support/node_cluster.hpp"
#include "support/paths.hpp"
#include "sys/process.hpp"

namespace cluster::test {
namespace {

const std::string kSoon = "min_uptime = \"20ms\"\nbackoff = { initial = \"20ms\" }\n";

std::string tickers(int count) {
    return worker_table("tick", {worker_program("ticker"), "1"}, kSoon + instances(count));
}

/// Returns when another one answers: how long the control socket was silent.
milliseconds kill_keeper(const Daemon& daemon) {
    const pid_t before = daemon.keeper_pid();
    const auto start = std::chrono::steady_clock::now();
    REQUIRE(::kill(before, SIGKILL) == 0);
    REQUIRE(wait_until([&] { return daemon.is_answering(); }));
    const auto took = std::chrono::steady_clock::now() - start;
    REQUIRE(wait_until([&] { return daemon.keeper_pid() != before; }));
    return std::chrono::duration_cast<milliseconds>(took);
}

int successions(const Daemon& daemon) {
    const Outcome version = daemon.ctl({"version", "--json"});
    return Json::parse(version.out).at("daemon").at("successions").get<int>();
}

/// Everything that the log of a stopped ticker has to be.
void check_lines(const Daemon& daemon, const std::string& id) {
    CHECK(is_gapless(daemon.out_log(id)));
    CHECK(is_gapless(daemon.err_log(id)));
    CHECK(daemon.out_log(id).find("end ") != std::string::npos);
}

/// Linux 6.15: how a process has ended that somebody else has reaped.
bool kernel_tells_ends() {
    const pid_t child = ::fork();
    if (child == 0) ::_exit(3);
    const auto pidfd = sys::open_pidfd(child);
    ::waitpid(child, nullptr, 0);
    const auto end = pidfd ? sys::end_of_process(pidfd->get()) : std::nullopt;
    return end && end->code == 3;
}

std::string program_of(pid_t pid) {
    return std::filesystem::read_symlink("/proc/" + std::to_string(pid) + "/exe");
}

/// Both programs of the daemon once more, in a directory of their own: another build.
std::string other_build(const Daemon& daemon, const std::string& name) {
    const std::string directory = daemon.dir() / name;
    std::filesystem::create_directory(directory);
    std::filesystem::copy_file(CLUSTERD_PATH, directory + "/clusterd");
    std::filesystem::copy_file(SUPERVISOR_PATH, directory + "/cluster-supervisor");
    return directory + "/clusterd";
}

}  // namespace

TEST_SUITE("e2e") {
    TEST_CASE("succession/keeper killed: workers keep their pids and no line is lost or doubled") {
        for (const char* features : {"all", "none"}) {
            CAPTURE(std::string(features));
            Daemon daemon;
            daemon.env()["CLUSTER_KERNEL_FEATURES"] = features;
            REQUIRE(daemon.start("[store]\n" + tickers(3)).code == 0);
            REQUIRE(daemon.ctl({"store", "incr", "kept", "41"}).code == 0);
            const auto before = pids_of(daemon);
            std::mt19937 random(std::random_device{}());
            std::vector<milliseconds> answers;
            for (int round = 0; round < 12; ++round) {
                pause(milliseconds{std::uniform_int_distribution<int>(0, 80)(random)});
                // The other one's death in between, and both in a row, change nothing.
                if (round % 3 == 2) {
                    static_cast<void>(kill_supervisor(daemon));
                } else {
                    answers.push_back(kill_keeper(daemon));
                }
            }
            CHECK(pids_of(daemon) == before);
            CHECK(successions(daemon) == 8);
            CHECK(has_no_strangers(daemon));
            std::sort(answers.begin(), answers.end());
            MESSAGE("control answered again after " << answers.front().count() << " to "
                                                    << answers.back().count() << " ms");
            CHECK(answers.back() < seconds{3} * kPatience);
            CHECK(daemon.ctl({"store", "incr", "kept"}).out == "42\n");
            const Json status = daemon.status();
            for (const auto& worker : status.at("workers")) CHECK(worker.at("restarts") == 0);
            REQUIRE(daemon.ctl({"stop", "tick"}).code == 0);
            for (const char* id : {"tick.0", "tick.1", "tick.2"}) check_lines(daemon, id);
            CHECK(daemon.ctl({"shutdown"}).code == 0);
            CHECK(wait_until([] { return descendants().empty(); }));
        }
    }

    TEST_CASE("succession/keeper killed: one death now and then is answered within 200 ms") {
        const Daemon daemon;
        REQUIRE(daemon.start(tickers(10)).code == 0);
        const milliseconds took = kill_keeper(daemon);
        MESSAGE("control answered again after " << took.count() << " ms");
        CHECK(took < milliseconds{400} * kPatience);
    }

    TEST_CASE("succession/keeper killed: how a run ended is known all the same") {
        for (const char* features : {"all", "none"}) {
            CAPTURE(std::string(features));
            Daemon daemon;
            daemon.env()["CLUSTER_KERNEL_FEATURES"] = features;
            REQUIRE(daemon
                        .start(worker_table("code", {worker_program("exits"), "7", "1500"},
                                            "min_uptime = \"0s\"\nrestart = \"never\"\n") +
                               worker_table("signal", {worker_program("exits"), "-11", "1500"},
                                            "min_uptime = \"0s\"\nrestart = \"never\"\n") +
                               worker_table("back", {worker_program("idle")}, kSoon))
                        .code == 0);
            static_cast<void>(kill_keeper(daemon));
            const pid_t victim = daemon.pid_of("back.0");
            ::kill(victim, SIGKILL);
            CHECK(wait_until([&] {
                const pid_t now = daemon.pid_of("back.0");
                return now != 0 && now != victim;
            }));
            const bool is_known = kernel_tells_ends() && features == std::string("all");
            const auto check_exit = [&](const std::string& id, const char* field, const Json& value) {
                const Json exit = daemon.worker(id).at("last_exit");
                const Json told = exit.value(field, Json());
                // Where only a corpse could tell, it depends on who buries it, and when.
                const bool is_unknown = told.is_null() && exit.at("reason") == "unknown";
                INFO(exit.dump());
                CHECK((told == value || (!is_known && is_unknown)));
            };
            check_exit("back.0", "signal", "SIGKILL");
            REQUIRE(wait_until([&] {
                return daemon.worker("code.0").at("pid").is_null() &&
                       daemon.worker("signal.0").at("pid").is_null();
            }));
            check_exit("code.0", "code", 7);
            check_exit("signal.0", "signal", "SIGSEGV");
        }
    }

    TEST_CASE("succession/keeper killed: who dies before another one is there is not forgotten") {
        const Daemon daemon;
        REQUIRE(daemon.start(tickers(2) + worker_table("back", {worker_program("idle")}, kSoon))
                    .code == 0);
        const pid_t keeper = daemon.keeper_pid();
        const pid_t supervisor = daemon.supervisor_pid();
        const pid_t victim = daemon.pid_of("back.0");
        const pid_t kept = daemon.pid_of("tick.0");
        ::kill(supervisor, SIGSTOP);
        ::kill(keeper, SIGKILL);
        REQUIRE(wait_until([&] { return !is_alive(keeper); }));
        ::kill(victim, SIGKILL);
        REQUIRE(wait_until([&] { return !is_alive(victim); }));
        pause(milliseconds{100});
        ::kill(supervisor, SIGCONT);
        CHECK(wait_until([&] {
            return daemon.is_answering() && daemon.pid_of("back.0") != victim &&
                   daemon.state_of("back.0") == "running";
        }));
        CHECK(daemon.worker("back.0").at("restarts") == 1);
        CHECK(daemon.pid_of("tick.0") == kept);
        CHECK(has_no_strangers(daemon));
    }

    TEST_CASE("succession/keeper killed: a stop still ends with the last of the group") {
        const Daemon daemon;
        const std::string pid_file = daemon.dir() / "child";
        REQUIRE(daemon
                    .start(worker_table(
                        "p", {worker_program("family"), "obey", "stubborn", pid_file},
                        kSoon + "stop_timeout = \"600ms\"\n"))
                    .code == 0);
        REQUIRE(wait_until([&] { return !text_of(pid_file).empty(); }));
        const pid_t child = std::stoi(text_of(pid_file));
        static_cast<void>(kill_keeper(daemon));
        const Outcome stopped = daemon.ctl({"stop", "p"});
        INFO(stopped.err);
        CHECK(stopped.code == 0);
        CHECK_FALSE(is_alive(child));
        CHECK(daemon.state_of("p.0") == "stopped");
    }

    TEST_CASE("succession/keeper killed: while only a child of the leader is left") {
        const Daemon daemon;
        // The child has nothing to do with SIGTERM and goes by itself.
        const std::string script = "trap '' TERM; sleep 3 & trap - TERM; exec sleep 1000";
        REQUIRE(daemon
                    .start(worker_table("p", {"/bin/sh", "-c", script},
                                        kSoon + "stop_timeout = \"60s\"\n"))
                    .code == 0);
        const pid_t leader = daemon.pid_of("p.0");
        Process stop = daemon.start_ctl({"stop", "p"});
        REQUIRE(wait_until([&] { return !is_alive(leader); }));
        static_cast<void>(kill_keeper(daemon));
        const Outcome stopped = stop.wait(seconds{20});
        INFO(stopped.err);
        CHECK(stopped.code == 0);
        CHECK(stopped.took < seconds{20} * kPatience);
        CHECK(daemon.state_of("p.0") == "stopped");
    }

    TEST_CASE("succession/keeper killed: in the middle of a stop, a start and a shutdown") {
        const Daemon daemon;
        REQUIRE(daemon
                    .start(tickers(2) + worker_table("slow", {worker_program("stubborn"), "700"},
                                                     kSoon))
                    .code == 0);
        Process stopping = daemon.start_ctl({"stop", "slow"});
        REQUIRE(wait_until([&] { return daemon.state_of("slow.0") == "stopping"; }));
        static_cast<void>(kill_keeper(daemon));
        CHECK(stopping.wait().code == 0);
        CHECK(daemon.worker("slow.0").at("last_exit").at("signal").is_null());

        REQUIRE(daemon.ctl({"start", "slow"}).code == 0);
        Process shutdown = daemon.start_ctl({"shutdown"});
        REQUIRE(wait_until([&] { return daemon.state_of("slow.0") == "stopping"; }));
        ::kill(daemon.keeper_pid(), SIGKILL);
        const Outcome outcome = shutdown.wait();
        INFO(outcome.err);
        // It comes back when nobody is left, not when the first of two keepers is dead.
        CHECK(outcome.code == 0);
        CHECK(descendants().empty());
        for (const char* id : {"tick.0", "tick.1"}) check_lines(daemon, id);
    }

    TEST_CASE("succession/keeper killed: SIGTERM and the pid file are the next one's") {
        const Daemon daemon;
        REQUIRE(daemon.start(tickers(2)).code == 0);
        static_cast<void>(kill_keeper(daemon));
        const pid_t keeper = daemon.keeper_pid();
        CHECK(std::stoi(text_of(daemon.dir() / "run/clusterd.pid")) == keeper);
        CHECK(text_of("/proc/" + std::to_string(keeper) + "/comm") == "clusterd\n");
        ::kill(keeper, SIGTERM);
        CHECK(wait_until([] { return descendants().empty(); }));
        for (const char* id : {"tick.0", "tick.1"}) check_lines(daemon, id);
        CHECK_FALSE(std::filesystem::exists(daemon.control_socket()));
    }

    TEST_CASE("succession/keeper killed: without numbers for copies the workers live on alone") {
        if (!find_program("prlimit")) return skip("no prlimit");
        const Daemon daemon;
        const std::string file = daemon.write("config.toml", tickers(40));
        Process clusterd =
            daemon.start_clusterd({"--config", file}, {"prlimit", "--nofile=400:400", "--"});
        REQUIRE(wait_until([&] { return daemon.is_answering(); }));
        REQUIRE(wait_until([&] {
            return clusterd.err().find("would not survive the death of its keeper") !=
                   std::string::npos;
        }));
        const pid_t worker = daemon.pid_of("tick.0");
        const pid_t supervisor = daemon.supervisor_pid();
        clusterd.send(SIGKILL);
        CHECK(wait_until([&] { return !is_alive(supervisor); }));
        CHECK(is_alive(worker));
        CHECK(clusterd.err().find("nobody restarts them") != std::string::npos);
    }

    TEST_CASE("succession/service manager: the second clusterd names the keeper that goes on") {
        Daemon daemon;
        const std::string path = daemon.dir() / "notify";
        const sys::UniqueFd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
        REQUIRE(::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
        daemon.env()["NOTIFY_SOCKET"] = path;
        const std::string file = daemon.write("config.toml", tickers(1));
        Process first = daemon.start_clusterd({"--config", file});
        REQUIRE(wait_until([&] { return daemon.is_answering(); }));
        first.send(SIGKILL);
        REQUIRE(wait_until([&] { return !is_alive(first.pid()); }));
        // As Restart=always has it.
        Process second = daemon.start_clusterd({"--config", file});
        std::string heard;
        const auto hear = [&] {
            char buffer[4096];
            const ssize_t size = ::recv(socket.get(), buffer, sizeof buffer, MSG_DONTWAIT);
            if (size > 0) heard += std::string(buffer, static_cast<std::size_t>(size)) + "|";
            return heard.find("BARRIER=1") != std::string::npos;
        };
        CHECK(wait_until(hear));
        const Outcome outcome = second.wait(seconds{20});
        INFO(outcome.err);
        CHECK(outcome.code == 0);
        const std::string word = "MAINPID=" + std::to_string(daemon.keeper_pid()) + "\nREADY=1\n|";
        INFO(heard);
        CHECK(heard.find(word) != std::string::npos);
        // Nobody who manages services: the second one is a mistake, and says so.
        daemon.env().erase("NOTIFY_SOCKET");
        const Outcome mistaken = daemon.start_clusterd({"--config", file}).wait(seconds{20});
        CHECK(mistaken.code == 1);
        CHECK(mistaken.err.find("already runs") != std::string::npos);
    }

    TEST_CASE("succession/upgrade: the same process goes on as another program") {
        const Daemon daemon;
        REQUIRE(daemon.start("[store]\n" + tickers(3) +
                             worker_table("code", {worker_program("exits"), "7", "2500"},
                                          "min_uptime = \"0s\"\nrestart = \"never\"\n"))
                    .code == 0);
        REQUIRE(daemon.ctl({"store", "incr", "kept", "41"}).code == 0);
        const auto before = pids_of(daemon);
        const pid_t keeper = daemon.keeper_pid();
        for (const char* name : {"second", "third"}) {
            const std::string program = other_build(daemon, name);
            const Outcome upgraded = daemon.ctl({"upgrade", "--program", program});
            INFO(upgraded.err);
            CHECK(upgraded.code == 0);
            CHECK(upgraded.out.find("goes on as") != std::string::npos);
            CHECK(daemon.keeper_pid() == keeper);
            CHECK(program_of(keeper) == program);
            CHECK(program_of(daemon.supervisor_pid()) ==
                  daemon.dir() / (std::string(name) + "/cluster-supervisor"));
            CHECK(text_of("/proc/" + std::to_string(keeper) + "/comm") == "clusterd\n");
        }
        CHECK(pids_of(daemon) == before);
        CHECK(has_no_strangers(daemon));
        CHECK(daemon.ctl({"store", "incr", "kept"}).out == "42\n");
        REQUIRE(wait_until([&] { return daemon.worker("code.0").at("pid").is_null(); }));
        CHECK(daemon.worker("code.0").at("last_exit").at("code") == 7);
        // And the one after the other.
        static_cast<void>(kill_keeper(daemon));
        const Outcome again = daemon.ctl({"upgrade", "--json"});
        INFO(again.err);
        CHECK(again.code == 0);
        CHECK(Json::parse(again.out).at("daemon").at("successions") == 4);
        CHECK(daemon.pid_of("tick.0") == before.at("tick.0"));
        REQUIRE(daemon.ctl({"restart", "tick"}).code == 0);
        REQUIRE(daemon.ctl({"shutdown"}).code == 0);
        for (const char* id : {"tick.0", "tick.1", "tick.2"}) check_lines(daemon, id);
        CHECK(wait_until([] { return descendants().empty(); }));
    }

    TEST_CASE("succession/upgrade: what is no clusterd of use is refused and changes nothing") {
        const Daemon daemon;
        REQUIRE(daemon.start(tickers(1)).code == 0);
        const pid_t keeper = daemon.keeper_pid();
        const pid_t supervisor = daemon.supervisor_pid();
        const pid_t worker = daemon.pid_of("tick.0");
        const std::string alone = daemon.dir() / "alone";
        std::filesystem::create_directory(alone);
        std::filesystem::copy_file(CLUSTERD_PATH, alone + "/clusterd");
        const std::string text = daemon.write("text", "no program");
        for (const std::string& program :
             {std::string("/nonexistent/clusterd"), text, std::string("/bin/false"),
              alone + "/clusterd", daemon.dir().path()}) {
            CAPTURE(program);
            const Outcome refused = daemon.ctl({"upgrade", "--program", program});
            INFO(refused.err);
            CHECK(refused.code == 1);
            CHECK(refused.err.find(program) != std::string::npos);
        }
        CHECK(daemon.keeper_pid() == keeper);
        CHECK(daemon.supervisor_pid() == supervisor);
        CHECK(successions(daemon) == 0);
        CHECK(story_of(daemon).find("no cluster-supervisor at") != std::string::npos);
        // This one passes its trial and ends at once: another keeper is started, and it is told.
        const Outcome deceived = daemon.ctl({"upgrade", "--program", "/bin/true"});
        INFO(deceived.err);
        CHECK(deceived.code == 1);
        CHECK(deceived.err.find("did not take over") != std::string::npos);
        CHECK(daemon.pid_of("tick.0") == worker);
        CHECK(daemon.ctl({"upgrade"}).code == 0);
        REQUIRE(daemon.ctl({"shutdown"}).code == 0);
        check_lines(daemon, "tick.0");
    }

    TEST_CASE("succession/upgrade: a program that does nothing is given up") {
        const Daemon daemon;
        REQUIRE(daemon.start(tickers(1)).code == 0);
        const pid_t worker = daemon.pid_of("tick.0");
        const std::string idle = daemon.write(
            "idle-clusterd", "#!/bin/sh\ncase $* in *--succeeds*) exit 0 ;; esac\nexec sleep 1000\n");
        std::filesystem::permissions(idle, std::filesystem::perms::owner_all);
        const Outcome deceived = daemon.ctl({"upgrade", "--program", idle});
        INFO(deceived.err);
        CHECK(deceived.code == 1);
        CHECK(deceived.err.find("did not take over") != std::string::npos);
        CHECK(daemon.pid_of("tick.0") == worker);
        CHECK(has_no_strangers(daemon));
        REQUIRE(daemon.ctl({"shutdown"}).code == 0);
        check_lines(daemon, "tick.0");
    }

    TEST_CASE("succession/upgrade: one whose supervisor never comes up is undone") {
        const Daemon daemon;
        REQUIRE(daemon.start(tickers(1)).code == 0);
        const pid_t worker = daemon.pid_of("tick.0");
        const std::string program = other_build(daemon, "bad");
        const std::string supervisor = daemon.dir() / "bad/cluster-supervisor";
        std::filesystem::remove(supervisor);
        write_text(supervisor, "#!/bin/sh\ncase $* in *--succeeds*) exit 0 ;; esac\nexit 1\n");
        std::filesystem::permissions(supervisor, std::filesystem::perms::owner_all);
        const Outcome deceived = daemon.ctl({"upgrade", "--program", program});
        INFO(deceived.err);
        CHECK(deceived.code == 1);
        CHECK(program_of(daemon.keeper_pid()) == CLUSTERD_PATH);
        CHECK(daemon.pid_of("tick.0") == worker);
        CHECK(has_no_strangers(daemon));
        REQUIRE(daemon.ctl({"shutdown"}).code == 0);
        check_lines(daemon, "tick.0");
    }

    TEST_CASE("succession/storm: deaths and upgrades at random leave everything balanced") {
        const Daemon daemon;
        constexpr int kWorkers = 24;
        REQUIRE(daemon.start(worker_table("w", {worker_program("idle")}, kSoon + instances(kWorkers)))
                    .code == 0);
        const auto are_all_running = [&] {
            const Json status = daemon.status();
            int running = 0;
            for (const auto& worker : status.at("workers")) running += worker.at("state") == "running";
            return running == kWorkers;
        };
        // Numbers of both, once nothing happens any more.
        const auto held = [&] {
            REQUIRE(daemon.ctl({"upgrade"}).code == 0);
            std::pair<std::size_t, std::size_t> last;
            CHECK(wait_until([&] {
                const auto now = std::make_pair(count_descriptors(daemon.keeper_pid()),
                                                count_descriptors(daemon.supervisor_pid()));
                return std::exchange(last, now) == now;
            }));
            return last;
        };
        const auto before = held();
        const auto seed = std::random_device{}();
        MESSAGE("SEED=" << seed);
        std::mt19937 random(seed);
        for (int round = 0; round < 60; ++round) {
            const auto pids = pids_of(daemon);
            switch (random() % 6) {
                case 0:
                    static_cast<void>(kill_keeper(daemon));
                    break;
                case 1:
                    static_cast<void>(kill_supervisor(daemon));
                    break;
                case 2:
                    CHECK(daemon.ctl({"upgrade"}).code == 0);
                    break;
                case 3:
                    CHECK(daemon.ctl({"restart", "w." + std::to_string(random() % kWorkers)}).code ==
                          0);
                    break;
                default:  // some die, and the keeper in the middle of it
                    for (int i = 0; i < 4; ++i) {
                        const pid_t pid = pids.at("w." + std::to_string(random() % kWorkers));
                        if (pid > 0) ::kill(pid, SIGKILL);
                    }
                    if (random() % 2 == 0) static_cast<void>(kill_keeper(daemon));
                    break;
            }
        }
        // Who was killed last counts as running until that is seen.
        REQUIRE(wait_until([&] { return are_all_running() && has_no_strangers(daemon); }));
        const auto after = held();
        CHECK(after.first == before.first);
        CHECK(after.second == before.second);
        CHECK(wait_until(are_all_running));
        REQUIRE(daemon.ctl({"shutdown"}).code == 0);
        CHECK(wait_until([] { return descendants().empty(); }));
    }

    TEST_CASE("succession/upgrade: without a daemon there is nothing to do") {
        const Daemon daemon;
        CHECK(daemon.ctl({"upgrade"}).code == 3);
    }
}

}  // namespace cluster::test
