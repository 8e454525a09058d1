#include <doctest/doctest.h>
#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <vector>

#include "support/daemon.hpp"
#include "support/keys.hpp"

namespace cluster::test {
namespace {

void check_gapless(const std::vector<Json>& all, std::uint64_t first) {
    for (std::size_t i = 0; i < all.size(); ++i) REQUIRE(all[i].at("seq") == first + i);
}

}  // namespace

TEST_SUITE("e2e") {
    TEST_CASE("events/life of a worker: states, exits with last words, and who asked") {
        const Daemon daemon;
        const std::string file = daemon.write(
            "site.toml",
            worker_table("bad", {"/bin/sh", "-c", "echo one >&2; echo two >&2; exit 3"},
                         kQuick + "backoff = { initial = \"1h\", max = \"1h\" }"));
        REQUIRE(daemon.ctl({"start", file}).code == 1);
        REQUIRE(daemon.ctl({"stop", "bad"}).code == 0);
        REQUIRE(daemon.ctl({"stop", "nobody"}).code == 1);
        const std::vector<Json> all = daemon.events();
        check_gapless(all, 1);
        const auto find = [&](const std::string& type, const std::string& name, const Json& value) {
            for (const Json& event : all) {
                if (event.at("type") == type && event.contains(name) && event.at(name) == value)
                    return event;
            }
            FAIL("no " << type << " with " << name << " = " << value);
            return Json();
        };
        CHECK(find("daemon", "what", "started").at("workers") == 0);
        const Json config = find("config", "file", file);
        CHECK(config.at("workers") ==
              Json::parse(R"([{"worker":"bad","action":"add","keys":[]}])"));
        const Json load = find("operation", "method", "workers.load");
        CHECK(load.at("by_uid") == ::getuid());
        CHECK(load.at("by_pid").get<int>() > 0);
        const Json exit = find("exit", "id", "bad.0");
        CHECK(exit.at("code") == 3);
        CHECK(exit.at("reason") == "exited");
        CHECK(exit.at("stderr") == Json({"one", "two"}));
        CHECK(exit.at("uptime_ms").get<long>() >= 0);
        const Json backoff = find("state", "to", "backoff");
        // A run this short may be over before anybody has seen it run.
        CHECK((backoff.at("from") == "running" || backoff.at("from") == "starting"));
        CHECK(backoff.at("next_start_ms").get<long>() > 3'000'000);
        CHECK(find("state", "to", "stopped").at("from") == "backoff");
        CHECK(find("operation", "method", "workers.stop").at("selectors") == Json({"bad"}));
        CHECK(find("refused", "method", "workers.stop").at("selectors") == Json({"nobody"}));
    }

    TEST_CASE("events/last words: only of the run that ended") {
        const Daemon daemon;
        const std::string flag = daemon.dir() / "flag";
        daemon.start(worker_table(
            "w",
            {"/bin/sh", "-c",
             "test -e " + flag + " && exit 4; touch " + flag + "; echo first >&2; exit 3"},
            kQuick + "backoff = { initial = \"1ms\" }\nrestart_limit = { count = 1, then = "
                     "\"fatal\" }"));
        REQUIRE(daemon.wait_for_state("w.0", "fatal"));
        std::vector<Json> exits;
        for (const Json& event : daemon.events()) {
            if (event.at("type") == "exit") exits.push_back(event);
        }
        REQUIRE(exits.size() >= 2);
        CHECK(exits[0].at("stderr") == Json({"first"}));
        CHECK_FALSE(exits[1].contains("stderr"));
    }

    TEST_CASE("events/resume: by number, over supervisors and daemons, without a gap") {
        const Daemon daemon;
        REQUIRE(daemon.start(worker_table("a", {worker_program("idle")}, kQuick)).code == 0);
        const std::uint64_t seen = daemon.events().back().at("seq");
        kill_supervisor(daemon);
        REQUIRE(daemon.ctl({"restart", "a"}).code == 0);
        REQUIRE(daemon.ctl({"shutdown"}).code == 0);
        REQUIRE(daemon.ctl({"start"}).code == 0);
        const std::vector<Json> rest = daemon.events(std::to_string(seen));
        check_gapless(rest, seen + 1);
        std::set<std::string> types;
        for (const Json& event : rest) types.insert(event.at("type"));
        for (const char* type : {"takeover", "operation", "state", "exit", "daemon"}) {
            CHECK_MESSAGE(types.count(type) == 1, type);
        }
        CHECK(daemon.ctl({"events", "-n", "2", "--json"}).out.size() > 0);
        CHECK(parse_lines(daemon.ctl({"events", "-n", "2", "--json"}).out).size() == 2);
        REQUIRE(daemon.ctl({"shutdown"}).code == 0);
        CHECK(daemon.ctl({"events"}).code == 0);
        CHECK(daemon.ctl({"events", "-n", "1", "--since", "1"}).code == 2);
        CHECK(daemon.ctl({"events", "--since", "x"}).code == 2);
    }

    TEST_CASE("events/half a line: what a kill left is passed over") {
        const Daemon daemon;
        REQUIRE(daemon.start(worker_table("a", {worker_program("idle")}, kQuick)).code == 0);
        REQUIRE(daemon.ctl({"shutdown"}).code == 0);
        const std::string path = daemon.log_dir() + "/events.jsonl";
        const std::vector<Json> before = daemon.events();
        write_text(path, text_of(path) + "{\"seq\":999,\"at_ms\":1,\"ty");
        REQUIRE(daemon.ctl({"start"}).code == 0);
        const std::vector<Json> all = daemon.events();
        check_gapless(all, 1);
        CHECK(all.size() > before.size());
    }

    TEST_CASE("events/follow: what happens is shown as it happens, over a rotation too") {
        const Daemon daemon;
        REQUIRE(daemon.start(worker_table("a", {worker_program("idle")}, kQuick)).code == 0);
        Process follow = daemon.start_ctl({"events", "-f", "--json", "-n", "0"});
        pause(milliseconds{100});
        const std::string path = daemon.log_dir() + "/events.jsonl";
        REQUIRE(daemon.ctl({"stop", "a"}).code == 0);
        CHECK(wait_until(
            [&] { return follow.out().find("\"to\":\"stopped\"") != std::string::npos; }));
        // Filled up to where the next event rotates it.
        const std::uint64_t next = daemon.events().back().at("seq").get<std::uint64_t>() + 1;
        std::ofstream(path, std::ios::app)
            << std::string(std::size_t{9} << 20U, ' ') << "\n{\"seq\":" << next
            << ",\"at_ms\":1,\"type\":\"filler\"}\n";
        kill_supervisor(daemon);
        REQUIRE(daemon.ctl({"start", "a"}).code == 0);
        CHECK(wait_until([&] {
            const std::string& out = follow.out();
            const std::size_t up = out.rfind("\"to\":\"running\"");
            return up != std::string::npos && out.find('\n', up) != std::string::npos;
        }));
        CHECK(std::filesystem::exists(path + ".1"));
        const std::vector<Json> seen = parse_lines(follow.out());
        check_gapless(seen, seen.front().at("seq"));
        follow.send(SIGTERM);
    }

    TEST_CASE("events/storm: many deaths at once are told, and the daemon answers") {
        const Daemon daemon;
        REQUIRE(daemon
                    .start(worker_table(
                        "w", {worker_program("idle")},
                        kQuick + "instances = 100\nbackoff = { initial = \"1h\", max = \"1h\" }"))
                    .code == 0);
        const std::uint64_t seen = daemon.events().back().at("seq");
        std::vector<pid_t> pids;
        const Json status = daemon.status();
        for (const Json& worker : status.at("workers")) pids.push_back(worker.at("pid"));
        for (const pid_t pid : pids) ::kill(pid, SIGKILL);
        CHECK(daemon.is_answering());
        CHECK(wait_until([&] {
            int exits = 0;
            for (const Json& event : daemon.events(std::to_string(seen))) {
                exits += event.at("type") == "exit" ? 1 : 0;
            }
            return exits == 100;
        }));
        check_gapless(daemon.events(), 1);
    }
}

}  // namespace cluster::test
