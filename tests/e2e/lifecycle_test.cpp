#include <doctest/doctest.h>
#include <signal.h>

#include <map>
#include <set>
#include <string>

#include "support/daemon.hpp"

namespace cluster::test {
namespace {

const std::string kQuick = "min_uptime = \"50ms\"";

/// A worker of N idle instances that `start` calls good at once.
std::string idle(const std::string& name, int instances = 1, const std::string& more = "") {
    return worker_table(name, {worker_program("idle")},
                        kQuick + "\ninstances = " + std::to_string(instances) + "\n" + more);
}

std::map<std::string, pid_t> pids(const Daemon& daemon) {
    std::map<std::string, pid_t> result;
    const Json status = daemon.status();
    for (const auto& worker : status.at("workers")) {
        result[worker.at("id")] =
            worker.value("pid", Json()).is_null() ? 0 : worker.at("pid").get<pid_t>();
    }
    return result;
}

bool is_absent(const Json& object, const std::string& key) {
    return !object.contains(key) || object.at(key).is_null();
}

/// One JSON document and nothing else.
bool is_one_document(const std::string& text) {
    return Json::accept(text);
}

}  // namespace

TEST_SUITE("e2e") {
    TEST_CASE("lifecycle/start: a file comes up and the table shows every instance") {
        const Daemon daemon;
        const Outcome started = daemon.start(idle("api", 3) + idle("mail"));
        INFO(started.err);
        CHECK(started.code == 0);
        for (const char* id : {"api.0", "api.1", "api.2", "mail.0"}) {
            CHECK(started.out.find(id) != std::string::npos);
            CHECK(daemon.state_of(id) == "running");
        }
        const Outcome table = daemon.ctl({"status"});
        CHECK(table.code == 0);
        CHECK(table.out.find("api.2") != std::string::npos);
        CHECK(table.out.find("running") != std::string::npos);
        for (const char* alias : {"ls", "list", "ps"}) CHECK(daemon.ctl({alias}).code == 0);
    }

    TEST_CASE("lifecycle/status: the JSON document has the promised shape") {
        const Daemon daemon;
        REQUIRE(
            daemon.start(idle("api", 2, "group = \"site\"") + idle("off", 1, "autostart = false"))
                .code == 0);
        const Json document = daemon.status();
        const Json& head = document.at("daemon");
        CHECK(is_alive(head.at("pid").get<pid_t>()));
        CHECK(is_alive(head.at("supervisor_pid").get<pid_t>()));
        CHECK(head.at("pid") != head.at("supervisor_pid"));
        CHECK(head.at("version").is_string());
        CHECK(head.at("uptime_ms").is_number_integer());
        CHECK(head.at("config") == daemon.dir() / "config.toml");
        REQUIRE(document.at("workers").size() == 3);
        const Json& up = document.at("workers").at(1);
        CHECK(up.at("id") == "api.1");
        CHECK(up.at("name") == "api");
        CHECK(up.at("instance") == 1);
        CHECK(up.at("group") == "site");
        CHECK(up.at("state") == "running");
        CHECK(up.at("ready") == true);
        CHECK(is_alive(up.at("pid").get<pid_t>()));
        CHECK(up.at("restarts") == 0);
        CHECK(up.at("uptime_ms").is_number_integer());
        CHECK(up.at("uptime_ms").get<long>() >= 50);
        CHECK(up.at("rss_bytes").get<long>() > 10'000);
        CHECK(up.at("cpu_percent").is_number());
        CHECK(is_absent(up, "last_exit"));
        CHECK(is_absent(up, "next_start_ms"));
        const Json& down = document.at("workers").at(2);
        CHECK(down.at("id") == "off.0");
        CHECK(down.at("state") == "stopped");
        CHECK(down.at("ready") == false);
        for (const char* key : {"group", "pid", "uptime_ms", "rss_bytes", "cpu_percent"}) {
            CHECK_MESSAGE(is_absent(down, key), key);
        }
    }

    TEST_CASE("lifecycle/status: selectors narrow it and one that matches nothing is an error") {
        const Daemon daemon;
        REQUIRE(daemon.start(idle("api", 2) + idle("mail")).code == 0);
        const auto count = [&](const char* selector) {
            const Outcome outcome = daemon.ctl({"status", "--json", selector});
            return outcome.code == 0 ? Json::parse(outcome.out).at("workers").size() : 0U;
        };
        CHECK(count("api") == 2);
        CHECK(count("api.1") == 1);
        CHECK(count("m*") == 1);
        CHECK(count("all") == 3);
        const Outcome none = daemon.ctl({"status", "nobody"});
        CHECK(none.code == 1);
        CHECK(none.err.find("nobody") != std::string::npos);
    }

    TEST_CASE("lifecycle/stop: stop and start and restart act on what was named alone") {
        const Daemon daemon;
        REQUIRE(daemon.start(idle("api", 2) + idle("mail")).code == 0);
        const auto first = pids(daemon);
        REQUIRE(daemon.ctl({"stop", "api.1"}).code == 0);
        CHECK_FALSE(is_alive(first.at("api.1")));
        CHECK(daemon.state_of("api.1") == "stopped");
        const Json exit = daemon.worker("api.1").at("last_exit");
        CHECK(exit.at("signal") == "SIGTERM");
        CHECK(exit.at("reason") == "stopped");
        CHECK(is_absent(exit, "code"));
        CHECK(exit.at("at_ms").is_number_integer());

        REQUIRE(daemon.ctl({"start", "api"}).code == 0);
        const auto second = pids(daemon);
        CHECK(second.at("api.0") == first.at("api.0"));
        CHECK(second.at("api.1") != first.at("api.1"));
        CHECK(is_alive(second.at("api.1")));

        REQUIRE(daemon.ctl({"restart", "api"}).code == 0);
        const auto third = pids(daemon);
        CHECK(third.at("api.0") != first.at("api.0"));
        CHECK(third.at("api.1") != second.at("api.1"));
        CHECK(third.at("mail.0") == first.at("mail.0"));
        CHECK(daemon.worker("api.0").at("restarts") == 0);
        CHECK_FALSE(is_alive(first.at("api.0")));
    }

    TEST_CASE("lifecycle/stop: stopping what is stopped and starting what runs changes nothing") {
        const Daemon daemon;
        REQUIRE(daemon.start(idle("api")).code == 0);
        const pid_t pid = daemon.pid_of("api.0");
        CHECK(daemon.ctl({"start", "api"}).code == 0);
        CHECK(daemon.pid_of("api.0") == pid);
        CHECK(daemon.ctl({"stop", "api"}).code == 0);
        CHECK(daemon.ctl({"stop", "api"}).code == 0);
        CHECK(daemon.state_of("api.0") == "stopped");
    }

    TEST_CASE("lifecycle/selectors: groups and all") {
        const Daemon daemon;
        REQUIRE(daemon
                    .start(idle("api", 2, "group = \"site\"") + idle("www", 1, "group = \"site\"") +
                           idle("mail"))
                    .code == 0);
        REQUIRE(daemon.ctl({"stop", "@site"}).code == 0);
        CHECK(daemon.state_of("api.0") == "stopped");
        CHECK(daemon.state_of("www.0") == "stopped");
        CHECK(daemon.state_of("mail.0") == "running");
        REQUIRE(daemon.ctl({"stop", "all"}).code == 0);
        CHECK(daemon.state_of("mail.0") == "stopped");
        CHECK(daemon.ctl({"stop", "mail", "nobody"}).code == 1);
    }

    TEST_CASE("lifecycle/scale: numbers stay dense and nobody else is touched") {
        const Daemon daemon;
        REQUIRE(daemon.start(idle("api", 2) + idle("mail")).code == 0);
        const auto before = pids(daemon);
        REQUIRE(daemon.ctl({"scale", "api", "4"}).code == 0);
        auto after = pids(daemon);
        CHECK(after.size() == 5);
        CHECK(is_alive(after.at("api.3")));
        REQUIRE(daemon.ctl({"scale", "api", "-1"}).code == 0);
        CHECK_FALSE(is_alive(after.at("api.3")));
        REQUIRE(daemon.ctl({"scale", "api", "+2"}).code == 0);
        CHECK(pids(daemon).size() == 6);
        REQUIRE(daemon.ctl({"scale", "api", "1"}).code == 0);
        after = pids(daemon);
        CHECK(after.size() == 2);
        CHECK(after.at("api.0") == before.at("api.0"));
        CHECK(after.at("mail.0") == before.at("mail.0"));
        CHECK(daemon.ctl({"scale", "nobody", "1"}).code == 1);
        CHECK(daemon.ctl({"scale", "api", "many"}).code == 2);
        CHECK(daemon.ctl({"scale", "api", "99999"}).code != 0);
        CHECK(pids(daemon).size() == 2);
    }

    TEST_CASE("lifecycle/ad hoc: a command needs no file and can be deleted") {
        const Daemon daemon;
        const Outcome started =
            daemon.ctl({"start", "--name", "job", "-i", "2", "--", worker_program("ticker"), "20"});
        INFO(started.err);
        REQUIRE(started.code == 0);
        CHECK(daemon.state_of("job.0") == "running");
        CHECK(daemon.state_of("job.1") == "running");
        const pid_t pid = daemon.pid_of("job.0");
        CHECK(daemon.ctl({"start", "--name", "job", "--", worker_program("idle")}).code == 1);
        CHECK(daemon.pid_of("job.0") == pid);
        REQUIRE(daemon.ctl({"delete", "job"}).code == 0);
        CHECK_FALSE(is_alive(pid));
        CHECK(daemon.status().at("workers").empty());
        CHECK(daemon.out_log("job.0").find("tick 0\n") == 0);
    }

    TEST_CASE("lifecycle/ad hoc: runs where it was called and is named after its program") {
        const Daemon daemon;
        daemon.write("here.txt", "found it\n");
        const Outcome started =
            daemon.ctl({"start", "--", "sh", "-c", "cat here.txt; exec tail -f /dev/null"});
        INFO(started.err);
        REQUIRE(started.code == 0);
        CHECK(wait_until([&] { return daemon.out_log("sh.0") == "found it\n"; }));
    }

    TEST_CASE("lifecycle/start: a file again leaves the unchanged alone and renews the changed") {
        const Daemon daemon;
        REQUIRE(daemon.start(idle("api", 2) + idle("mail")).code == 0);
        const auto before = pids(daemon);
        REQUIRE(daemon.start(idle("api", 2) + idle("mail")).code == 0);
        CHECK(pids(daemon) == before);
        REQUIRE(daemon.start(idle("api", 2) + idle("mail", 1, "env = { A = \"1\" }")).code == 0);
        const auto after = pids(daemon);
        CHECK(after.at("api.0") == before.at("api.0"));
        CHECK(after.at("api.1") == before.at("api.1"));
        CHECK(after.at("mail.0") != before.at("mail.0"));
        CHECK(is_alive(after.at("mail.0")));
    }

    TEST_CASE("lifecycle/start: another file adds its workers and touches no other") {
        const Daemon daemon;
        REQUIRE(daemon.start(idle("api")).code == 0);
        const pid_t pid = daemon.pid_of("api.0");
        const std::string second = daemon.write("second.toml", idle("extra"));
        REQUIRE(daemon.ctl({"start", second}).code == 0);
        CHECK(daemon.pid_of("api.0") == pid);
        CHECK(daemon.state_of("extra.0") == "running");
    }

    TEST_CASE("lifecycle/delete: forgets a whole worker and refuses a part of one") {
        const Daemon daemon;
        REQUIRE(daemon.start(idle("api", 2) + idle("mail")).code == 0);
        CHECK(daemon.ctl({"delete", "api.0"}).code == 1);
        CHECK(daemon.state_of("api.0") == "running");
        REQUIRE(daemon.ctl({"delete", "api"}).code == 0);
        CHECK(pids(daemon).size() == 1);
        CHECK(daemon.ctl({"stop", "api"}).code == 1);
    }

    TEST_CASE("lifecycle/shutdown: ends every worker and the daemon and leaves nothing") {
        const Daemon daemon;
        REQUIRE(daemon.start(idle("api", 3)).code == 0);
        const pid_t keeper = daemon.keeper_pid();
        const Outcome outcome = daemon.ctl({"shutdown"});
        INFO(outcome.err);
        CHECK(outcome.code == 0);
        CHECK(wait_until([&] { return !is_alive(keeper); }, seconds{2}));
        CHECK(wait_until([] { return descendants().empty(); }, seconds{2}));
        CHECK_FALSE(std::filesystem::exists(daemon.control_socket()));
        CHECK_FALSE(std::filesystem::exists(daemon.dir() / "run/clusterd.pid"));
        const Outcome none = daemon.ctl({"status"});
        CHECK(none.code == 3);
        CHECK_FALSE(none.err.empty());
    }

    TEST_CASE("lifecycle/shutdown: a daemon can be started again in the same place") {
        const Daemon daemon;
        for (int round = 0; round < 3; ++round) {
            REQUIRE(daemon.start(idle("api")).code == 0);
            CHECK(daemon.state_of("api.0") == "running");
            REQUIRE(daemon.ctl({"shutdown"}).code == 0);
        }
    }

    TEST_CASE("lifecycle/exit codes: no daemon is 3 for every verb that needs one") {
        const Daemon daemon;
        const std::vector<std::vector<std::string>> calls{{"status"},         {"stop", "all"},
                                                          {"restart", "all"}, {"scale", "a", "1"},
                                                          {"shutdown"},       {"delete", "a"}};
        for (const auto& call : calls) {
            const Outcome outcome = daemon.ctl(call);
            INFO(call.front());
            CHECK(outcome.code == 3);
            CHECK_FALSE(outcome.err.empty());
            CHECK(outcome.out.empty());
        }
        CHECK(descendants().empty());
    }

    TEST_CASE("lifecycle/exit codes: bad usage is 2 and starts nothing") {
        const Daemon daemon;
        const std::vector<std::vector<std::string>> calls{{},
                                                          {"frobnicate"},
                                                          {"stop"},
                                                          {"restart"},
                                                          {"scale", "a"},
                                                          {"status", "--frobnicate"},
                                                          {"start", "--name", "x"},
                                                          {"validate"}};
        for (const auto& call : calls) {
            const Outcome outcome = daemon.ctl(call);
            INFO((call.empty() ? "nothing" : call.front()), " ", outcome.err);
            CHECK(outcome.code == 2);
        }
        CHECK(descendants().empty());
        CHECK(daemon.ctl({"--help"}).code == 0);
        CHECK(daemon.ctl({"stop", "--help"}).code == 0);
        CHECK(daemon.ctl({"version"}).code == 0);
    }

    TEST_CASE("lifecycle/json: every verb prints one document") {
        const Daemon daemon;
        const std::string file = daemon.write("config.toml", idle("api", 2));
        const std::vector<std::vector<std::string>> calls{{"validate", file, "--json"},
                                                          {"start", file, "--json"},
                                                          {"status", "--json"},
                                                          {"stop", "api.0", "--json"},
                                                          {"start", "api", "--json"},
                                                          {"restart", "api", "--json"},
                                                          {"scale", "api", "3", "--json"},
                                                          {"version", "--json"},
                                                          {"delete", "api", "--json"},
                                                          {"shutdown", "--json"}};
        for (const auto& call : calls) {
            const Outcome outcome = daemon.ctl(call);
            INFO(call.front(), ": ", outcome.out, outcome.err);
            CHECK(outcome.code == 0);
            CHECK(is_one_document(outcome.out));
        }
    }

    TEST_CASE("lifecycle/start: the caller's pipe is not kept open by the daemon") {
        const Daemon daemon;
        const Outcome started = daemon.start(idle("api"));
        CHECK(started.code == 0);
        CHECK_FALSE(started.is_held_open);
    }

    TEST_CASE("lifecycle/start: the daemon survives its caller's terminal signals") {
        const Daemon daemon;
        REQUIRE(daemon.start(idle("api")).code == 0);
        const pid_t keeper = daemon.keeper_pid();
        CHECK(::getsid(keeper) != ::getsid(0));
        CHECK(::getsid(daemon.pid_of("api.0")) != ::getsid(keeper));
    }

    TEST_CASE("lifecycle/no-wait: comes back before the work is done") {
        const Daemon daemon;
        const std::string file = daemon.write(
            "config.toml", worker_table("slow", {worker_program("stubborn"), "3000"}, kQuick));
        REQUIRE(daemon.ctl({"start", file}).code == 0);
        const Outcome asked = daemon.ctl({"stop", "slow", "--no-wait"});
        CHECK(asked.code == 0);
        CHECK(daemon.state_of("slow.0") == "stopping");
        const Outcome impatient = daemon.ctl({"stop", "slow", "--timeout", "200ms"});
        INFO(impatient.err);
        CHECK(impatient.code == 1);
        CHECK(daemon.wait_for_state("slow.0", "stopped"));
    }

    TEST_CASE("lifecycle/two daemons: live side by side and know nothing of each other") {
        const Daemon first;
        const Daemon second;
        REQUIRE(first.start(idle("api")).code == 0);
        REQUIRE(second.start(idle("api", 2)).code == 0);
        CHECK(first.keeper_pid() != second.keeper_pid());
        CHECK(first.status().at("workers").size() == 1);
        REQUIRE(first.ctl({"shutdown"}).code == 0);
        CHECK(second.status().at("workers").size() == 2);
    }

    TEST_CASE("lifecycle/runtime-dir: the option chooses the daemon") {
        Daemon daemon;
        daemon.env().erase("CLUSTER_RUNTIME_DIR");
        const std::string file = daemon.write("config.toml", idle("api"));
        const std::string place = daemon.dir() / "other";
        REQUIRE(daemon.ctl({"--runtime-dir", place, "start", file}).code == 0);
        CHECK(std::filesystem::exists(place + "/control.sock"));
        CHECK(daemon.ctl({"--runtime-dir", place, "status"}).code == 0);
        CHECK(daemon.ctl({"status", "--runtime-dir", place}).code == 0);
        CHECK(daemon.ctl({"--runtime-dir", daemon.dir() / "none", "status"}).code == 3);
    }
}

}  // namespace cluster::test
