#include <doctest/doctest.h>

#include <sstream>
#include <string>
#include <vector>

#include "clusterctl/startup_unit.hpp"
#include "clusterctl/view/describe_view.hpp"
#include "clusterctl/view/event_view.hpp"
#include "clusterctl/view/message_view.hpp"
#include "clusterctl/view/plan_view.hpp"
#include "clusterctl/view/text.hpp"
#include "clusterctl/view/top_view.hpp"

using namespace cluster::clusterctl;
namespace ctl = cluster::ctl;

namespace {

std::vector<std::string> lines_of(const std::string& text) {
    std::vector<std::string> lines;
    std::istringstream stream(text);
    for (std::string line; std::getline(stream, line);) lines.push_back(line);
    return lines;
}

ctl::WorkerStatus row(const std::string& name, double cpu, std::uint64_t memory) {
    ctl::WorkerStatus worker;
    worker.id = name + ".0";
    worker.name = name;
    worker.state = "running";
    worker.pid = 7;
    worker.cpu_percent = cpu;
    worker.rss_bytes = memory;
    return worker;
}

std::string ids(const std::string& screen) {
    std::string result;
    for (const std::string& line : lines_of(screen)) {
        if (line.find(".0") == 1) result += line.substr(0, 1);
    }
    return result;
}

}  // namespace

TEST_CASE("clusterctl/plan_view: a line per worker, the changed keys below, the rest in one line") {
    const std::vector<ctl::PlannedWorker> plan = {
        {"web", "add", 2, {}},
        {"api", "reload", 1, {{"env.PORT", "8000", "8080"}, {"env.OLD", "1", std::nullopt}}},
        {"db", "change", 1, {{"group", std::nullopt, "site"}}},
        {"a", "unchanged", 1, {}},
        {"b", "unchanged", 1, {}},
        {"old", "delete", 0, {}}};
    CHECK(render_plan(plan, 0, false) ==
          "+ web: add, 2 instances\n"
          "~ api: reload\n"
          "    env.PORT: 8000 → 8080\n"
          "    env.OLD: 1 → (not set)\n"
          "~ db: change in place\n"
          "    group: (not set) → site\n"
          "- old: stop and delete\n"
          "  2 unchanged: a, b\n");
    for (const std::string& line : lines_of(render_plan(plan, 20, false))) {
        CHECK(display_width(line) <= 20);
    }
    CHECK(render_plan({}, 0, false) == "nothing to do: the file has no workers\n");
    CHECK(render_plan({{"x", "change", 1, {{"k", "a\x1b[2J", "b"}}}}, 0, false).find('\x1b') ==
          std::string::npos);
}

TEST_CASE("clusterctl/plan_view: many new workers share a line") {
    std::vector<ctl::PlannedWorker> plan;
    for (int i = 0; i < 9; ++i) plan.push_back({"w" + std::to_string(i), "add", 1, {}});
    CHECK(render_plan(plan, 0, false) == "+ 9 new: w0, w1, w2, w3, w4, w5, w6, w7, w8\n");
}

TEST_CASE("clusterctl/message_view: what a worker said is a value of the document") {
    CHECK(sent_document({2, std::nullopt, std::nullopt, std::nullopt}) ==
          "{\n  \"delivered\": 2\n}\n");
    CHECK(sent_document({1, "api.0", R"({"b":[],"a":1.0})", std::nullopt}) == R"({
  "delivered": 1,
  "from": "api.0",
  "reply": {
    "b": [],
    "a": 1.0
  }
}
)");
    CHECK(sent_document({0, std::nullopt, std::nullopt, "timeout"}) ==
          "{\n  \"delivered\": 0,\n  \"error\": \"timeout\"\n}\n");
    CHECK(message_document({5, "api.0", std::nullopt, R"({"a" : 1,"b":2, "a":3})"}) ==
          R"({"at_ms":5,"from":"api.0","topic":null,"message":{"a":3,"b":2}})"
          "\n");
    // What is JSON, but none that we can hold, is still shown.
    CHECK(message_document({5, std::nullopt, "news", "1e999"}) ==
          R"({"at_ms":5,"from":null,"topic":"news","message":"1e999"})"
          "\n");
}

