#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "support/daemon.hpp"
#include "support/paths.hpp"

namespace cluster::test {
namespace {

std::string idle(const std::string& name) {
    return worker_table(name, {worker_program("idle")}, "min_uptime = \"50ms\"");
}

std::size_t count_of(const std::string& text, const std::string& word) {
    std::size_t count = 0;
    for (auto at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) ++count;
    return count;
}

const char* const kTenMistakes = R"(
[daemon]
log_levle = "info"

[worker.a]
comand = "x"

[worker.b]
command = "x"
instances = 0

[worker.c]
command = 7

[worker.d]
command = "x"
stop_timeout = "10"

[worker.e]
command = "x"
restart = "sometimes"

[worker.f]
command = "x"
umask = "999"

[worker.all]
command = "x"

[worker.g]
command = "x"
stop_signal = "SIGTREM"
requires = "nobody"

[wroker.h]
command = "x"
)";

}  // namespace

TEST_SUITE("e2e") {
    TEST_CASE("input/config: ten mistakes are ten diagnostics and nothing starts") {
        const Daemon daemon;
        const std::string file = daemon.write("bad.toml", kTenMistakes);
        for (const char* verb : {"start", "validate"}) {
            const Outcome outcome = daemon.ctl({verb, file});
            INFO(outcome.err);
            CHECK(outcome.code == 2);
            CHECK(count_of(outcome.err, file + ":") >= 10);
            CHECK(outcome.err.find(file + ":3:1: ") != std::string::npos);
            CHECK(outcome.err.find("log_level") != std::string::npos);
            CHECK(outcome.err.find("SIGTERM") != std::string::npos);
            CHECK(outcome.err.find("there is no worker \"nobody\"") != std::string::npos);
            CHECK(outcome.err.find("command") != std::string::npos);
        }
        CHECK(descendants().empty());
        CHECK(daemon.ctl({"status"}).code == 3);
    }

    TEST_CASE("input/config: a running daemon keeps what it has when a file is bad") {
        const Daemon daemon;
        REQUIRE(daemon.start(idle("api")).code == 0);
        const pid_t pid = daemon.pid_of("api.0");
        const Outcome outcome = daemon.ctl({"start", daemon.write("bad.toml", kTenMistakes)});
        CHECK(outcome.code == 2);
        CHECK(daemon.pid_of("api.0") == pid);
        CHECK(daemon.status().at("workers").size() == 1);
    }

    TEST_CASE("input/config: no file and an unreadable file and a directory") {
        const Daemon daemon;
        Outcome outcome = daemon.ctl({"start", daemon.dir() / "none.toml"});
        INFO(outcome.err);
        CHECK(outcome.code == 2);
        CHECK(outcome.err.find("none.toml") != std::string::npos);
        CHECK(outcome.err.find("No such file or directory") != std::string::npos);
        CHECK(daemon.ctl({"validate", daemon.dir() / "none.toml"}).code == 2);
        std::filesystem::create_directory(daemon.dir() / "dir.toml");
        CHECK(daemon.ctl({"start", daemon.dir() / "dir.toml"}).code == 2);
        CHECK(descendants().empty());
    }

    TEST_CASE("input/config: a file that only others may read") {
        if (!is_root()) return skip("needs root to become somebody else");
        Daemon daemon;
        std::filesystem::permissions(daemon.dir().path(), std::filesystem::perms(0777));
        const std::string file = daemon.write("secret.toml", idle("api"));
        REQUIRE(::chmod(file.c_str(), 0600) == 0);
        Command command{.argv = {"setpriv", "--reuid=65534", "--clear-groups", "--regid=65534",
                                 daemon.copy_in(CLUSTERCTL_PATH), "start", file},
                        .env = daemon.env(),
                        .cwd = "/"};
        command.env["CLUSTER_RUNTIME_DIR"] = daemon.dir() / "theirs";
        const Outcome outcome = run(command);
        INFO(outcome.err);
        CHECK(outcome.code == 2);
        CHECK(outcome.err.find("Permission denied") != std::string::npos);
    }

    TEST_CASE("input/config: a file without a worker is a mistake and not a daemon") {
        const Daemon daemon;
        const Outcome outcome = daemon.start("");
        INFO(outcome.err);
        CHECK(outcome.code == 2);
        CHECK(outcome.err.find("[worker.NAME]") != std::string::npos);
        CHECK(descendants().empty());
    }

    TEST_CASE("input/config: a second file may not change what the daemon is") {
        const Daemon daemon;
        REQUIRE(daemon.start(idle("api")).code == 0);
        const std::string file =
            daemon.write("second.toml", "[daemon]\nlog_level = \"debug\"\n" + idle("b"));
        const Outcome outcome = daemon.ctl({"start", file});
        INFO(outcome.err);
        CHECK(outcome.code == 1);
        CHECK(outcome.err.find("[daemon]") != std::string::npos);
        CHECK(daemon.status().at("workers").size() == 1);
    }

    TEST_CASE("input/validate: a good file is exit code 0 and starts nothing") {
        const Daemon daemon;
        CHECK(daemon.ctl({"validate", daemon.write("good.toml", idle("api"))}).code == 0);
        CHECK(descendants().empty());
        for (const char* shipped : {"config/clusterd.toml", "config/quickstart.toml"}) {
            const Outcome outcome =
                daemon.ctl({"validate", std::string(CLUSTER_SOURCE_DIR "/") + shipped});
            CHECK_MESSAGE(outcome.code == 0, outcome.err);
        }
        const std::filesystem::path examples = CLUSTER_SOURCE_DIR "/config/examples";
        for (const auto& example : std::filesystem::directory_iterator(examples)) {
            if (example.path().extension() != ".toml") continue;
            const Outcome outcome = daemon.ctl({"validate", example.path()});
            CHECK_MESSAGE(outcome.code == 0, outcome.err);
        }
    }

    TEST_CASE(
        "input/runtime directory: a socket path that is too long is refused with its length") {
        Daemon daemon;
        daemon.env()["CLUSTER_RUNTIME_DIR"] = daemon.dir() / std::string(120, 'r');
        const Outcome outcome = daemon.start(idle("api"));
        INFO(outcome.err);
        CHECK(outcome.code != 0);
        CHECK(outcome.err.find("too long") != std::string::npos);
        CHECK(descendants().empty());
        const Outcome foreground = daemon.start_clusterd({}).wait(seconds{5});
        CHECK(foreground.code == 1);
        CHECK(foreground.err.find("too long") != std::string::npos);
    }

    TEST_CASE("input/runtime directory: one that belongs to somebody else is refused") {
        if (!is_root()) return skip("needs root to give a directory away");
        Daemon daemon;
        const std::string run = daemon.dir() / "run";
        std::filesystem::create_directory(run);
        REQUIRE(::chown(run.c_str(), 65534, 65534) == 0);
        const Outcome outcome = daemon.start(idle("api"));
        INFO(outcome.err);
        CHECK(outcome.code != 0);
        CHECK(outcome.err.find(run) != std::string::npos);
        CHECK(outcome.err.find("another user") != std::string::npos);
        CHECK(descendants().empty());
    }

    TEST_CASE("input/runtime directory: one that others may write to is refused") {
        const Daemon daemon;
        const std::string run = daemon.dir() / "run";
        std::filesystem::create_directory(run);
        REQUIRE(::chmod(run.c_str(), 0777) == 0);
        const Outcome outcome = daemon.start(idle("api"));
        INFO(outcome.err);
        CHECK(outcome.code != 0);
        CHECK(outcome.err.find(run) != std::string::npos);
        CHECK(descendants().empty());
    }

    TEST_CASE("input/second daemon: refused on the same directory and the first lives on") {
        const Daemon daemon;
        REQUIRE(daemon.start(idle("api")).code == 0);
        const pid_t pid = daemon.pid_of("api.0");
        const Outcome second = daemon.start_clusterd({}).wait(seconds{5});
        INFO(second.err);
        CHECK(second.code == 1);
        CHECK(second.err.find("already runs") != std::string::npos);
        CHECK(second.err.find(std::to_string(daemon.keeper_pid())) != std::string::npos);
        CHECK(daemon.pid_of("api.0") == pid);
    }

    TEST_CASE("input/second daemon: two starts at once make one daemon") {
        const Daemon daemon;
        const std::string file = daemon.write("config.toml", idle("api"));
        std::vector<Process> starts;
        for (int i = 0; i < 6; ++i) starts.push_back(daemon.start_ctl({"start", file}));
        for (auto& start : starts) {
            const Outcome outcome = start.wait();
            INFO(outcome.err);
            CHECK(outcome.code == 0);
        }
        CHECK(daemon.status().at("workers").size() == 1);
        REQUIRE(daemon.ctl({"shutdown"}).code == 0);
        CHECK(wait_until([] { return descendants().empty(); }, seconds{2}));
    }

    TEST_CASE("input/leftovers: a socket and a pid file of a dead daemon do not stand in the way") {
        const Daemon daemon;
        REQUIRE(daemon.start(idle("api")).code == 0);
        kill_descendants();
        CHECK(std::filesystem::exists(daemon.control_socket()));
        CHECK(daemon.ctl({"status"}).code == 3);
        const Outcome outcome = daemon.start(idle("api"));
        INFO(outcome.err);
        CHECK(outcome.code == 0);
    }

    TEST_CASE("input/clusterd: bad options are exit code 2 and help is 0") {
        const Daemon daemon;
        CHECK(daemon.start_clusterd({"--frobnicate"}).wait(seconds{5}).code == 2);
        CHECK(daemon.start_clusterd({"--help"}).wait(seconds{5}).code == 0);
        CHECK(daemon.start_clusterd({"--version"}).wait(seconds{5}).code == 0);
    }

    TEST_CASE("input/names: strange names and words are refused before anything happens") {
        const Daemon daemon;
        REQUIRE(daemon.start(idle("api")).code == 0);
        for (const char* name : {"", "all", "a b", "a/b", "..", "a.0"}) {
            const Outcome outcome =
                daemon.ctl({"start", "--name", name, "--", worker_program("idle")});
            INFO(std::string(name), ": ", outcome.err);
            CHECK(outcome.code == 2);
        }
        CHECK(daemon.status().at("workers").size() == 1);
    }
}

}  // namespace cluster::test
