// What a worker may say to its NOTIFY_SOCKET beyond being ready: descriptors to keep, another main
// process, a reload of its own, a barrier; and what a stranger may not.
#include <doctest/doctest.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

#include "support/daemon.hpp"
#include "support/keys.hpp"

namespace cluster::test {
namespace {

std::string speaks(const std::vector<std::string>& steps, const std::string& keys) {
    std::vector<std::string> command{worker_program("speaks")};
    command.insert(command.end(), steps.begin(), steps.end());
    return worker_table("w", command, keys);
}

/// A shell that prints what it has been given, then becomes `steps`.
std::string tells(const std::vector<std::string>& steps, const std::string& keys) {
    std::vector<std::string> command{
        "/bin/sh", "-c",
        "echo \"fds=$LISTEN_FDS names=$LISTEN_FDNAMES max=$FDSTORE\"; exec \"$@\"", "sh",
        worker_program("speaks")};
    command.insert(command.end(), steps.begin(), steps.end());
    return worker_table("w", command, keys);
}

bool has_said(const Daemon& daemon, const std::string& text) {
    return daemon.out_log("w.0").find(text) != std::string::npos;
}

Json stored(const Daemon& daemon) {
    const Outcome outcome = daemon.ctl({"describe", "w.0", "--json"});
    return Json::parse(outcome.out).at("instances").at(0).at("stored_descriptors");
}

std::string daemon_log(const Daemon& daemon) {
    return text_of(daemon.log_dir() + "/clusterd.log");
}

}  // namespace

TEST_SUITE("e2e") {
    TEST_CASE("notify/fdstore: what a run has stored the next one gets, whatever died in between") {
        const Daemon daemon;
        const std::string keys = kNotify + "fd_store_max = 3\n";
        REQUIRE(daemon
                    .start(tells({"store=a:first", "store=b:second", "store=:third",
                                  "store=c:too much", "say=READY=1"},
                                 keys))
                    .code == 0);
        CHECK(wait_until([&] { return has_said(daemon, "fds= names= max=3"); }));
        CHECK(stored(daemon) == Json({"a", "b", "stored"}));
        CHECK(daemon_log(daemon).find("w.0.sock: a descriptor that it wanted to store was "
                                      "refused: fd_store_max is 3") != std::string::npos);
        kill_supervisor(daemon);
        CHECK(stored(daemon) == Json({"a", "b", "stored"}));
        REQUIRE(::kill(daemon.pid_of("w.0"), SIGKILL) == 0);
        REQUIRE(wait_until([&] { return has_said(daemon, "fds=3 names=a:b:stored max=3"); }));
        REQUIRE(wait_until([&] { return daemon.worker("w.0").at("ready").get<bool>(); }));
        const Outcome second = daemon.ctl(
            {"start", daemon.write("c.toml", tells({"show=3", "show=4", "show=5", "drop=b",
                                                    "say=READY=1"},
                                                   keys))});
        REQUIRE_MESSAGE(second.code == 0, daemon.out_log("w.0"));
        CHECK(wait_until([&] { return has_said(daemon, "5: third"); }));
        CHECK(has_said(daemon, "3: first"));
        CHECK(has_said(daemon, "4: second"));
        CHECK(stored(daemon) == Json({"a", "stored"}));
        // Stopped for good, they are dropped.
        REQUIRE(daemon.ctl({"stop", "w"}).code == 0);
        CHECK(stored(daemon) == Json::array());
    }

    TEST_CASE("notify/fdstore: what is stored with the last words before an exit is kept") {
        const Daemon daemon;
        std::vector<std::string> steps{"say=READY=1", "say=STOPPING=1"};
        for (int i = 0; i < 10; ++i) steps.push_back("store=n" + std::to_string(i) + ":x");
        steps.emplace_back("end=0");
        REQUIRE(daemon
                    .ctl({"start", "--no-wait",
                          daemon.write("c.toml", tells(steps, kNotify + "fd_store_max = 10\n"))})
                    .code == 0);
        CHECK(wait_until([&] {
            return has_said(daemon, "fds=10 names=n0:n1:n2:n3:n4:n5:n6:n7:n8:n9 max=10");
        }));
    }

    TEST_CASE("notify/fdstore: one that hangs up is dropped, one that is watched for nothing not") {
        const Daemon daemon;
        REQUIRE(daemon
                    .start(speaks({"hang-up=gone", "store=file:x", "say=READY=1"},
                                  kNotify + "fd_store_max = 4\n"))
                    .code == 0);
        CHECK(wait_until([&] { return stored(daemon) == Json({"file"}); }));
        CHECK(daemon_log(daemon).find("\"gone\" has hung up") != std::string::npos);
    }

    TEST_CASE("notify/fdstore: without fd_store_max nothing is taken") {
        const Daemon daemon;
        REQUIRE(daemon.start(tells({"store=a:x", "say=READY=1"}, kNotify)).code == 0);
        CHECK(wait_until([&] { return has_said(daemon, "fds= names= max=\n"); }));
        CHECK(stored(daemon) == Json::array());
        CHECK(daemon_log(daemon).find("fd_store_max is 0") != std::string::npos);
    }

    TEST_CASE("notify/barrier: is answered when everything before it was read") {
        const Daemon daemon;
        REQUIRE(daemon
                    .start(speaks({"say=READY=1", "say=STATUS=before", "barrier=",
                                   "print=past the barrier"},
                                  kNotify))
                    .code == 0);
        CHECK(wait_until([&] { return has_said(daemon, "past the barrier"); }));
        CHECK(daemon.worker("w.0").at("status_text") == "before");
    }

    TEST_CASE("notify/mainpid: a program in the background goes on, is stopped, and is restarted") {
        for (const char* const forks : {"1", "2"}) {
            CAPTURE(std::string(forks));
            const Daemon daemon;
            const std::string table =
                speaks({std::string("background=") + forks, "say=STATUS=behind", "alive=100000"},
                       kNotify + "watchdog = \"60s\"\n");
            REQUIRE(daemon.start(table).code == 0);
            const pid_t keeper = daemon.keeper_pid();
            CHECK(wait_until([&] { return daemon.worker("w.0").at("status_text") == "behind"; }));
            const pid_t pid = daemon.pid_of("w.0");
            CHECK(::getsid(pid) != ::getsid(keeper));
            // Neither the end of its parent nor that of a supervisor is an end of it.
            kill_supervisor(daemon);
            CHECK(daemon.pid_of("w.0") == pid);
            CHECK(daemon.worker("w.0").at("restarts") == 0);
            REQUIRE(::kill(pid, SIGKILL) == 0);
            REQUIRE(wait_until([&] { return daemon.worker("w.0").at("restarts") == 1; }));
            REQUIRE(wait_until([&] {
                return daemon.worker("w.0").at("ready").get<bool>() && daemon.pid_of("w.0") != pid;
            }));
            const Json exit = daemon.worker("w.0").at("last_exit");
            INFO(exit.dump());
            CHECK((exit.value("signal", Json()) == "SIGKILL" || exit.at("reason") == "unknown"));
            const Outcome restart = daemon.ctl({"restart", "w"});
            REQUIRE_MESSAGE(restart.code == 0, restart.err);
            REQUIRE(daemon.ctl({"stop", "w"}).code == 0);
            CHECK(daemon.state_of("w.0") == "stopped");
            CHECK(daemon.worker("w.0").at("last_exit").at("reason") == "stopped");
            REQUIRE(daemon.ctl({"shutdown"}).code == 0);
            CHECK(wait_until([&] { return descendants().empty(); }));
        }
    }

    TEST_CASE("notify/mainpid: of a stranger, or of nobody, is ignored and said") {
        const Daemon daemon;
        Process stranger({{worker_program("idle")}, {}, {}});
        const std::string pid = std::to_string(stranger.pid());
        REQUIRE(daemon
                    .start(speaks({"say=MAINPID=" + pid, "say=MAINPID=1", "say=READY=1"}, kNotify))
                    .code == 0);
        CHECK(daemon.pid_of("w.0") != stranger.pid());
        CHECK(daemon_log(daemon).find("MAINPID=" + pid +
                                      " is ignored: no process of this run") != std::string::npos);
        REQUIRE(daemon.ctl({"signal", "TERM", "w"}).code == 0);
        REQUIRE(daemon.ctl({"stop", "w"}).code == 0);
        CHECK(stranger.is_running());
    }

    TEST_CASE("notify/mainpid: named by its pidfd, or with the number of that") {
        for (const std::string how : {"pidfd", "id"}) {
            CAPTURE(how);
            const Daemon daemon;
            REQUIRE(daemon.start(speaks({"background=1:" + how, "say=STATUS=behind"}, kNotify))
                        .code == 0);
            CHECK(wait_until([&] { return daemon.worker("w.0").at("status_text") == "behind"; }));
            const pid_t pid = daemon.pid_of("w.0");
            CHECK(::getsid(pid) != ::getsid(daemon.keeper_pid()));
            CHECK(daemon.worker("w.0").at("restarts") == 0);
        }
        const Daemon daemon;
        const std::string once = "ready = \"notify\"\nrestart = \"never\"\nmin_uptime = \"0s\"\n";
        const Outcome outcome = daemon.start(speaks({"background=1:wrong-id"}, once));
        CHECK(wait_until([&] { return daemon.state_of("w.0") == "exited"; }));
        CHECK(daemon_log(daemon).find(" is ignored: no process of this run") != std::string::npos);
    }

    TEST_CASE("notify/restart_reset: what says that it is well again is forgiven its restarts") {
        const Daemon daemon;
        const std::string failed = daemon.dir() / "failed";
        // Fails until it has failed twice, is well then, and is killed once more.
        const std::string program =
            "echo x >>" + failed + "; if [ $(wc -l <" + failed + ") -le 2 ]; then exit 1; fi; exec " +
            worker_program("speaks") + " say=READY=1 say=RESTART_RESET=1 say=STATUS=well";
        const std::string limit =
            "restart_limit = { count = 2, window = \"1h\", then = \"fatal\" }\n";
        const std::string table = worker_table("w", {"sh", "-c", program}, kNotify + limit);
        REQUIRE(daemon.ctl({"start", "--no-wait", daemon.write("c.toml", table)}).code == 0);
        REQUIRE(wait_until([&] { return daemon.worker("w.0").at("status_text") == "well"; }));
        CHECK(daemon.worker("w.0").at("restarts") == 0);
        const pid_t pid = daemon.pid_of("w.0");
        REQUIRE(::kill(pid, SIGKILL) == 0);
        // A third restart within the hour would be one too many.
        CHECK(wait_until([&] {
            return daemon.worker("w.0").at("status_text") == "well" && daemon.pid_of("w.0") != pid;
        }));
    }

    TEST_CASE("notify/restart_reset: who asks with its last words is not started by that") {
        const Daemon daemon;
        const std::string table =
            speaks({"say=READY=1", "say=RESTART_RESET=1", "end=1"},
                   "ready = \"notify\"\nmin_uptime = \"0s\"\nbackoff = { initial = \"1h\", max = \"1h\" }\n");
        REQUIRE(daemon.ctl({"start", "--no-wait", daemon.write("c.toml", table)}).code == 0);
        CHECK(wait_until([&] { return daemon.state_of("w.0") == "backoff"; }));
        pause(milliseconds{100});
        CHECK(daemon.state_of("w.0") == "backoff");
        CHECK(daemon_log(daemon).find("(run 2)") == std::string::npos);
    }

    TEST_CASE("notify/reloading: a reload by signal waits for READY=1, or says that it never came") {
        const Daemon daemon;
        const std::string go = daemon.dir() / "go";
        const std::string table =
            speaks({"reloads=" + go, "say=READY=1"},
                   // Within min_uptime it has to say that it reloads itself.
                   "min_uptime = \"200ms\"\nready = \"notify\"\nstart_timeout = \"2s\"\nreload = { signal = \"SIGHUP\" }\n");
        REQUIRE(daemon.start(table).code == 0);
        const pid_t pid = daemon.pid_of("w.0");
        Process reload = daemon.start_ctl({"reload", "w"});
        const auto is_told = [&] { return daemon.worker("w.0").value("reload", Json()).is_string(); };
        CHECK(wait_until(is_told));
        kill_supervisor(daemon);
        pause(milliseconds{300});
        CHECK(reload.is_running());
        daemon.write("go", "");
        CHECK(reload.wait().code == 0);
        ::unlink(go.c_str());
        const Outcome failed = daemon.ctl({"reload", "w"});
        CHECK(failed.code == 1);
        CHECK(failed.err.find("not ready within start_timeout (2s)") != std::string::npos);
        CHECK(daemon.pid_of("w.0") == pid);
    }

    TEST_CASE("notify/path: a name too long for a socket's path is a failed start that says so") {
        Daemon daemon;
        // The control socket fits into the 107 bytes, the notify socket of this name does not.
        const std::size_t used = std::string(daemon.dir() / "").size();
        daemon.env()["CLUSTER_RUNTIME_DIR"] = daemon.dir() / std::string(85 - used, 'r');
        const std::string name(64, 'w');
        const Outcome outcome = daemon.start(
            worker_table(name, {worker_program("speaks"), "say=READY=1"}, kNotify));
        CHECK(outcome.code == 1);
        CHECK(outcome.err.find("its path has more than 107 bytes; choose a shorter runtime "
                               "directory or name") != std::string::npos);
    }

    TEST_CASE("notify/flood: ten thousand datagrams a second cost a bounded part of a processor") {
        const Daemon daemon;
        const std::string quiet =
            worker_table("quiet", {worker_program("speaks"), "say=READY=1"}, kNotify);
        REQUIRE(daemon.start(speaks({"say=READY=1", "flood=1000000000"}, kNotify) + quiet).code ==
                0);
        const auto cpu_of = [](pid_t pid) {
            const std::string stat = text_of("/proc/" + std::to_string(pid) + "/stat");
            long user = 0;
            long system = 0;
            REQUIRE(std::sscanf(stat.c_str() + stat.rfind(')') + 2,
                                "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %ld %ld", &user,
                                &system) == 2);
            return static_cast<double>(user + system) / static_cast<double>(::sysconf(_SC_CLK_TCK));
        };
        const auto number = [&] {
            const Json text = daemon.worker("w.0").value("status_text", Json());
            return text.is_string() ? std::stol(text.get<std::string>()) : 0;
        };
        REQUIRE(wait_until([&] { return number() > 0; }));
        const pid_t supervisor = daemon.supervisor_pid();
        const double cpu_before = cpu_of(supervisor);
        const long number_before = number();
        const auto begun = std::chrono::steady_clock::now();
        REQUIRE(wait_until([&] { return std::chrono::steady_clock::now() - begun >= seconds{2}; }));
        const double took =
            std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
        const double share = (cpu_of(supervisor) - cpu_before) / took;
        const auto read = static_cast<double>(number() - number_before);
        std::printf("%.0f datagrams a second were read, %.0f%% of a processor\n", read / took,
                    share * 100);
        // NotifySockets reads 64 in 10 ms at most; the rest of the worker's words waits with it.
        CHECK(read / took < 7000);
        CHECK(share < 0.5 * kPatience);
        CHECK(daemon.supervisor_pid() == supervisor);
        CHECK(daemon.ctl({"restart", "quiet"}).took < seconds{2} * kPatience);
    }
}

}  // namespace cluster::test