TEST_CASE("clusterctl/event_view: what each kind of event says") {
    const auto text = [](const std::string& fields) {
        const auto event = ctl::parse_event("{\"seq\":1,\"at_ms\":1000,\"type\":" + fields + "}");
        REQUIRE(event.has_value());
        const std::string line = render_event(*event, {0, false, 1000});
        return line.substr(line.find(' ') + 1);
    };
    CHECK(
        text(
            R"("state","id":"a.0","from":"running","to":"backoff","run":2,"next_start_ms":1500)") ==
        "a.0: running → backoff, next start in 1s\n");
    CHECK(text(R"("state","id":"a.0","to":"running","run":2,"ready":true)") ==
          "a.0: running, ready\n");
    CHECK(text(R"("exit","id":"a.0","run":2,"pid":3,"code":4,"reason":"exited","uptime_ms":61000,)"
               R"("stderr":["oh","no"])") ==
          "a.0: exited with 4 after 1m 1s\n    | oh\n    | no\n");
    CHECK(text(R"("exit","id":"a.0","signal":"SIGKILL","reason":"killed")") ==
          "a.0: killed by SIGKILL (killed)\n");
    CHECK(text(R"("operation","method":"workers.stop","selectors":["a","@b"],"operation":7,)"
               R"("by_pid":12,"by_uid":0)") == "workers.stop a @b: operation 7 (pid 12, uid 0)\n");
    CHECK(
        text(
            R"("refused","method":"workers.add","worker":"a","message":"no","by_pid":1,"by_uid":2)") ==
        "workers.add a refused: no (pid 1, uid 2)\n");
    CHECK(text(R"("news","of":"tomorrow")") == "news: of=tomorrow\n");
    CHECK(text(R"("daemon","what":"started","lost":3)") ==
          "daemon started\n    (3 events before it could not be written)\n");
}

TEST_CASE(
    "clusterctl/event_view: lines that are no events are none, and nothing steers a terminal") {
    for (const char* line : {"", "{", "[]", "{\"seq\":-1,\"at_ms\":1,\"type\":\"x\"}",
                             "{\"seq\":1,\"type\":\"x\"}", "{\"seq\":1,\"at_ms\":1}"}) {
        CAPTURE(line);
        CHECK_FALSE(ctl::parse_event(line).has_value());
    }
    const auto event = ctl::parse_event(
        R"({"seq":1,"at_ms":1,"type":"exit","id":"\u001b[2J","stderr":["\u001b]0;x"]})");
    REQUIRE(event.has_value());
    const std::string text = render_event(*event, {40, false, 1});
    CHECK(text.find('\x1b') == std::string::npos);
    for (const std::string& line : lines_of(text)) CHECK(display_width(line) <= 40);
}

TEST_CASE("clusterctl/describe_view: differences of the environment are said") {
    ctl::Description description;
    description.status = row("a", 1, 1 << 20U);
    description.run = 3;
    description.is_environment_read = true;
    description.environment = {{"SAME", "1", "1"},
                               {"NEW", "2", std::nullopt},
                               {"GONE", std::nullopt, "3"},
                               {"OTHER", "4", "5"}};
    description.spec = {{"command", "x", "/f.toml"}, {"stop_timeout", "10s", "default"}};
    description.exits = {{{3, std::nullopt, "exited", std::nullopt, 1000}, 2, 99, 250}};
    const std::string text = render_description(description, {0, false, 4000});
    for (const char* part :
         {"a.0: running, not ready\n", "  SAME=1\n", "  NEW=2  (not set in the running one)\n",
          "  GONE  (of the running one only: 3)\n", "  OTHER=4  (running: 5)\n", "  3 differ",
          "  command       x\n", "by default:\n  stop_timeout  10s\n",
          "3s ago  run 2  exited with 3, after 250ms (pid 99)\n"}) {
        CAPTURE(part);
        CHECK(text.find(part) != std::string::npos);
    }
    for (const std::string& line : lines_of(render_description(description, {40, false, 4000}))) {
        CHECK(display_width(line) <= 40);
    }
    description.is_environment_read = false;
    CHECK(render_description(description, {0, false, 4000}).find("differ") == std::string::npos);
}

TEST_CASE("clusterctl/describe_view: a full disk is told, and what it cost") {
    ctl::Description description;
    description.status = row("a", 1, 1 << 20U);
    const auto shown = [&] { return render_description(description, {0, false, 4000}); };
    CHECK(shown().find("  logs ") == std::string::npos);
    description.status.log_lost_bytes = 2048;
    CHECK(shown().find("  logs       2.0 KiB of output thrown away\n") != std::string::npos);
    description.status.log_problem = "No space left on device";
    CHECK(shown().find("cannot be written: No space left on device; 2.0 KiB of output thrown") !=
          std::string::npos);
}

TEST_CASE("clusterctl/describe_view: sockets with where they are, and what is wrong with them") {
    ctl::Description description;
    description.status = row("a", 1, 1 << 20U);
    description.sockets = {
        {"web", "tcp", "127.0.0.1:0", "127.0.0.1:40000", std::nullopt, 1U, 3},
        {"udp", "udp", "*:53", "[::]:53", std::nullopt, 12U, 4},
        {"x", "unix", "/run/x", std::nullopt, "socket x: cannot listen", std::nullopt, 5}};
    const std::string text = render_description(description, {0, false, 4000});
    for (const char* part :
         {"sockets\n",
          "  web  tcp 127.0.0.1:40000 (127.0.0.1:0), descriptor 3, 1 connection not accepted yet\n",
          "  udp  udp [::]:53 (*:53), descriptor 4\n",
          "  x    unix /run/x, descriptor 5\n    socket x: cannot listen\n"}) {
        CAPTURE(part);
        CHECK(text.find(part) != std::string::npos);
    }
    description.sockets.clear();
    CHECK(render_description(description, {0, false, 4000}).find("sockets") == std::string::npos);
}

