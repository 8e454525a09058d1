#include <doctest/doctest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sstream>
#include <string>

#include "support/daemon.hpp"
#include "support/paths.hpp"

namespace cluster::test {
namespace {

std::string idle(const std::string& name, int instances = 1, const std::string& more = "") {
    return worker_table(
        name, {worker_program("idle")},
        "min_uptime = \"50ms\"\ninstances = " + std::to_string(instances) + "\n" + more);
}

/// Whether the process has a dead child that nobody has buried.
bool has_zombie_child(pid_t parent) {
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
        if (std::atoi(entry.path().filename().c_str()) <= 0) continue;
        const std::string stat = text_of(entry.path() / "stat");
        const auto name_end = stat.rfind(')');
        if (name_end == std::string::npos) continue;
        std::istringstream fields(stat.substr(name_end + 2));
        char state = ' ';
        pid_t ppid = 0;
        fields >> state >> ppid;
        if (state == 'Z' && ppid == parent) return true;
    }
    return false;
}

std::size_t count_in_state(const Daemon& daemon, const std::string& state) {
    std::size_t count = 0;
    const Json status = daemon.status();
    for (const auto& worker : status.at("workers")) count += worker.at("state") == state;
    return count;
}

}  // namespace

TEST_SUITE("e2e") {
    TEST_CASE("keeper/foreground: SIGTERM and SIGINT stop every worker and exit with 0") {
        for (const int signal : {SIGTERM, SIGINT}) {
            const Daemon daemon;
            const std::string file =
                daemon.write("config.toml", worker_table("tick", {worker_program("ticker"), "10"},
                                                         "min_uptime = \"50ms\"\ninstances = 3"));
            Process clusterd = daemon.start_clusterd({"--config", file});
            REQUIRE(wait_until([&] { return daemon.is_answering(); }));
            REQUIRE(daemon.wait_for_state("tick.2", "running"));
            CHECK(daemon.keeper_pid() == clusterd.pid());
            CHECK(std::stoi(text_of(daemon.dir() / "run/clusterd.pid")) == clusterd.pid());
            clusterd.send(signal);
            const Outcome outcome = clusterd.wait(seconds{20});
            INFO(outcome.err);
            CHECK(outcome.code == 0);
            CHECK(descendants().empty());
            for (const char* id : {"tick.0", "tick.1", "tick.2"}) {
                CHECK(daemon.out_log(id).find("end ") != std::string::npos);
            }
            CHECK_FALSE(std::filesystem::exists(daemon.control_socket()));
        }
    }

    TEST_CASE("keeper/foreground: a bad config is shown and is exit code 2") {
        const Daemon daemon;
        const std::string file = daemon.write("bad.toml", "[worker.a]\ncomand = \"x\"\n");
        const Outcome outcome = daemon.start_clusterd({"--config", file}).wait(seconds{10});
        INFO(outcome.err);
        CHECK(outcome.code == 2);
        CHECK(outcome.err.find(file + ":2:1") != std::string::npos);
        CHECK(descendants().empty());
        const Outcome none =
            daemon.start_clusterd({"--config", daemon.dir() / "none.toml"}).wait(seconds{10});
        CHECK(none.code == 2);
        CHECK(none.err.find("none.toml") != std::string::npos);
    }

    TEST_CASE("keeper/foreground: logs to stderr") {
        const Daemon daemon;
        const std::string file = daemon.write("config.toml", idle("api"));
        Process clusterd = daemon.start_clusterd({"--config", file});
        REQUIRE(wait_until([&] { return daemon.is_answering(); }));
        REQUIRE(daemon.wait_for_state("api.0", "running"));
        ::kill(daemon.pid_of("api.0"), SIGKILL);
        CHECK(wait_until([&] { return clusterd.err().find("api.0") != std::string::npos; }));
    }

    TEST_CASE("keeper/SIGTERM: a worker that ignores its signal is killed after its time") {
        const Daemon daemon;
        const std::string file = daemon.write(
            "config.toml", worker_table("deaf", {worker_program("stubborn")},
                                        "min_uptime = \"50ms\"\nstop_timeout = \"700ms\""));
        Process clusterd = daemon.start_clusterd({"--config", file});
        REQUIRE(wait_until([&] { return daemon.is_answering(); }));
        REQUIRE(wait_until([&] { return daemon.out_log("deaf.0") == "ready\n"; }));
        clusterd.send(SIGTERM);
        const Outcome outcome = clusterd.wait(seconds{20});
        CHECK(outcome.code == 0);
        CHECK(descendants().empty());
        CHECK(daemon.out_log("deaf.0") == "ready\nasked\n");
    }

    TEST_CASE("keeper/no supervisor: is started again for ever and SIGTERM works without it") {
        Daemon daemon;
        const std::string program = daemon.dir() / "cluster-supervisor";
        daemon.copy_in(SUPERVISOR_PATH);
        daemon.env()["CLUSTER_SUPERVISOR"] = program;
        const std::string file = daemon.write("config.toml", idle("api", 2));
        Process clusterd = daemon.start_clusterd({"--config", file});
        REQUIRE(wait_until([&] { return daemon.is_answering(); }));
        REQUIRE(daemon.wait_for_state("api.1", "running"));
        const pid_t worker = daemon.pid_of("api.0");
        const pid_t other = daemon.pid_of("api.1");

        std::filesystem::rename(program, program + ".away");
        ::kill(daemon.supervisor_pid(), SIGKILL);
        pause(seconds{2});
        CHECK(clusterd.is_running());
        CHECK(is_alive(worker));
        std::filesystem::rename(program + ".away", program);
        REQUIRE(wait_until([&] { return daemon.is_answering(); }));
        CHECK(daemon.pid_of("api.0") == worker);

        std::filesystem::rename(program, program + ".away");
        ::kill(daemon.supervisor_pid(), SIGKILL);
        pause(milliseconds{300});
        clusterd.send(SIGTERM);
        const Outcome outcome = clusterd.wait(seconds{20});
        CHECK(outcome.code == 1);
        CHECK_FALSE(is_alive(worker));
        CHECK_FALSE(is_alive(other));
        CHECK(descendants().empty());
    }

    TEST_CASE("keeper/hostile supervisor: rubbish on the link costs no worker") {
        Daemon daemon;
        const std::string program = daemon.dir() / "cluster-supervisor";
        daemon.copy_in(SUPERVISOR_PATH);
        daemon.env()["CLUSTER_SUPERVISOR"] = program;
        const std::string file = daemon.write("config.toml", idle("api", 2));
        Process clusterd = daemon.start_clusterd({"--config", file});
        REQUIRE(wait_until([&] { return daemon.is_answering(); }));
        REQUIRE(daemon.wait_for_state("api.1", "running"));
        const pid_t worker = daemon.pid_of("api.0");
        for (const char* impostor : {"rubbish_supervisor", "exits"}) {
            std::filesystem::rename(program, program + ".away");
            std::filesystem::copy_file(worker_program(impostor), program);
            for (const pid_t pid : descendants()) {
                if (std::filesystem::exists("/proc/" + std::to_string(pid) + "/exe") &&
                    std::filesystem::read_symlink("/proc/" + std::to_string(pid) + "/exe") ==
                        program + ".away") {
                    ::kill(pid, SIGKILL);
                }
            }
            pause(milliseconds{700});
            CHECK(clusterd.is_running());
            CHECK(is_alive(worker));
            std::filesystem::rename(program + ".away", program);
            REQUIRE(wait_until([&] { return daemon.is_answering(); }, seconds{30}));
            CHECK(daemon.pid_of("api.0") == worker);
        }
    }

    TEST_CASE("keeper/orphans: what workers leave behind is buried") {
        const Daemon daemon;
        const std::string script =
            "i=0; while [ $i -lt 50 ]; do (true &); i=$((i+1)); done; exec tail -f /dev/null";
        REQUIRE(
            daemon
                .start(worker_table("litter", {"/bin/sh", "-c", script}, "min_uptime = \"300ms\""))
                .code == 0);
        const pid_t keeper = daemon.keeper_pid();
        CHECK(wait_until([&] { return !has_zombie_child(keeper); }, seconds{5}));
    }

    TEST_CASE("keeper/PID 1: works as the init of a namespace of its own") {
        if (!is_root() || !find_program("unshare") ||
            run({.argv = {"unshare", "--pid", "--fork", "--mount-proc", "true"},
                 .env = {},
                 .cwd = {}})
                    .code != 0) {
            return skip("PID namespaces are not permitted here");
        }
        const Daemon daemon;
        const std::string script =
            "i=0; while [ $i -lt 20 ]; do (true &); i=$((i+1)); done; echo me $$; exec tail -f "
            "/dev/null";
        const std::string file = daemon.write(
            "config.toml",
            worker_table("litter", {"/bin/sh", "-c", script}, "min_uptime = \"50ms\"") +
                idle("api", 2));
        Process unshare = daemon.start_clusterd(
            {"--config", file}, {"unshare", "--pid", "--fork", "--mount-proc", "--kill-child"});
        REQUIRE(wait_until([&] { return daemon.is_answering(); }));
        REQUIRE(daemon.wait_for_state("litter.0", "running"));
        REQUIRE(daemon.wait_for_state("api.1", "running"));
        CHECK(daemon.keeper_pid() == 1);
        pid_t init = 0;
        for (const pid_t pid : descendants()) {
            const std::string status = text_of("/proc/" + std::to_string(pid) + "/status");
            if (status.find("\nNSpid:\t" + std::to_string(pid) + "\t1\n") != std::string::npos) {
                init = pid;
            }
        }
        REQUIRE(init != 0);
        CHECK(wait_until([&] { return !has_zombie_child(init); }, seconds{5}));
        REQUIRE(::kill(init, SIGTERM) == 0);
        const Outcome outcome = unshare.wait(seconds{20});
        INFO(outcome.err);
        CHECK(outcome.code == 0);
        CHECK(descendants().empty());
    }

    TEST_CASE("keeper/EMFILE: without descriptors nobody is lost and it heals by itself") {
        if (!find_program("prlimit")) return skip("no prlimit");
        const Daemon daemon;
        const std::string file = daemon.write(
            "config.toml",
            idle("first", 10) +
                idle("many", 90, "backoff = { initial = \"100ms\", max = \"500ms\" }"));
        Process clusterd =
            daemon.start_clusterd({"--config", file}, {"prlimit", "--nofile=400:400", "--"});
        REQUIRE(wait_until([&] { return daemon.is_answering(); }));
        REQUIRE(daemon.wait_for_state("first.9", "running"));
        const pid_t keeper = clusterd.pid();
        const pid_t worker = daemon.pid_of("first.0");
        CHECK(wait_until([&] {
            return count_in_state(daemon, "backoff") + count_in_state(daemon, "fatal") > 0;
        }));
        CHECK(count_in_state(daemon, "running") > 10);
        CHECK(daemon.ctl({"status"}).code == 0);
        CHECK(daemon.keeper_pid() == keeper);
        CHECK(daemon.pid_of("first.0") == worker);
        // With fewer of them all find room again.
        const Outcome scaled = daemon.ctl({"scale", "many", "5"});
        INFO(scaled.err);
        CHECK(wait_until([&] { return count_in_state(daemon, "running") == 15; }));
        CHECK(daemon.pid_of("first.0") == worker);
        clusterd.send(SIGTERM);
        CHECK(clusterd.wait(seconds{20}).code == 0);
        CHECK(descendants().empty());
    }

    TEST_CASE("keeper/EAGAIN: a refused process is tried again until there is room") {
        if (!is_root() || !find_program("setpriv") || !find_program("prlimit")) {
            return skip("needs root and setpriv to run as a user with few processes");
        }
        Daemon daemon;
        const std::string uid = std::to_string(50'000 + ::getpid() % 10'000);
        // Copies, because the build tree may lie where that user cannot look.
        const std::string clusterd_copy = daemon.copy_in(CLUSTERD_PATH);
        daemon.copy_in(SUPERVISOR_PATH);
        daemon.copy_in(worker_program("idle"));
        daemon.env()["CLUSTER_SUPERVISOR"] = daemon.dir() / "cluster-supervisor";
        const std::string file = daemon.write(
            "config.toml",
            worker_table("many", {daemon.dir() / "idle"},
                         "instances = 20\nmin_uptime = \"50ms\"\nbackoff = { initial = \"100ms\", "
                         "max = \"300ms\" }"));
        REQUIRE(::chown(daemon.dir().path().c_str(), static_cast<uid_t>(std::stoi(uid)),
                        static_cast<gid_t>(std::stoi(uid))) == 0);
        Command command{
            .argv = {"setpriv", "--reuid=" + uid, "--regid=" + uid, "--clear-groups", "prlimit",
                     "--nproc=14:14", "--", daemon.dir() / "clusterd", "--config", file},
            .env = daemon.env(),
            .cwd = "/"};
        Process clusterd(command);
        REQUIRE(wait_until([&] { return daemon.is_answering(); }));
        REQUIRE(daemon.wait_for_state("many.0", "running"));
        const pid_t worker = daemon.pid_of("many.0");
        CHECK(wait_until([&] {
            return count_in_state(daemon, "backoff") + count_in_state(daemon, "fatal") > 0;
        }));
        CHECK(count_in_state(daemon, "running") >= 8);
        REQUIRE(daemon.ctl({"scale", "many", "6"}).code == 0);
        CHECK(wait_until([&] { return count_in_state(daemon, "running") == 6; }));
        CHECK(daemon.pid_of("many.0") == worker);
        clusterd.send(SIGTERM);
        CHECK(clusterd.wait(seconds{20}).code == 0);
        CHECK(descendants().empty());
    }

    TEST_CASE("keeper/idle: a daemon with workers that do nothing does not wake up") {
        const Daemon daemon;
        REQUIRE(daemon.start(idle("api", 5)).code == 0);
        const auto switches = [](pid_t pid) {
            const std::string status = text_of("/proc/" + std::to_string(pid) + "/status");
            const auto at = status.find("\nvoluntary_ctxt_switches:");
            return std::stol(status.substr(status.find(':', at) + 1));
        };
        const pid_t keeper = daemon.keeper_pid();
        const pid_t supervisor = daemon.supervisor_pid();
        pause(milliseconds{300});
        const long before = switches(keeper) + switches(supervisor);
        pause(seconds{2});
        const long woken = switches(keeper) + switches(supervisor) - before;
        MESSAGE("wake-ups of both processes in 2 s: " << woken);
        CHECK(woken <= 2);
    }
}

}  // namespace cluster::test
