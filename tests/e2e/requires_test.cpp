#include <doctest/doctest.h>
#include <signal.h>

#include <set>
#include <string>

#include "support/daemon.hpp"
#include "support/keys.hpp"

namespace cluster::test {
namespace {

std::string db_until(const std::string& file) {
    return worker_table("db", {worker_program("speaks"), "until=" + file, "say=READY=1"},
                        kAtOnce + "ready = \"notify\"");
}

const std::string kApi =
    worker_table("api", {worker_program("idle")}, kAtOnce + "requires = [\"db\"]");

std::string text_or_none(const Json& worker, const char* key) {
    const Json value = worker.value(key, Json());
    return value.is_string() ? value.get<std::string>() : "none";
}

/// A start in the background has come so far.
bool is_known(const Daemon& daemon, const std::string& id) {
    if (!daemon.is_answering()) return false;
    const Json status = daemon.status();
    for (const auto& worker : status.at("workers")) {
        if (worker.at("id") == id) return true;
    }
    return false;
}

}  // namespace

TEST_SUITE("e2e") {
    TEST_CASE("requires/start: waits until what it requires is ready, over a killed supervisor") {
        const Daemon daemon;
        const std::string go = daemon.dir() / "go";
        const std::string config = daemon.write("c.toml", kApi + db_until(go));
        Process start = daemon.start_ctl({"start", config});
        REQUIRE(wait_until([&] { return is_known(daemon, "db.0"); }));
        REQUIRE(daemon.wait_for_state("db.0", "running"));
        REQUIRE(daemon.wait_for_state("api.0", "starting"));
        const Json waiting = daemon.worker("api.0");
        CHECK(waiting.value("pid", Json()).is_null());
        CHECK(text_or_none(waiting, "waits_for") == "db to be ready");
        const pid_t db = daemon.pid_of("db.0");
        kill_supervisor(daemon);
        CHECK(daemon.state_of("api.0") == "starting");
        CHECK(daemon.worker("api.0").value("pid", Json()).is_null());
        daemon.write("go", "");
        CHECK(start.wait().code == 0);
        CHECK(daemon.state_of("api.0") == "running");
        CHECK(daemon.pid_of("db.0") == db);
        CHECK(text_or_none(daemon.worker("api.0"), "waits_for") == "none");
    }

    TEST_CASE("wants/start: what is wanted is tried first, and its failure holds nobody up") {
        const Daemon daemon;
        const std::string api =
            worker_table("api", {worker_program("idle")}, kAtOnce + "wants = \"db\"");
        const std::string config = daemon.write("c.toml", api + db_until(daemon.dir() / "go"));
        Process start = daemon.start_ctl({"start", config});
        REQUIRE(wait_until([&] { return is_known(daemon, "db.0"); }));
        REQUIRE(daemon.wait_for_state("db.0", "running"));
        REQUIRE(daemon.wait_for_state("api.0", "starting"));
        CHECK(text_or_none(daemon.worker("api.0"), "waits_for") == "db to be ready");
        CHECK(daemon.ctl({"describe", "api"}).out.find("db to be ready") != std::string::npos);
        kill_supervisor(daemon);
        CHECK(daemon.state_of("api.0") == "starting");
        daemon.write("go", "");
        CHECK(start.wait().code == 0);
        CHECK(daemon.state_of("api.0") == "running");
        REQUIRE(daemon.ctl({"stop", "db"}).code == 0);
        CHECK(daemon.state_of("api.0") == "running");

        const std::string broken = worker_table("db", {"/nonexistent/db"}, kAtOnce);
        static_cast<void>(daemon.ctl({"apply", daemon.write("c.toml", api + broken)}));
        REQUIRE(daemon.ctl({"stop", "all"}).code == 0);
        CHECK(daemon.ctl({"start", "api"}).code == 1);
        CHECK(daemon.wait_for_state("api.0", "running"));
    }

    TEST_CASE("after/start: only an order, kept when both start, and nothing when one does") {
        const Daemon daemon;
        const std::string api =
            worker_table("api", {worker_program("idle")}, kAtOnce + "after = [\"db\"]");
        const std::string config = daemon.write("c.toml", api + db_until(daemon.dir() / "go"));
        Process start = daemon.start_ctl({"start", config});
        REQUIRE(wait_until([&] { return is_known(daemon, "db.0"); }));
        REQUIRE(daemon.wait_for_state("db.0", "running"));
        REQUIRE(daemon.wait_for_state("api.0", "starting"));
        daemon.write("go", "");
        CHECK(start.wait().code == 0);
        REQUIRE(daemon.ctl({"stop", "all"}).code == 0);
        REQUIRE(daemon.ctl({"start", "api"}).code == 0);
        CHECK(daemon.state_of("api.0") == "running");
        CHECK(daemon.state_of("db.0") == "stopped");
    }

    TEST_CASE("requires/start: a start of one worker starts what it requires, too") {
        const Daemon daemon;
        daemon.write("go", "");
        REQUIRE(daemon.start(db_until(daemon.dir() / "go") + kApi).code == 0);
        REQUIRE(daemon.ctl({"stop", "all"}).code == 0);
        REQUIRE(daemon.ctl({"start", "api"}).code == 0);
        CHECK(daemon.state_of("db.0") == "running");
        CHECK(daemon.state_of("api.0") == "running");
    }

    TEST_CASE("requires/failure: the waiting one is told why, and starts when it is over") {
        const Daemon daemon;
        const std::string go = daemon.dir() / "go";
        const std::string script =
            "test -e " + go + " || exit 3; exec " + worker_program("speaks") + " say=READY=1";
        const std::string db =
            worker_table("db", {"/bin/sh", "-c", script},
                         "min_uptime = \"20ms\"\nready = \"notify\"\nbackoff = { initial = "
                         "\"300ms\", max = \"300ms\", jitter = 0.0 }\n");
        const Outcome outcome = daemon.start(kApi + db);
        CHECK(outcome.code == 1);
        CHECK(outcome.err.find("requires db, which failed: exit code 3") != std::string::npos);
        CHECK(daemon.state_of("api.0") == "starting");
        kill_supervisor(daemon);
        daemon.write("go", "");
        CHECK(daemon.wait_for_state("api.0", "running"));
    }

    TEST_CASE("requires/stop: dependents leave first, over a killed supervisor") {
        const Daemon daemon;
        const std::string db = worker_table("db", {worker_program("idle")}, kAtOnce);
        const std::string api =
            worker_table("api", {worker_program("stubborn"), "700"}, kAtOnce + "requires = \"db\"");
        REQUIRE(daemon.start(api + db).code == 0);
        REQUIRE(wait_until([&] { return daemon.out_log("api.0") == "ready\n"; }));
        const pid_t db_pid = daemon.pid_of("db.0");
        const pid_t api_pid = daemon.pid_of("api.0");
        Process stop = daemon.start_ctl({"stop", "db"});
        REQUIRE(daemon.wait_for_state("api.0", "stopping"));
        CHECK(text_or_none(daemon.worker("db.0"), "waits_for") == "api to stop");
        kill_supervisor(daemon);
        bool was_in_order = true;
        REQUIRE(wait_until([&] {
            const bool is_db_alive = is_alive(db_pid);  // asked first
            was_in_order = was_in_order && (is_db_alive || !is_alive(api_pid));
            return !is_db_alive && !is_alive(api_pid);
        }));
        CHECK(was_in_order);
        CHECK(stop.wait().code == 0);
        CHECK(daemon.state_of("db.0") == "stopped");
        CHECK(daemon.state_of("api.0") == "stopped");
        CHECK(daemon.out_log("api.0") == "ready\nasked\n");
    }

    TEST_CASE("requires/stop: what dies while its stop is held stays down") {
        const Daemon daemon;
        const std::string db = worker_table("db", {worker_program("idle")}, kAtOnce);
        const std::string api =
            worker_table("api", {worker_program("stubborn"), "700"}, kAtOnce + "requires = \"db\"");
        REQUIRE(daemon.start(db + api).code == 0);
        REQUIRE(wait_until([&] { return daemon.out_log("api.0") == "ready\n"; }));
        Process stop = daemon.start_ctl({"stop", "all"});
        REQUIRE(daemon.wait_for_state("api.0", "stopping"));
        REQUIRE(::kill(daemon.pid_of("db.0"), SIGKILL) == 0);
        CHECK(stop.wait().code == 0);
        CHECK(daemon.worker("db.0").at("restarts") == 0);
        CHECK(daemon.state_of("db.0") == "stopped");
    }

    TEST_CASE("requires/shutdown: everything leaves in that order") {
        const Daemon daemon;
        const auto worker = [](const std::string& name, const std::string& more) {
            return worker_table(name,
                                {"/bin/sh", "-c",
                                 "trap 'sleep 0.2; date +%s%N; exit 0' TERM; echo up; "
                                 "while :; do sleep 0.05; done"},
                                kAtOnce + more);
        };
        REQUIRE(daemon
                    .start(worker("a", "requires = [\"b\"]") + worker("b", "requires = [\"c\"]") +
                           worker("c", ""))
                    .code == 0);
        for (const char* id : {"a.0", "b.0", "c.0"}) {
            REQUIRE(wait_until([&] { return daemon.out_log(id) == "up\n"; }));
        }
        REQUIRE(daemon.ctl({"shutdown"}).code == 0);
        const auto end_of = [&](const std::string& id) {
            return std::stoll(daemon.out_log(id).substr(3));
        };
        CHECK(end_of("a.0") < end_of("b.0"));
        CHECK(end_of("b.0") < end_of("c.0"));
    }

    TEST_CASE("requires/restart: of all goes down in reverse and comes up in order") {
        const Daemon daemon;
        daemon.write("go", "");
        REQUIRE(daemon.start(db_until(daemon.dir() / "go") + kApi).code == 0);
        const pid_t db = daemon.pid_of("db.0");
        const pid_t api = daemon.pid_of("api.0");
        REQUIRE(daemon.ctl({"restart", "all"}).code == 0);
        CHECK(daemon.pid_of("db.0") != db);
        CHECK(daemon.pid_of("api.0") != api);
        // Each answer puts them on the clock of the wall anew, to the millisecond.
        const auto ended_at = [&](const std::string& id) {
            return daemon.worker(id).at("last_exit").at("at_ms").get<std::int64_t>();
        };
        CHECK(ended_at("api.0") <= ended_at("db.0") + 1);
    }

    TEST_CASE("requires/config: cycles and strangers are refused by name, and nothing starts") {
        const Daemon daemon;
        const std::string cycle =
            worker_table("a", {worker_program("idle")}, "requires = [\"b\"]") +
            worker_table("b", {worker_program("idle")}, "requires = [\"a\"]");
        const Outcome refused = daemon.start(cycle);
        CHECK(refused.code == 2);
        CHECK(refused.err.find("a → b → a") != std::string::npos);
        const Outcome unknown =
            daemon.start(worker_table("api", {worker_program("idle")}, "requires = [\"bd\"]") +
                         worker_table("db", {worker_program("idle")}));
        CHECK(unknown.code == 2);
        CHECK(unknown.err.find("there is no worker \"bd\"") != std::string::npos);
    }

    TEST_CASE("requires/files: a second file may require what is there, and nobody deletes that") {
        const Daemon daemon;
        REQUIRE(daemon.start(worker_table("db", {worker_program("idle")}, kAtOnce)).code == 0);
        REQUIRE(daemon.ctl({"start", daemon.write("second.toml", kApi)}).code == 0);
        CHECK(daemon.state_of("api.0") == "running");
        const Outcome refused = daemon.ctl({"delete", "db"});
        CHECK(refused.code == 1);
        CHECK(refused.err.find("api requires db") != std::string::npos);
        CHECK(daemon.state_of("db.0") == "running");
        const Outcome cycle = daemon.ctl(
            {"start", daemon.write("third.toml", worker_table("db", {worker_program("idle")},
                                                              kAtOnce + "requires = [\"api\"]"))});
        CHECK(cycle.code != 0);
        CHECK(cycle.err.find("api → db → api") != std::string::npos);
        CHECK(daemon.ctl({"delete", "db", "api"}).code == 0);
    }

    TEST_CASE("requires/parallel_starts: so many start at a time, and all in the end") {
        const Daemon daemon;
        const std::string go = daemon.dir() / "go";
        const std::string config =
            "[daemon]\nparallel_starts = 2\n" +
            worker_table("w", {worker_program("speaks"), "print=up", "until=" + go, "say=READY=1"},
                         kAtOnce + "instances = 5\nready = \"notify\"");
        Process start = daemon.start_ctl({"start", daemon.write("c.toml", config)});
        const auto count_up = [&] {
            int up = 0;
            for (int i = 0; i < 5; ++i) up += daemon.pid_of("w." + std::to_string(i)) != 0 ? 1 : 0;
            return up;
        };
        REQUIRE(wait_until([&] { return is_known(daemon, "w.1"); }));
        REQUIRE(daemon.wait_for_state("w.1", "running"));
        CHECK(count_up() == 2);
        CHECK(text_or_none(daemon.worker("w.4"), "waits_for") ==
              "others to be ready (parallel_starts)");
        kill_supervisor(daemon);
        CHECK(count_up() == 2);
        daemon.write("go", "");
        CHECK(start.wait().code == 0);
        CHECK(count_up() == 5);
    }
}

}  // namespace cluster::test
