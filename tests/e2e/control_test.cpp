#include <doctest/doctest.h>
#include <unistd.h>

#include <deque>
#include <sstream>
#include <string>
#include <vector>

#include "support/daemon.hpp"
#include "support/paths.hpp"

namespace cluster::test {
namespace {

using Clock = std::chrono::steady_clock;

std::string idle(const std::string& name, int instances = 1) {
    return worker_table(name, {worker_program("idle")},
                        "min_uptime = \"50ms\"\ninstances = " + std::to_string(instances));
}

const std::string kVersion = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"daemon.version\"}\n";

/// A well-behaved client must be answered quickly, whoever else is connected.
void check_answers_quickly(const Daemon& daemon) {
    const auto start = Clock::now();
    RawClient client(daemon.control_socket());
    REQUIRE(client.is_connected());
    REQUIRE(client.send(kVersion));
    CHECK(client.line(seconds{2}).has_value());
    CHECK(Clock::now() - start < milliseconds{500} * kPatience);
}

int error_code(const std::optional<std::string>& line) {
    if (!line || !Json::accept(*line)) return 0;
    const Json answer = Json::parse(*line);
    return answer.contains("error") ? answer.at("error").at("code").get<int>() : 0;
}

}  // namespace

TEST_SUITE("e2e") {
    TEST_CASE("control/rpc: requests on one connection are answered with their ids") {
        const Daemon daemon;
        REQUIRE(daemon.start(idle("api")).code == 0);
        RawClient client(daemon.control_socket());
        REQUIRE(client.send("{\"jsonrpc\":\"2.0\",\"id\":\"a\",\"method\":\"workers.status\"}\n" +
                            kVersion));
        const auto first = client.line();
        const auto second = client.line();
        REQUIRE(first);
        REQUIRE(second);
        const Json one = Json::parse(*first);
        const Json two = Json::parse(*second);
        CHECK(one.at("jsonrpc") == "2.0");
        CHECK(((one.at("id") == "a" && two.at("id") == 1) ||
               (one.at("id") == 1 && two.at("id") == "a")));
    }

    TEST_CASE("control/rpc: a status says of each row the fields that were asked for") {
        const Daemon daemon;
        REQUIRE(daemon.start(idle("api") + idle("db")).code == 0);
        REQUIRE(daemon.ctl({"stop", "db"}).code == 0);
        RawClient client(daemon.control_socket());
        const auto rows_with = [&](const std::string& fields) {
            client.send(R"({"jsonrpc":"2.0","id":1,"method":"workers.status","params":{"fields":)" +
                        fields + "}}\n");
            const auto line = client.line();
            REQUIRE(line);
            return Json::parse(*line).at("result").at("workers");
        };
        const Json named = rows_with(R"(["pid","rss_bytes","name"])");
        CHECK(named[0].size() == 4);
        CHECK(named[0].at("id") == "api.0");
        CHECK(named[0].at("name") == "api");
        CHECK(named[0].at("pid").get<int>() == daemon.pid_of("api.0"));
        CHECK(named[0].at("rss_bytes").get<std::uint64_t>() > 0);
        CHECK(named[1] == Json{{"id", "db.0"}, {"name", "db"}});
        // Those that nobody asked for are there again when all are.
        CHECK(rows_with("[]")[1].size() == 22);
    }

    TEST_CASE("control/rpc: each kind of bad request has its code and the connection goes on") {
        const Daemon daemon;
        REQUIRE(daemon.start(idle("api")).code == 0);
        RawClient client(daemon.control_socket());
        const std::vector<std::pair<std::string, int>> cases{
            {"hello", -32700},
            {"{\"jsonrpc\":\"2.0\",\"id\":1}", -32600},
            {"[]", -32600},
            {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"workers.frobnicate\"}", -32601},
            {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"workers.stop\",\"params\":{\"x\":1}}",
             -32602},
            {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"workers.stop\",\"params\":{\"selectors\":["
             "\"nobody\"]}}",
             1},
            {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"operation.wait\",\"params\":{"
             "\"operation\":"
             "987654321}}",
             5}};
        for (const auto& [line, code] : cases) {
            REQUIRE(client.send(line + "\n"));
            CHECK_MESSAGE(error_code(client.line()) == code, line);
        }
        REQUIRE(client.send(kVersion));
        CHECK(client.line().has_value());
    }

    TEST_CASE("control/hostile: rubbish costs its sender the answer and nobody else anything") {
        const Daemon daemon;
        REQUIRE(daemon.start(idle("api")).code == 0);
        const pid_t supervisor = daemon.supervisor_pid();
        RawClient client(daemon.control_socket());
        std::string rubbish;
        for (int i = 0; i < 100'000; ++i) rubbish += static_cast<char>(i * 7919 % 256);
        client.send(rubbish);
        client.finish_sending();
        check_answers_quickly(daemon);
        const std::string deep = std::string(100'000, '[') + "\n";
        RawClient nester(daemon.control_socket());
        REQUIRE(nester.send(deep));
        CHECK(error_code(nester.line()) == -32700);
        CHECK(daemon.supervisor_pid() == supervisor);
    }

    TEST_CASE("control/hostile: a line of ten megabytes is cut off") {
        const Daemon daemon;
        REQUIRE(daemon.start(idle("api")).code == 0);
        const pid_t supervisor = daemon.supervisor_pid();
        RawClient client(daemon.control_socket());
        client.send(std::string(10U << 20U, 'x'), seconds{5});
        CHECK(client.is_closed());
        check_answers_quickly(daemon);
        CHECK(daemon.supervisor_pid() == supervisor);
    }

    TEST_CASE("control/hostile: silent clients and two hundred of them do not delay others") {
        const Daemon daemon;
        REQUIRE(daemon.start(idle("api")).code == 0);
        std::deque<RawClient> crowd;
        for (int i = 0; i < 200; ++i) {
            crowd.emplace_back(daemon.control_socket());
            if (i % 2 == 0) crowd.back().send("{\"jsonrpc\":");
        }
        check_answers_quickly(daemon);
        const Outcome outcome = daemon.ctl({"restart", "api"});
        CHECK(outcome.code == 0);
        crowd.clear();
        check_answers_quickly(daemon);
    }

    TEST_CASE("control/hostile: a client that asks for much and reads nothing is dropped") {
        const Daemon daemon;
        REQUIRE(daemon.start(idle("api", 20)).code == 0);
        RawClient client(daemon.control_socket());
        std::string many;
        for (int i = 0; i < 5000; ++i) {
            many += "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"workers.status\"}\n";
        }
        client.send(many, seconds{3});
        check_answers_quickly(daemon);
        // What it did not read is not kept for ever: the daemon stays small.
        std::istringstream fields(
            text_of("/proc/" + std::to_string(daemon.supervisor_pid()) + "/statm"));
        long pages = 0;
        fields >> pages >> pages;
        if (!kIsSanitized) CHECK(pages * ::sysconf(_SC_PAGESIZE) < 128L << 20U);
    }

    TEST_CASE("control/half closed: one that asks and shuts its side is still answered") {
        const Daemon daemon;
        REQUIRE(daemon.start(idle("api")).code == 0);
        RawClient client(daemon.control_socket());
        REQUIRE(client.send(kVersion));
        client.finish_sending();
        CHECK(client.line().has_value());
        CHECK(client.is_closed());
    }

    TEST_CASE("control/descriptors: clients that come and go leave nothing behind") {
        const Daemon daemon;
        REQUIRE(daemon.start(idle("api")).code == 0);
        const auto open = [](pid_t pid) {
            const std::filesystem::directory_iterator entries("/proc/" + std::to_string(pid) +
                                                              "/fd");
            return std::distance(entries, std::filesystem::directory_iterator());
        };
        const pid_t keeper = daemon.keeper_pid();
        const pid_t supervisor = daemon.supervisor_pid();
        REQUIRE(daemon.ctl({"restart", "api"}).code == 0);
        const auto before = open(keeper) + open(supervisor);
        for (int i = 0; i < 300; ++i) {
            RawClient client(daemon.control_socket());
            if (i % 3 == 0) client.send(kVersion);
            if (i % 3 == 1) client.send("{\"jsonrpc\":");
        }
        for (int i = 0; i < 5; ++i) REQUIRE(daemon.ctl({"restart", "api"}).code == 0);
        CHECK(wait_until([&] { return open(keeper) + open(supervisor) <= before; }, seconds{5}));
        CHECK(daemon.supervisor_pid() == supervisor);
    }

    TEST_CASE("control/another user: is not served") {
        if (!is_root()) return skip("needs root to become somebody else");
        Daemon daemon;
        // As wide open as a careless administrator could make it: the credentials still decide.
        std::filesystem::permissions(daemon.dir().path(), std::filesystem::perms(0755));
        REQUIRE(daemon.start(idle("api")).code == 0);
        std::filesystem::permissions(daemon.dir() / "run", std::filesystem::perms(0755));
        std::filesystem::permissions(daemon.control_socket(), std::filesystem::perms(0666));
        for (const char* verb : {"status", "shutdown"}) {
            const Outcome outcome =
                run({.argv = {"setpriv", "--reuid=65534", "--clear-groups", "--regid=65534",
                              daemon.copy_in(CLUSTERCTL_PATH), verb},
                     .env = daemon.env(),
                     .cwd = "/"});
            INFO(outcome.err);
            CHECK(outcome.code == 1);
            CHECK(outcome.out.find("api.0") == std::string::npos);
            CHECK(outcome.err.find("belongs to user 0 and serves nobody else") !=
                  std::string::npos);
        }
        // A client that does not look whose daemon it is is hung up on.
        const std::string script =
            "import socket, sys\n"
            "s = socket.socket(socket.AF_UNIX)\n"
            "s.connect(sys.argv[1])\n"
            "request = b'{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"workers.status\"}'\n"
            "try:\n"
            "  s.sendall(request + b'\\n')\n"
            "  print(len(s.recv(1)))\n"
            "except ConnectionError: print(0)\n";
        const Outcome raw = run({.argv = {"setpriv", "--reuid=65534", "--clear-groups",
                                          "--regid=65534", "/usr/bin/python3", "-c", script,
                                          daemon.control_socket()},
                                 .env = daemon.env(),
                                 .cwd = "/"});
        INFO(raw.err);
        CHECK(raw.out == "0\n");
        CHECK(daemon.state_of("api.0") == "running");
    }

    TEST_CASE("control/concurrency: twenty calls at once do not wait for one another") {
        const Daemon daemon;
        REQUIRE(
            daemon
                .start(idle("api", 4) + worker_table("slow", {worker_program("stubborn"), "3000"},
                                                     "min_uptime = \"50ms\""))
                .code == 0);
        Process stop = daemon.start_ctl({"stop", "slow"});
        REQUIRE(wait_until([&] { return daemon.state_of("slow.0") == "stopping"; }));
        std::vector<Process> calls;
        for (int i = 0; i < 20; ++i) {
            calls.push_back(
                i % 2 == 0 ? daemon.start_ctl({"status", "--json"})
                           : daemon.start_ctl({"restart", "api." + std::to_string(i / 2 % 4)}));
        }
        for (auto& call : calls) {
            const Outcome outcome = call.wait();
            INFO(outcome.err);
            CHECK(outcome.code == 0);
            CHECK(outcome.took < milliseconds{2500} * kPatience);
        }
        CHECK(stop.wait().code == 0);
    }

    TEST_CASE("control/speed: status is answered in milliseconds") {
        const Daemon daemon;
        REQUIRE(daemon.start(idle("api", 50)).code == 0);
        milliseconds best{1'000'000};
        for (int i = 0; i < 10; ++i) best = std::min(best, daemon.ctl({"status"}).took);
        MESSAGE("clusterctl status over 50 instances: " << best.count() << " ms");
        CHECK(best < milliseconds{250} * kPatience);
    }
}

}  // namespace cluster::test
