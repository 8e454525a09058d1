// The channel through libcluster: between programs in C, with others, and given again by the attach
// socket.
#include <doctest/doctest.h>
#include <signal.h>

#include <string>
#include <vector>

#include "support/daemon.hpp"
#include "support/keys.hpp"

namespace cluster::test {
namespace {

const std::string kReady = "min_uptime = \"50ms\"\nready = \"channel\"\n";

std::vector<std::string> talker(std::vector<std::string> words) {
    words.insert(words.begin(), worker_program("talker"));
    return words;
}

Json channel_of(const Daemon& daemon, const std::string& id) {
    const Outcome described = daemon.ctl({"describe", id, "--json"});
    return Json::parse(described.out).at("instances").at(0).at("channel");
}

bool comes_to(const Daemon& daemon, const std::string& id, const std::string& log) {
    return wait_until([&] { return daemon.out_log(id) == log; });
}

/// The channel is descriptor 3, and this closes it.
std::vector<std::string> wrapped(const std::string& words) {
    return {"sh", "-c", "exec 3>&-; exec " + worker_program("talker") + " " + words};
}

}  // namespace

TEST_SUITE("e2e") {
    TEST_CASE("channel C/messages: send, request, publish and subscribe, as everybody else") {
        const Daemon daemon;
        REQUIRE(daemon
                    .start(worker_table("server", talker({"subscribe", "n.*", "ready", "serve"}),
                                        kReady))
                    .code == 0);
        CHECK(daemon.worker("server.0").at("ready") == true);
        REQUIRE(daemon
                    .start(worker_table("asker",
                                        talker({"request", "server", "\"quiet\"", "request",
                                                "server.0", "[1]", "request", "nowhere", "1",
                                                "publish", "n.1", "{\"a\": 1.50}", "send",
                                                "server", "null", "unsubscribe", "other"}),
                                        kQuick))
                    .code == 0);
        CHECK(comes_to(daemon, "asker.0",
                       "reply from server.0 topic - data \"QUIET\" error - number 0\n"
                       "reply from server.0 topic - data - error no text number 0\n"
                       "reply from - topic - data - error nobody there number 0\n"
                       "reply from - topic - data - error - number 1\n"
                       "reply from - topic - data - error - number 1\n"
                       "reply from - topic - data false error - number 0\n"));
        CHECK(comes_to(daemon, "server.0",
                       "reply from - topic - data true error - number 0\n"
                       "request from asker.0 topic - data \"quiet\" error - number 0\n"
                       "request from asker.0 topic - data [1] error - number 0\n"
                       "message from asker.0 topic n.1 data {\"a\": 1.50} error - number 0\n"
                       "message from asker.0 topic - data null error - number 0\n"));
        const Outcome answered =
            daemon.ctl({"send", "server.0", "\"out\"", "--wait", "10000", "--json"});
        CHECK(answered.out.find("\"OUT\"") != std::string::npos);
        REQUIRE(daemon.ctl({"send", "asker.0", "{\"raw\":true}"}).code == 0);
    }

    TEST_CASE("channel C/rules: a posted message is the application's") {
        const Daemon daemon;
        REQUIRE(daemon
                    .start("[[channel.rule]]\nmatch = { type = \"count\" }\nincr = \"n\"\nby = "
                           "\"by\"\nbroadcast = \"total\"\n" +
                           worker_table("w",
                                        talker({"post", "{\"type\":\"count\",\"by\":41}", "post",
                                                "{\"type\":\"count\",\"by\":1}", "receive",
                                                "receive"}),
                                        kQuick))
                    .code == 0);
        CHECK(comes_to(daemon, "w.0",
                       "application from - topic - data {\"type\":\"total\",\"value\":41} error - "
                       "number 0\n"
                       "application from - topic - data {\"type\":\"total\",\"value\":42} error - "
                       "number 0\n"));
        CHECK(daemon.ctl({"store", "get", "n"}).out == "42");
    }

    TEST_CASE("channel/attach: a process whose wrapper closed its channel gets another one") {
        const Daemon daemon;
        for (const std::string more : {"", "store = false\n"}) {
            REQUIRE(daemon
                        .start(worker_table("w", wrapped("subscribe t ready receive serve"),
                                            kReady + more))
                        .code == 0);
            CHECK(daemon.worker("w.0").at("ready") == true);
            CHECK(channel_of(daemon, "w.0").at("state") == "open");
            REQUIRE(daemon.ctl({"publish", "t", "7"}).code == 0);
            CHECK(wait_until([&] {
                return daemon.out_log("w.0").find("message from - topic t data 7") !=
                       std::string::npos;
            }));
            // A successor of the daemon serves the new one.
            const pid_t before = daemon.supervisor_pid();
            REQUIRE(::kill(before, SIGKILL) == 0);
            REQUIRE(wait_until(
                [&] { return daemon.is_answering() && daemon.supervisor_pid() != before; }));
            const Outcome answered =
                daemon.ctl({"send", "w.0", "\"still\"", "--wait", "10000", "--json"});
            CHECK(answered.out.find("\"STILL\"") != std::string::npos);
            REQUIRE(daemon.ctl({"delete", "w"}).code == 0);
        }
    }

    TEST_CASE("channel/attach: the new owner begins anew, and the counts go on") {
        const Daemon daemon;
        REQUIRE(daemon
                    .start(worker_table("w",
                                        talker({"subscribe", "t", "ready", "close", "post", "1",
                                                "publish", "t", "2"}),
                                        kReady))
                    .code == 0);
        CHECK(comes_to(daemon, "w.0",
                       "reply from - topic - data true error - number 0\n"
                       "reply from - topic - data - error - number 0\n"));
        const Json channel = channel_of(daemon, "w.0");
        INFO(channel.dump(1));
        CHECK(channel.at("state") == "open");
        CHECK(channel.at("received") == 4);
        CHECK(daemon.worker("w.0").at("ready") == true);
    }

    TEST_CASE("channel/attach: without one by its table a process is told so") {
        const Daemon daemon;
        REQUIRE(daemon
                    .start(worker_table("w", talker({"ready"}),
                                        "min_uptime = \"0s\"\nchannel = false\nrestart = \"never\"\n"))
                    .code <= 1);
        CHECK(wait_until([&] {
            return daemon.out_log("w.0").find("open: not connected") != std::string::npos;
        }));
    }
}

}  // namespace cluster::test
