#include <doctest/doctest.h>
#include <sys/stat.h>

#include <string>

#include "support/daemon.hpp"

namespace cluster::test {
namespace {

/// The first line of `text` that has all of `words`.
bool has(const std::string& text, const std::vector<std::string>& words) {
    for (const auto& word : words) {
        if (text.find(word) == std::string::npos) return false;
    }
    return true;
}

/// `start` of this one worker must end with 1 and name step and reason on stderr.
void check_refused(const std::string& table, const std::vector<std::string>& words) {
    const Daemon daemon;
    const Outcome outcome = daemon.start(table);
    INFO(outcome.err);
    CHECK(outcome.code == 1);
    CHECK(has(outcome.err, words));
    const Json worker = daemon.worker("srv.0");
    CHECK(worker.at("state") != "running");
    CHECK((worker.value("pid", Json()).is_null() || worker.at("state") == "starting"));
    CHECK(daemon.ctl({"stop", "srv"}).code == 0);
    CHECK(daemon.state_of("srv.0") == "stopped");
}

}  // namespace

TEST_SUITE("e2e") {
    TEST_CASE("failures/exec: a file without the execute bit") {
        const Daemon place;
        place.write("srv", "#!/bin/sh\nexit 0\n");
        check_refused(worker_table("srv", {place.dir() / "srv"}), {"srv", "Permission denied"});
    }

    TEST_CASE("failures/exec: a command that is not there") {
        check_refused(worker_table("srv", {"/nonexistent/server"}),
                      {"/nonexistent/server", "No such file or directory"});
    }

    TEST_CASE("failures/exec: a command that is not in PATH") {
        check_refused(worker_table("srv", {"no-such-command-anywhere"}),
                      {"no-such-command-anywhere", "PATH"});
    }

    TEST_CASE("failures/exec: a script whose interpreter is missing") {
        const Daemon place;
        place.write("srv", "#!/nonexistent/interpreter\n");
        REQUIRE(::chmod((place.dir() / "srv").c_str(), 0755) == 0);
        check_refused(worker_table("srv", {place.dir() / "srv"}),
                      {"srv", "/nonexistent/interpreter"});
    }

    TEST_CASE("failures/exec: a file that is no program") {
        const Daemon place;
        place.write("srv", "\x7fnot a program\n");
        REQUIRE(::chmod((place.dir() / "srv").c_str(), 0755) == 0);
        check_refused(worker_table("srv", {place.dir() / "srv"}), {"srv", "Exec format error"});
    }

    TEST_CASE("failures/exec: a directory is no program") {
        check_refused(worker_table("srv", {"/tmp/"}), {"/tmp/", "Permission denied"});
    }

    TEST_CASE("failures/cwd: a directory that is not there") {
        check_refused(worker_table("srv", {worker_program("idle")}, "cwd = \"/nonexistent/dir\""),
                      {"/nonexistent/dir", "No such file or directory"});
    }

    TEST_CASE("failures/user: a user that does not exist") {
        if (!is_root()) return skip("only root's daemon may switch users");
        check_refused(worker_table("srv", {worker_program("idle")}, "user = \"no-such-user\""),
                      {"no-such-user"});
    }

    TEST_CASE("failures/user: a group that does not exist") {
        if (!is_root()) return skip("only root's daemon may switch groups");
        check_refused(
            worker_table("srv", {worker_program("idle")}, "user = \"nobody:no-such-group\""),
            {"no-such-group"});
    }

    TEST_CASE("failures/early death: the exit code and the last lines of stderr are shown") {
        const Daemon daemon;
        const Outcome outcome = daemon.start(
            worker_table("srv", {worker_program("exits"), "7", "100", "cannot open the database"}));
        INFO(outcome.err);
        CHECK(outcome.code == 1);
        CHECK(has(outcome.err, {"srv.0", "7", "cannot open the database"}));
    }

    TEST_CASE("failures/early death: a signal is named and is no exit code") {
        const Daemon daemon;
        const Outcome outcome = daemon.start(worker_table(
            "srv", {worker_program("exits"), "-11", "50"}, "backoff = { initial = \"30s\" }"));
        INFO(outcome.err);
        CHECK(outcome.code == 1);
        CHECK(has(outcome.err, {"srv.0", "SIGSEGV"}));
        const Json exit = daemon.worker("srv.0").at("last_exit");
        CHECK(exit.at("signal") == "SIGSEGV");
        CHECK(exit.value("code", Json()).is_null());
    }

    TEST_CASE("failures/early death: an instance that fails does not hide those that work") {
        const Daemon daemon;
        const Outcome outcome =
            daemon.start(worker_table("bad", {worker_program("exits"), "1"}) +
                         worker_table("good", {worker_program("idle")}, "min_uptime = \"50ms\""));
        INFO(outcome.err);
        CHECK(outcome.code == 1);
        CHECK(has(outcome.err, {"bad.0"}));
        CHECK(daemon.state_of("good.0") == "running");
    }

    TEST_CASE("failures/ad hoc: a command that cannot be executed is exit code 1") {
        const Daemon daemon;
        const Outcome outcome = daemon.ctl({"start", "--name", "x", "--", "/nonexistent/server"});
        INFO(outcome.err);
        CHECK(outcome.code == 1);
        CHECK(has(outcome.err, {"/nonexistent/server", "No such file or directory"}));
    }

    TEST_CASE("failures/json: a failed start says so in the document too") {
        const Daemon daemon;
        const std::string file =
            daemon.write("config.toml", worker_table("srv", {"/nonexistent/server"}));
        const Outcome outcome = daemon.ctl({"start", file, "--json"});
        INFO(outcome.out);
        CHECK(outcome.code == 1);
        REQUIRE(Json::accept(outcome.out));
        CHECK(has(outcome.out, {"srv.0", "/nonexistent/server"}));
    }

    TEST_CASE("failures/recovery: a command that appears later is started by itself") {
        const Daemon daemon;
        const std::string program = daemon.dir() / "srv";
        const Outcome outcome =
            daemon.start(worker_table("srv", {program},
                                      "backoff = { initial = \"100ms\", max = \"200ms\" }\n"
                                      "min_uptime = \"50ms\""));
        CHECK(outcome.code == 1);
        std::filesystem::copy_file(worker_program("idle"), program + ".new");
        std::filesystem::rename(program + ".new", program);
        CHECK(daemon.wait_for_state("srv.0", "running"));
    }
}

}  // namespace cluster::test
