#include <doctest/doctest.h>
#include <signal.h>

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

/// "api restart env.PORT; db unchanged" of a --json document's plan.
std::string plan_of(const Outcome& outcome) {
    std::string text;
    const Json document = Json::parse(outcome.out);
    for (const Json& worker : document.at("plan")) {
        text += (text.empty() ? "" : "; ") + worker.at("worker").get<std::string>() + " " +
                worker.at("action").get<std::string>();
        for (const Json& change : worker.at("changes")) {
            text += " " + change.at("key").get<std::string>();
        }
    }
    return text;
}

std::vector<std::string> ids(const Daemon& daemon) {
    std::vector<std::string> result;
    const Json status = daemon.status();
    for (const Json& worker : status.at("workers")) {
        if (worker.at("state") != "stopping") result.push_back(worker.at("id"));
    }
    return result;
}

using Ids = std::vector<std::string>;

}  // namespace

TEST_SUITE("e2e") {
    TEST_CASE("apply/dry run: names everything and changes nothing") {
        const Daemon daemon;
        const std::string file =
            daemon.write("site.toml", idle("a", "env = { PORT = \"1\" }") + idle("b") + idle("c"));
        REQUIRE(daemon.ctl({"start", file}).code == 0);
        const pid_t a = daemon.pid_of("a.0");
        daemon.write("site.toml", idle("a", "env = { PORT = \"2\" }") +
                                      idle("b", "stop_timeout = \"3s\"\ninstances = 2") +
                                      idle("d"));
        const Outcome json = daemon.ctl({"apply", "--dry-run", "--json", file});
        CHECK(json.code == 0);
        CHECK(plan_of(json) ==
              "a reload env.PORT; b change instances stop_timeout; d add; c delete");
        CHECK(Json::parse(json.out).at("operation") == 0);
        const Outcome text = daemon.ctl({"apply", "-n", file});
        CHECK(text.out ==
              "~ a: reload\n    env.PORT: 1 → 2\n~ b: change in place\n    instances: 1 → 2\n"
              "    stop_timeout: 10s → 3s\n+ d: add, 1 instance\n- c: stop and delete\n");
        CHECK(ids(daemon) == Ids{"a.0", "b.0", "c.0"});
        CHECK(daemon.pid_of("a.0") == a);
    }

    TEST_CASE("apply/carried out: the file's set is exact, and nobody else is touched") {
        const Daemon daemon;
        REQUIRE(daemon.ctl({"start", "--name", "adhoc", "--", worker_program("idle")}).code == 0);
        REQUIRE(daemon.ctl({"start", daemon.write("other.toml", idle("other"))}).code == 0);
        const std::string file = daemon.write(
            "site.toml", idle("a", "env = { OLD = \"1\", PORT = \"1\" }") + idle("b") + idle("c"));
        REQUIRE(daemon.ctl({"start", file}).code == 0);
        std::map<std::string, pid_t> before;
        for (const std::string& id : ids(daemon)) before[id] = daemon.pid_of(id);

        daemon.write("site.toml", idle("a", "env = { PORT = \"2\" }") +
                                      idle("b", "stop_timeout = \"3s\"\ninstances = 2") +
                                      idle("d"));
        const Outcome outcome = daemon.ctl({"apply", file});
        INFO(outcome.err);
        CHECK(outcome.code == 0);
        CHECK(outcome.err.find("- c: stop and delete\n") != std::string::npos);
        CHECK(ids(daemon) == Ids{"adhoc.0", "other.0", "a.0", "b.0", "b.1", "d.0"});
        for (const char* id : {"adhoc.0", "other.0", "b.0"}) {
            CHECK_MESSAGE(daemon.pid_of(id) == before[id], id);
        }
        CHECK(daemon.pid_of("a.0") != before["a.0"]);
        const std::string env = daemon.ctl({"env", "--running", "a.0"}).out;
        CHECK(env.find("\nPORT=2\n") != std::string::npos);
        CHECK(env.find("OLD=") == std::string::npos);

        const Outcome again = daemon.ctl({"apply", "--json", file});
        CHECK(again.code == 0);
        CHECK(plan_of(again) == "a unchanged; b unchanged; d unchanged");
    }

    TEST_CASE("apply/refused: a bad file changes nothing, even where most of it is good") {
        const Daemon daemon;
        const std::string file = daemon.write("site.toml", idle("a") + idle("b"));
        REQUIRE(daemon.ctl({"start", file}).code == 0);
        const auto before = ids(daemon);
        const pid_t a = daemon.pid_of("a.0");
        const auto refuse = [&](const std::string& text, int code, const std::string& message) {
            daemon.write("site.toml", text);
            const Outcome outcome = daemon.ctl({"apply", file});
            INFO(outcome.err);
            CHECK(outcome.code == code);
            CHECK(outcome.err.find(message) != std::string::npos);
            CHECK(ids(daemon) == before);
            CHECK(daemon.pid_of("a.0") == a);
        };
        refuse(idle("a", "stop_timeout = 3") + idle("x"), 2, "nothing was changed");
        refuse(idle("x") + idle("y", "instances = 4096") + idle("z", "instances = 4096"), 1,
               "too many instances");
        refuse(idle("x") + "[daemon]\nlog_level = \"debug\"\n", 1, "[daemon]");
        CHECK(daemon.ctl({"apply"}).code == 2);
        CHECK(daemon.ctl({"apply", "no-such.toml"}).code == 2);
    }

    TEST_CASE("apply/worker that fails: the others are done, and it is named") {
        const Daemon daemon;
        const std::string file = daemon.write("site.toml", idle("a"));
        REQUIRE(daemon.ctl({"start", file}).code == 0);
        daemon.write("site.toml", idle("a") + idle("good") +
                                      worker_table("bad", {worker_program("exits"), "7", "1"},
                                                   kQuick + "backoff = { initial = \"20s\" }"));
        const Outcome outcome = daemon.ctl({"apply", file});
        CHECK(outcome.code == 1);
        CHECK(outcome.err.find("bad.0: exit code 7") != std::string::npos);
        CHECK(daemon.state_of("good.0") == "running");

        // Mended, it comes up although it waits for its backoff.
        daemon.write("site.toml", idle("a") + idle("good") + idle("bad"));
        CHECK(daemon.ctl({"apply", file}).code == 0);
        CHECK(daemon.state_of("bad.0") == "running");
    }

    TEST_CASE("apply/stopped by hand: it stays down, and start FILE brings it up") {
        const Daemon daemon;
        const std::string file = daemon.write("site.toml", idle("a") + idle("b"));
        REQUIRE(daemon.ctl({"start", file}).code == 0);
        REQUIRE(daemon.ctl({"stop", "a"}).code == 0);
        CHECK(daemon.ctl({"apply", file}).code == 0);
        CHECK(daemon.state_of("a.0") == "stopped");
        const Outcome start = daemon.ctl({"start", "--json", file});
        CHECK(start.code == 0);
        CHECK(plan_of(start) == "a start; b unchanged");
        CHECK(daemon.state_of("a.0") == "running");
    }

    TEST_CASE("apply/PATH of another shell: changes nothing by itself") {
        Daemon daemon;
        const std::string file = daemon.write("site.toml", idle("a"));
        REQUIRE(daemon.ctl({"start", file}).code == 0);
        const pid_t a = daemon.pid_of("a.0");
        daemon.env()["PATH"] += ":/somewhere/else";
        CHECK(plan_of(daemon.ctl({"apply", "--json", file})) == "a unchanged");
        CHECK(daemon.pid_of("a.0") == a);
    }

    TEST_CASE("apply/supervisor killed at any moment: done whole or not at all") {
        const Daemon daemon;
        const std::string file = daemon.dir() / "site.toml";
        const std::string one = idle("a") + idle("b") + idle("c");
        const std::string two = idle("a", "env = { N = \"2\" }") + idle("d") + idle("e");
        REQUIRE(daemon.ctl({"start", daemon.write("site.toml", one)}).code == 0);
        for (int round = 0; round < 8; ++round) {
            const bool is_two = round % 2 == 0;
            daemon.write("site.toml", is_two ? two : one);
            const pid_t supervisor = daemon.supervisor_pid();
            Process apply = daemon.start_ctl({"apply", file});
            pause(milliseconds{round * 3});
            ::kill(supervisor, SIGKILL);
            const Outcome outcome = apply.wait(seconds{30});
            INFO(outcome.err);
            CHECK(outcome.code == 0);
            CHECK(ids(daemon) == (is_two ? Ids{"a.0", "d.0", "e.0"} : Ids{"a.0", "b.0", "c.0"}));
        }
        REQUIRE(daemon.ctl({"shutdown"}).code == 0);
        CHECK(wait_until([] { return descendants().empty(); }, seconds{2}));
    }

    TEST_CASE("apply/SIGHUP: the daemon reads its file again, and a bad one changes nothing") {
        const Daemon daemon;
        const std::string file = daemon.write("site.toml", idle("a") + idle("b"));
        REQUIRE(daemon.ctl({"start", file}).code == 0);
        daemon.write("site.toml", idle("a", "instances = 2"));
        ::kill(daemon.keeper_pid(), SIGHUP);
        CHECK(wait_until([&] { return ids(daemon) == Ids{"a.0", "a.1"}; }));
        daemon.write("site.toml", "[worker.a]\n");
        ::kill(daemon.keeper_pid(), SIGHUP);
        CHECK(wait_until([&] {
            return text_of(daemon.log_dir() + "/clusterd.log").find("nothing was changed") !=
                   std::string::npos;
        }));
        CHECK(ids(daemon) == Ids{"a.0", "a.1"});
    }
}

}  // namespace cluster::test
