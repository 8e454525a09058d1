#include <doctest/doctest.h>
#include <signal.h>

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "support/daemon.hpp"
#include "support/keys.hpp"

namespace cluster::test {
namespace {

std::string idle(const std::string& name, const std::string& more = "") {
    return worker_table(name, {worker_program("idle")}, kQuick + more);
}

Json describe(const Daemon& daemon, const std::string& id) {
    const Outcome outcome = daemon.ctl({"describe", "--json", id});
    REQUIRE_MESSAGE(outcome.code == 0, outcome.err);
    return Json::parse(outcome.out).at("instances").at(0);
}

}  // namespace

TEST_SUITE("e2e") {
    TEST_CASE("verbs/signal: reaches the main process alone, and says who was not running") {
        const Daemon daemon;
        // The child shares the process group; a signal to the group would end it.
        REQUIRE(daemon
                    .start(worker_table("a",
                                        {"/bin/sh", "-c",
                                         "trap 'echo got' USR1; sleep 1000 & while :; do wait $!; "
                                         "kill -0 $! || echo lost; done"},
                                        kQuick + "instances = 2\ngroup = \"g\"") +
                           idle("b", "group = \"g\""))
                    .code == 0);
        REQUIRE(daemon.ctl({"stop", "a.1", "b"}).code == 0);
        const Outcome outcome = daemon.ctl({"signal", "USR1", "@g"});
        CHECK(outcome.code == 0);
        CHECK(outcome.out == "SIGUSR1 sent to 1 instance\n");
        CHECK(outcome.err == "a.1 and 1 more: not running\n");
        CHECK(wait_until([&] { return daemon.out_log("a.0") == "got\n"; }));
        CHECK(daemon.ctl({"signal", "USR1", "a.1"}).code == 1);
        CHECK(daemon.ctl({"signal", "NONSENSE", "a"}).code == 2);
        CHECK(daemon.ctl({"signal", "USR1"}).code == 2);
        CHECK(daemon.ctl({"signal", "USR1", "nobody"}).code == 1);
    }

    TEST_CASE("verbs/signal: a SIGTERM by hand is no stop, also for the next supervisor") {
        const Daemon daemon;
        REQUIRE(daemon.start(worker_table("s", {worker_program("stubborn"), "200"}, kQuick)).code ==
                0);
        REQUIRE(wait_until([&] { return daemon.out_log("s.0") == "ready\n"; }));
        REQUIRE(daemon.ctl({"signal", "TERM", "s"}).code == 0);
        kill_supervisor(daemon);
        CHECK(wait_until([&] { return daemon.worker("s.0").at("restarts") == 1; }));
        REQUIRE(daemon.wait_for_state("s.0", "running"));
        CHECK(daemon.ctl({"stop", "s"}).code == 0);
    }

    TEST_CASE("verbs/reset: counters go, a backoff ends, and what was given up is tried") {
        const Daemon daemon;
        const std::string flag = daemon.dir() / "flag";
        const std::vector<std::string> command = {"/bin/sh", "-c",
                                                  "test -e " + flag + " && exec sleep 100; exit 4"};
        REQUIRE(daemon
                    .start(worker_table("slow", command,
                                        kQuick + "backoff = { initial = \"1h\", max = \"2h\" }") +
                           worker_table("gone", command,
                                        kQuick + "backoff = { initial = \"1ms\" }\n" +
                                            "restart_limit = { count = 1, then = \"fatal\" }") +
                           idle("fine"))
                    .code == 1);
        REQUIRE(daemon.wait_for_state("gone.0", "fatal"));
        REQUIRE(daemon.wait_for_state("slow.0", "backoff"));
        const pid_t fine = daemon.pid_of("fine.0");
        ::kill(fine, SIGKILL);
        REQUIRE(wait_until([&] {
            return daemon.worker("fine.0").at("restarts") == 1 && daemon.pid_of("fine.0") != 0;
        }));
        const pid_t next = daemon.pid_of("fine.0");
        daemon.write("flag", "");
        const Outcome outcome = daemon.ctl({"reset", "all"});
        INFO(outcome.err);
        CHECK(outcome.code == 0);
        for (const char* id : {"slow.0", "gone.0", "fine.0"}) {
            CHECK_MESSAGE(daemon.state_of(id) == "running", id);
            CHECK_MESSAGE(daemon.worker(id).at("restarts") == 0, id);
        }
        CHECK(daemon.pid_of("fine.0") == next);
        CHECK(daemon.ctl({"reset"}).code == 2);
        CHECK(daemon.ctl({"reset", "nobody"}).code == 1);
    }

    TEST_CASE("verbs/restart --parallel: so many at a time, and it stops at a failure") {
        const Daemon daemon;
        const std::string flag = daemon.dir() / "bad";
        REQUIRE(daemon
                    .start(worker_table("w",
                                        {"/bin/sh", "-c",
                                         "test $CLUSTER_INSTANCE = 2 -a -e " + flag +
                                             " && exit 9; exec sleep 1000"},
                                        "min_uptime = \"150ms\"\ninstances = 5\n"
                                        "backoff = { initial = \"1h\", max = \"1h\" }"))
                    .code == 0);
        const auto pids = [&] {
            std::map<int, pid_t> result;
            for (int i = 0; i < 5; ++i) result[i] = daemon.pid_of("w." + std::to_string(i));
            return result;
        };
        auto before = pids();
        Process restart = daemon.start_ctl({"restart", "--parallel", "2", "w"});
        bool had_too_few = false;
        while (restart.is_running()) {
            int up = 0;
            for (const auto& [number, pid] : before) up += is_alive(pid) ? 1 : 0;
            const auto now = pids();
            int running = 0;
            for (const auto& [number, pid] : now) running += pid != 0 ? 1 : 0;
            had_too_few = had_too_few || running < 3;
        }
        CHECK(restart.wait().code == 0);
        CHECK_FALSE(had_too_few);
        auto after = pids();
        for (int i = 0; i < 5; ++i) CHECK(after[i] != before[i]);

        daemon.write("bad", "");
        const Outcome failed = daemon.ctl({"restart", "-p", "1", "w"});
        CHECK(failed.code == 1);
        CHECK(failed.err.find("w.2: exit code 9") != std::string::npos);
        CHECK(failed.err.find("2 instances not restarted, because w.2 is not good: w.3 and on") !=
              std::string::npos);
        before = after;
        after = pids();
        CHECK(after[0] != before[0]);
        CHECK(after[3] == before[3]);
        CHECK(after[4] == before[4]);
        CHECK(daemon.ctl({"restart", "-p", "0", "w"}).code == 2);
        CHECK(daemon.ctl({"restart", "-p", "2", "--no-wait", "w"}).code == 2);
    }

    TEST_CASE("verbs/restart --parallel: goes on over the death of the supervisor") {
        const Daemon daemon;
        REQUIRE(daemon.start(idle("w", "instances = 4")).code == 0);
        std::map<std::string, pid_t> before;
        for (const char* id : {"w.0", "w.1", "w.2", "w.3"}) before[id] = daemon.pid_of(id);
        Process restart = daemon.start_ctl({"restart", "-p", "1", "w"});
        for (int i = 0; i < 3; ++i) {
            pause(milliseconds{60});
            ::kill(daemon.supervisor_pid(), SIGKILL);
        }
        CHECK(restart.wait(seconds{30}).code == 0);
        for (const auto& [id, pid] : before) {
            CHECK_MESSAGE(daemon.pid_of(id) != pid, id);
            CHECK_MESSAGE(daemon.state_of(id) == "running", id);
        }
    }

    TEST_CASE("verbs/pid and env: what scripts need") {
        Daemon daemon;
        REQUIRE(daemon
                    .start(idle("a", "instances = 2\nenv = { A = \"1\", B = \"x y\" }") +
                           idle("off", "autostart = false"))
                    .code == 0);
        CHECK(daemon.ctl({"pid", "a"}).out == std::to_string(daemon.pid_of("a.0")) + "\n" +
                                                  std::to_string(daemon.pid_of("a.1")) + "\n");
        CHECK(daemon.ctl({"pid", "off"}).code == 1);
        CHECK(daemon.ctl({"pid", "off", "a.0"}).code == 0);
        CHECK(daemon.ctl({"pid"}).code == 2);
        const Json pids = Json::parse(daemon.ctl({"pid", "--json", "all"}).out);
        CHECK(pids.at("instances").at(2) == Json({{"id", "off.0"}, {"pid", nullptr}}));

        const std::string env = daemon.ctl({"env", "a.1"}).out;
        CHECK(env.find("A=1\nB=x y\n") == 0);
        CHECK(env.find("\nCLUSTER_INSTANCE=1\n") != std::string::npos);
        CHECK(daemon.ctl({"env", "--running", "a.1"}).out == env);
        CHECK(daemon.ctl({"env", "off"}).code == 0);
        CHECK(daemon.ctl({"env", "--running", "off"}).code == 1);
    }

    TEST_CASE(
        "verbs/describe: the spec with its origins, the environments, descriptors, what comes") {
        const Daemon daemon;
        const std::string env_file = daemon.write("vars", "FROM_FILE=1\n");
        REQUIRE(
            daemon
                .start(
                    idle("a", "env = { A = \"1\" }\nenv_file = \"vars\"\nstop_timeout = \"33s\"") +
                    worker_table("bad", {worker_program("exits"), "3", "1"},
                                 kQuick + "backoff = { initial = \"1h\", max = \"1h\" }"))
                .code == 1);
        daemon.write("vars", "FROM_FILE=2\nNEW=1\n");
        const Json a = describe(daemon, "a.0");
        CHECK(a.at("id") == "a.0");
        std::map<std::string, Json> keys;
        for (const Json& key : a.at("spec")) keys[key.at("key")] = key;
        CHECK(keys["stop_timeout"].at("value") == "33s");
        CHECK(keys["stop_timeout"].at("origin") == daemon.dir() / "config.toml");
        CHECK(keys["start_timeout"].at("origin") == "default");
        std::map<std::string, Json> env;
        for (const Json& variable : a.at("environment")) env[variable.at("name")] = variable;
        CHECK(a.at("environment_read") == true);
        CHECK(env["A"].at("next") == env["A"].at("running"));
        CHECK(env["FROM_FILE"].at("next") == "2");
        CHECK(env["FROM_FILE"].at("running") == "1");
        CHECK(env["NEW"].at("running").is_null());
        CHECK(a.at("descriptor_count") == 5);
        CHECK(env["CLUSTER_SOCKET"].at("next") == env["CLUSTER_SOCKET"].at("running"));
        CHECK(keys["store"].at("value") == "automatic");
        CHECK(a.at("descriptors").at(0).at("target") == "/dev/null");
        CHECK(a.at("exits").empty());

        const Json bad = describe(daemon, "bad.0");
        CHECK(bad.at("deadline") == "next start");
        CHECK(bad.at("deadline_ms").get<long>() > 3'000'000);
        REQUIRE(bad.at("exits").size() == 1);
        CHECK(bad.at("exits").at(0).at("code") == 3);
        CHECK(bad.at("exits").at(0).at("run") == 1);
        CHECK(bad.at("exits").at(0).at("uptime_ms").get<long>() >= 0);

        std::filesystem::remove(env_file);
        CHECK(describe(daemon, "a.0").at("environment_problem").get<std::string>().find("vars") !=
              std::string::npos);
        CHECK(daemon.ctl({"env", "a.0"}).code == 1);
        const Outcome text = daemon.ctl({"describe", "a.0"});
        CHECK(text.out.find("a.0: running, ready\n") == 0);
        CHECK(daemon.ctl({"describe"}).code == 2);
        CHECK(daemon.ctl({"describe", "nobody"}).code == 1);
    }

    TEST_CASE(
        "verbs/describe: the last twenty exits, whoever dies meanwhile, and none of another") {
        const Daemon daemon;
        REQUIRE(daemon
                    .start(idle("a",
                                "backoff = { initial = \"1ms\", factor = 1.0, max = \"1ms\" }\n"
                                "restart_limit = { count = 32, window = \"1ms\" }"))
                    .code == 0);
        for (int i = 1; i <= 25; ++i) {
            const pid_t pid = daemon.pid_of("a.0");
            REQUIRE(pid != 0);
            ::kill(pid, SIGKILL);
            if (i % 6 == 0) kill_supervisor(daemon);
            REQUIRE(wait_until([&] {
                const pid_t next = daemon.pid_of("a.0");
                return next != 0 && next != pid;
            }));
        }
        const Json exits = describe(daemon, "a.0").at("exits");
        REQUIRE(exits.size() == 20);
        for (std::size_t i = 0; i < exits.size(); ++i) {
            CHECK(exits[i].at("run") == i + 6);
            CHECK(exits[i].at("signal") == "SIGKILL");
            CHECK(exits[i].at("pid").get<int>() > 0);
            CHECK_FALSE(exits[i].at("uptime_ms").is_null());
        }
        REQUIRE(daemon.ctl({"delete", "a"}).code == 0);
        REQUIRE(daemon.start(idle("b")).code == 0);
        CHECK(describe(daemon, "b.0").at("exits").empty());
        kill_supervisor(daemon);
        CHECK(describe(daemon, "b.0").at("exits").empty());
    }
}

}  // namespace cluster::test