TEST_CASE("clusterctl/describe_view: a channel with what went over it, and what went wrong") {
    ctl::Description description;
    description.status = row("a", 1, 1 << 20U);
    const auto shown = [&] { return render_description(description, {0, false, 4000}); };
    CHECK(shown().find("channel") == std::string::npos);
    description.channel = {.mode = "json", .state = "open", .received = 12, .sent = 3};
    CHECK(shown().find("channel\n  mode       json\n  messages   12 received, 3 sent\nspec") !=
          std::string::npos);
    description.channel->state = "it did not read its messages";
    description.channel->queued_bytes = 2048;
    description.channel->subscriptions = 1;
    description.channel->requests = 2;
    description.channel->heartbeat_ms = 1000;
    description.channel->malformed = 4;
    description.channel->descriptors = 1;
    CHECK(shown().find("channel\n"
                       "  mode       json, closed: it did not read its messages\n"
                       "  messages   12 received, 3 sent, 2.0 KiB not read yet\n"
                       "  waits for  1 topic, 2 replies\n"
                       "  heartbeat  1s ago\n"
                       "  trouble    4 malformed, 1 uninvited descriptors\n") != std::string::npos);
}

TEST_CASE("clusterctl/top_view: keys order and reverse") {
    ctl::StatusAnswer status;
    status.workers = {row("a", 1, 300), row("b", 3, 100), row("c", 2, 200)};
    TopChoice choice;
    const auto shown = [&] { return ids(render_top(status, choice, 10, "", {80, false, 0})); };
    CHECK(shown() == "bca");
    CHECK(take_top_key('m', 7, 3, choice));
    CHECK(shown() == "acb");
    CHECK(take_top_key('m', 7, 3, choice));
    CHECK(shown() == "bca");
    CHECK(take_top_key('n', 7, 3, choice));
    CHECK(shown() == "abc");
    CHECK_FALSE(take_top_key('x', 7, 3, choice));
    CHECK(shown() == "abc");
}

TEST_CASE("clusterctl/top_view: a screen is full, never wider or higher, and scrolls to its end") {
    ctl::StatusAnswer status;
    for (char c = 'a'; c <= 'z'; ++c) status.workers.push_back(row(std::string(1, c), 0, 0));
    TopChoice choice{TopOrder::id, false, 0};
    for (const std::size_t height : {1, 2, 3, 4, 10, 40}) {
        for (const std::size_t width : {20, 40, 80}) {
            const auto lines =
                lines_of(render_top(status, choice, height, "", {width, false, 0}) + "\n");
            CHECK(lines.size() == height);
            for (const std::string& line : lines) CHECK(display_width(line) <= width);
        }
    }
    const auto shown = [&] { return ids(render_top(status, choice, 8, "", {80, false, 0})); };
    CHECK(shown() == "abcde");
    CHECK(take_top_key('j', 5, 26, choice));
    CHECK(shown() == "bcdef");
    for (int i = 0; i < 9; ++i) (void)take_top_key(' ', 5, 26, choice);
    CHECK(shown() == "vwxyz");
    for (int i = 0; i < 9; ++i) (void)take_top_key('b', 5, 26, choice);
    CHECK(take_top_key('k', 5, 26, choice));
    CHECK(shown() == "abcde");
    CHECK(render_top(status, choice, 8, "no daemon", {80, false, 0}).rfind("no daemon\n", 0) == 0);
}

TEST_CASE("clusterctl/startup: paths and values are quoted as systemd reads them") {
    const UnitSettings settings{
        true, "/opt/my $x/clusterd", {{"CLUSTER_STATE_DIR", "/a\"b\\c%d\ne"}}};
    const std::string unit = make_unit(settings);
    CHECK(unit.find("\nExecStart=\"/opt/my $$x/clusterd\"\n"
                    "Environment=\"CLUSTER_STATE_DIR=/a\\\"b\\\\c%%d\\ne\"\n") !=
          std::string::npos);
    CHECK(unit.find("/usr/bin/clusterd") == std::string::npos);
    CHECK(unit.find("WantedBy=default.target") != std::string::npos);
    const std::string system = make_unit({false, "/usr/sbin/clusterd", {}});
    for (const char* line :
         {"Type=notify", "NotifyAccess=all", "KillMode=process", "OOMPolicy=continue",
          "Delegate=yes", "Restart=always", "TasksMax=infinity", "WantedBy=multi-user.target"}) {
        CAPTURE(line);
        CHECK(system.find(std::string("\n") + line + "\n") != std::string::npos);
    }
}
