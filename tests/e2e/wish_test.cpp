// What clusterd is for: one variable that all workers share, in Node and in Python, whatever dies
// meanwhile.
#include <doctest/doctest.h>
#include <signal.h>

#include <cstring>
#include <filesystem>
#include <set>

#include "support/daemon.hpp"
#include "support/paths.hpp"
#include "support/ports.hpp"

namespace cluster::test {
namespace {

constexpr int kTarget = 250'000;
constexpr int kKills = 2;
constexpr const char* kScripts = CLUSTER_SOURCE_DIR "/tests/support/workers/";

/// True when the case is to be skipped, for a reason that it has said then. What
/// packaging/install-build-deps.sh installs is no reason: without it a case fails.
bool cannot_run() {
    if (kIsSanitized) skip("a sanitized libcluster wants a sanitized interpreter");
    return kIsSanitized;
}

/// Says so where the build has left out the package that a program of Node needs.
void require_node() {
    INFO(
        "node and the headers of Node-API: packaging/install-build-deps.sh --tests, then "
        "configure");
    REQUIRE(find_program("node"));
    REQUIRE_FALSE(text_of(std::string(CLUSTER_NODE_PATH) + "/clusterd/package.json").empty());
}

/// As TOML: where workers in Node and in Python find the packages of this build.
std::string environment(const std::string& more = "") {
    return "env = { NODE_PATH = \"" CLUSTER_NODE_PATH "\", PYTHONPATH = \"" CLUSTER_SOURCE_DIR
           "/packaging/python\", PYTHONDONTWRITEBYTECODE = \"1\", LIBCLUSTER_PATH = "
           "\"" CLUSTER_LIBRARY_PATH "\"" +
           more + " }\n";
}

/// A program that ends by itself, in Python, with the package at hand.
std::string judge(const std::string& name, const std::string& program) {
    return worker_table(name, {SYSTEM_PYTHON, "-c", program},
                        environment() + "autostart = false\nrestart = \"never\"\n");
}

/// Runs it, and returns what it has written.
std::string verdict(const Daemon& daemon, const std::string& name) {
    (void)daemon.ctl({"start", name});
    REQUIRE(daemon.wait_for_state(name + ".0", "exited"));
    INFO(daemon.err_log(name + ".0"));
    REQUIRE(daemon.worker(name + ".0").at("last_exit").at("code") == 0);
    return daemon.out_log(name + ".0");
}

/// What adds.js and adds.py write down outside of the store.
struct Ledger {
    std::uint64_t begun = 0;   // the addition before which it was written last
    std::uint64_t proven = 0;  // all of them, at the end
    std::uint64_t runs = 0;
};

Ledger ledger_of(const Daemon& daemon, int number) {
    const std::string bytes = text_of(daemon.dir() / ("ledgers/" + std::to_string(number)));
    Ledger ledger;
    std::memcpy(&ledger, bytes.data(), std::min(bytes.size(), sizeof ledger));
    return ledger;
}

std::string adders(const Daemon& daemon, const std::string& name, const std::string& program,
                   const std::string& script, int instances, int doomed, int first) {
    return worker_table(
        name,
        {program, kScripts + script, std::to_string(kTarget), std::to_string(kKills),
         std::to_string(doomed), std::to_string(first), daemon.dir() / "ledgers"},
        environment() + "instances = " + std::to_string(instances) +
            "\nrestart = \"on-failure\"\nmin_uptime = \"0s\"\n"
            "backoff = { initial = \"10ms\", max = \"50ms\" }\n");
}

/// Kills one run of an instance, which is somewhere in the middle of adding.
void kill_midway(const Daemon& daemon, const std::string& id, int number, std::uint64_t run) {
    REQUIRE(wait_until(
        [&] {
            const Ledger ledger = ledger_of(daemon, number);
            return ledger.runs == run && ledger.begun > (run - 1) * kTarget / (kKills + 1) + 100;
        },
        seconds{60}));
    CHECK(ledger_of(daemon, number).begun < kTarget);
    REQUIRE(::kill(daemon.pid_of(id), SIGKILL) == 0);
}

std::string get(int port) {
    const std::string url = "http://127.0.0.1:" + std::to_string(port) + "/";
    return run({.argv = {"curl", "--silent", "--max-time", "5", url}, .env = {}, .cwd = ""}).out;
}

/// The number in "request N, …" or "N …"; 0 when there is none.
long number_in(const std::string& answer) {
    const auto at = answer.find_first_of("0123456789");
    return at == std::string::npos ? 0 : std::stol(answer.substr(at));
}

}  // namespace

TEST_SUITE("e2e") {
    TEST_CASE(
        "wish/counter: four Node and two Python processes add a million and a half, some are "
        "killed, and not one addition is lost or made twice") {
        if (cannot_run()) return;
        require_node();
        const Daemon daemon;
        std::filesystem::create_directory(daemon.dir() / "ledgers");
        const Outcome started =
            daemon.start(adders(daemon, "node", "node", "adds.js", 4, 2, 0) +
                         adders(daemon, "python", SYSTEM_PYTHON, "adds.py", 2, 1, 4) +
                         judge("judge", "import clusterd; print(clusterd.counter('wish').get())"));
        INFO(started.err);
        REQUIRE(started.code == 0);
        for (std::uint64_t run = 1; run <= kKills; ++run) {
            kill_midway(daemon, "node.0", 0, run);
            kill_midway(daemon, "node.1", 1, run);
            kill_midway(daemon, "python.0", 4, run);
        }
        std::uint64_t proven = 0;
        for (int number = 0; number < 6; ++number) {
            const std::string id = number < 4 ? "node." + std::to_string(number)
                                              : "python." + std::to_string(number - 4);
            CAPTURE(id);
            const bool has_ended = daemon.wait_for_state(id, "exited", seconds{120});
            INFO(daemon.err_log(id));
            REQUIRE(has_ended);
            const bool is_doomed = number < 2 || number == 4;
            CHECK(ledger_of(daemon, number).runs == (is_doomed ? kKills + 1 : 1));
            CHECK(daemon.worker(id).at("restarts") == (is_doomed ? kKills : 0));
            proven += ledger_of(daemon, number).proven;
        }
        CHECK(proven == 6 * kTarget);
        // Each instance has turned its own bit as often as it added: an even number of times.
        CHECK(std::stoull(verdict(daemon, "judge")) == proven);
    }

    TEST_CASE("wish/server: four processes of a server show one growing number") {
        if (cannot_run()) return;
        require_node();
        const Daemon daemon;
        const std::string examples = CLUSTER_SOURCE_DIR "/config/examples/";
        const int base = free_ports(4);
        std::string config = text_of(examples + "shared-counter.toml");
        const std::string setting = "env = { BASE_PORT = 8070 }";
        REQUIRE(config.find(setting) != std::string::npos);
        config.replace(config.find(setting), setting.size(),
                       environment(", BASE_PORT = " + std::to_string(base)));
        (void)daemon.write("shared-counter.js", text_of(examples + "shared-counter.js"));
        const Outcome started = daemon.start(config);
        INFO(started.err);
        REQUIRE(started.code == 0);

        long expected = 0;
        std::set<std::string> answerers;
        for (int round = 0; round < 5; ++round) {
            for (int instance = 0; instance < 4; ++instance) {
                std::string answer;
                REQUIRE(wait_until([&] { return !(answer = get(base + instance)).empty(); }));
                CHECK(number_in(answer) == ++expected);
                answerers.insert(answer.substr(answer.find("process")));
            }
        }
        CHECK(answerers.size() == 4);

        // Killed or restarted, each goes on where all of them are; so does all of it without its
        // supervisor.
        REQUIRE(::kill(daemon.pid_of("counter.2"), SIGKILL) == 0);
        REQUIRE(::kill(daemon.supervisor_pid(), SIGKILL) == 0);
        CHECK(number_in(get(base + 1)) == ++expected);
        REQUIRE(wait_until([&] { return daemon.is_answering(); }));
        REQUIRE(daemon.ctl({"restart", "counter"}).code == 0);
        for (int instance = 0; instance < 4; ++instance) {
            std::string answer;
            REQUIRE(wait_until([&] { return !(answer = get(base + instance)).empty(); }));
            CHECK(number_in(answer) == ++expected);
        }
    }

    TEST_CASE(
        "wish/wrapper: a program whose wrapper has closed its descriptors gets the store all "
        "the same") {
        if (cannot_run()) return;
        require_node();
        const Daemon daemon;
        // Node's child_process and Python's subprocess both close what they are not told of.
        const Outcome started = daemon.start(
            judge("node",
                  "import subprocess\n"
                  "print(subprocess.run(['node', '-e', 'console.log(require(\"clusterd\")"
                  ".counter(\"n\").add())'], check=True, capture_output=True, text=True).stdout)") +
            judge("python",
                  "import subprocess, sys\n"
                  "program = 'import clusterd; print(clusterd.counter(\"n\").add())'\n"
                  "print(subprocess.run([sys.executable, '-c', program], check=True, "
                  "capture_output=True, text=True).stdout)"));
        INFO(started.err);
        REQUIRE(started.code == 0);
        CHECK(number_in(verdict(daemon, "node")) == 1);
        CHECK(number_in(verdict(daemon, "python")) == 2);
    }

    TEST_CASE("wish/gunicorn: workers that gunicorn forks share what its master has opened") {
        if (cannot_run()) return;
        REQUIRE(find_program("gunicorn"));
        const Daemon daemon;
        const int port = free_ports(1);
        const Outcome started = daemon.start(
            worker_table("web",
                         {*find_program("gunicorn"), "--preload", "--workers", "3", "--chdir",
                          kScripts, "--worker-tmp-dir", daemon.dir() / "", "--bind",
                          "127.0.0.1:" + std::to_string(port), "wsgi_counter:application"},
                         environment()) +
            judge("judge",
                  "import clusterd; print(clusterd.counter('wsgi').get(), "
                  "clusterd.table['by table'].decode())"));
        INFO(started.err);
        REQUIRE(started.code == 0);
        std::set<std::string> answerers;
        long expected = 0;
        REQUIRE(wait_until(
            [&] {
                const std::string answer = get(port);
                if (answer.empty()) return false;
                CHECK(number_in(answer) == ++expected);
                const auto at = answer.find(' ') + 1;
                answerers.insert(answer.substr(at, answer.find(' ', at) - at));
                return answerers.size() > 1;
            },
            seconds{60}));
        CHECK(verdict(daemon, "judge") ==
              std::to_string(expected) + " " + std::to_string(expected) + "\n");
    }
}

}  // namespace cluster::test
