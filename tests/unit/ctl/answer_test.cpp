#include <doctest/doctest.h>

#include <string>

#include "ctl/documents.hpp"
#include "ctl/protocol.hpp"
#include "ctl/version.hpp"

using cluster::ctl::ErrorCode;
using cluster::ctl::LastExit;
using cluster::ctl::log_line_document;
using cluster::ctl::operation_document;
using cluster::ctl::OperationAnswer;
using cluster::ctl::parse_operation;
using cluster::ctl::parse_status;
using cluster::ctl::parse_version;
using cluster::ctl::render_answer;
using cluster::ctl::render_error;
using cluster::ctl::render_request;
using cluster::ctl::Request;
using cluster::ctl::RequestId;
using cluster::ctl::RpcError;
using cluster::ctl::status_document;
using cluster::ctl::StatusAnswer;
using cluster::ctl::validation_document;
using cluster::ctl::version;
using cluster::ctl::version_document;
using cluster::ctl::VersionAnswer;
using cluster::ctl::WorkerStatus;
namespace request = cluster::ctl::request;

namespace {

WorkerStatus running_worker() {
    WorkerStatus worker;
    worker.id = "api.0";
    worker.name = "api";
    worker.instance = 0;
    worker.group = "site";
    worker.state = "running";
    worker.ready = true;
    worker.pid = 4711;
    worker.restarts = 2;
    worker.uptime_ms = 65000;
    worker.rss_bytes = 18446744073709551615U;
    worker.cpu_percent = 12.5;
    worker.last_exit = LastExit{{}, "SIGKILL", "killed", {}, 1700000000000};
    worker.is_wanted = true;
    worker.out_log = "/log/api.0.out.log";
    worker.err_log = "/log/api.0.err.log";
    worker.status_text = "3 requests";
    worker.log_problem = "No space left on device";
    worker.log_lost_bytes = 4096;
    return worker;
}

WorkerStatus waiting_worker() {
    WorkerStatus worker;
    worker.id = "cron.1";
    worker.name = "cron";
    worker.instance = 1;
    worker.state = "backoff";
    worker.restarts = 7;
    worker.last_exit = LastExit{0, {}, "spawn_failed", "exec ./srv: Permission denied", 5};
    worker.next_start_ms = 1500;
    worker.waits_for = "db to be ready";
    worker.reload = "queued";
    worker.is_outdated = true;
    return worker;
}

StatusAnswer sample_status() {
    StatusAnswer status;
    status.daemon = {100, 101, "0.1.0", 99000, "/etc/cluster.toml", "/log", 3};
    status.workers = {running_worker(), waiting_worker()};
    return status;
}

OperationAnswer sample_operation() {
    OperationAnswer operation;
    operation.operation = 42;
    operation.state = "failed";
    operation.instances = {
        {"api.1", "failed", "fatal", "exec ./srv: Permission denied", "/l/e", true},
        {"api.2", "pending", "stopping", {}, {}, false}};
    operation.done = 3;
    operation.selected = {"api.0", "api.1", "api.2"};
    operation.notes = {"worker api: unchanged"};
    operation.plan = {{"api", "reload", 2, {{"env.PORT", "1", std::nullopt}}}};
    return operation;
}

}  // namespace

TEST_CASE("ctl/answer: status has the promised shape, field by field") {
    CHECK(
        render_answer(RequestId{"\"q\""}, sample_status()) ==
        R"({"jsonrpc":"2.0","id":"q","result":{)"
        R"("daemon":{"pid":100,"supervisor_pid":101,"version":"0.1.0","uptime_ms":99000,)"
        R"("config":"/etc/cluster.toml","log_dir":"/log","supervisor_starts":3},)"
        R"("workers":[)"
        R"({"id":"api.0","name":"api","instance":0,"group":"site","state":"running",)"
        R"("ready":true,"pid":4711,"restarts":2,"uptime_ms":65000,)"
        R"("rss_bytes":18446744073709551615,"cpu_percent":12.5,)"
        R"("last_exit":{"code":null,"signal":"SIGKILL","reason":"killed","detail":null,)"
        R"("at_ms":1700000000000},"next_start_ms":null,"wanted":true,)"
        R"("out_log":"/log/api.0.out.log","err_log":"/log/api.0.err.log",)"
        R"("status_text":"3 requests","log_problem":"No space left on device",)"
        R"("log_lost_bytes":4096,"waits_for":null,"reload":null,"outdated":false},)"
        R"({"id":"cron.1","name":"cron","instance":1,"group":null,"state":"backoff",)"
        R"("ready":false,"pid":null,"restarts":7,"uptime_ms":null,"rss_bytes":null,)"
        R"("cpu_percent":null,"last_exit":{"code":0,"signal":null,"reason":"spawn_failed",)"
        R"("detail":"exec ./srv: Permission denied","at_ms":5},"next_start_ms":1500,)"
        R"("wanted":false,"out_log":"","err_log":"","status_text":null,"log_problem":null,"log_lost_bytes":0,"waits_for":"db to be ready","reload":"queued","outdated":true}],"sockets":[]}})"
        "\n");
}

TEST_CASE("ctl/answer: status comes back as it was rendered") {
    const StatusAnswer sent = sample_status();
    const std::string line = render_answer(RequestId{"1"}, sent);
    const auto parsed = parse_status(line);
    REQUIRE(parsed.has_value());
    CHECK(render_answer(RequestId{"1"}, *parsed) == line);
    CHECK(parsed->workers[0].rss_bytes == 18446744073709551615U);
    CHECK(parsed->workers[1].last_exit->detail == "exec ./srv: Permission denied");
    CHECK_FALSE(parsed->workers[1].pid.has_value());
}

TEST_CASE("ctl/answer: of a row only what was asked for is said, and nothing that is null") {
    StatusAnswer sent = sample_status();
    sent.fields = {"pid", "state", "restarts", "last_exit", "wanted"};
    const std::string line = render_answer(RequestId{"1"}, sent);
    CHECK(line.find(R"("workers":[{"id":"api.0","state":"running",)") != std::string::npos);
    CHECK(line.find(R"({"id":"cron.1","state":"backoff","restarts":7,"last_exit":{"code":0,)"
                    R"("signal":null,"reason":"spawn_failed","detail":)"
                    R"("exec ./srv: Permission denied","at_ms":5},"wanted":false}])") !=
          std::string::npos);
    const auto parsed = parse_status(line);
    REQUIRE(parsed.has_value());
    CHECK(parsed->workers[0].pid == sent.workers[0].pid);
    CHECK(parsed->workers[0].name.empty());
    CHECK_FALSE(parsed->workers[0].rss_bytes.has_value());
    CHECK(parsed->workers[1].last_exit->detail == "exec ./srv: Permission denied");
}

TEST_CASE("ctl/answer: a row without id is no row") {
    const auto parsed = parse_status(
        R"({"jsonrpc":"2.0","id":1,"result":{"daemon":{"pid":1,"supervisor_pid":2,)"
        R"("version":"1","uptime_ms":1,"config":null,"log_dir":"/l","supervisor_starts":1},)"
        R"("workers":[{"name":"api"}],"sockets":[]}})");
    REQUIRE_FALSE(parsed.has_value());
    CHECK(parsed.error().message.find("workers[0].id: is missing") != std::string::npos);
}

TEST_CASE("ctl/answer: version and operation come back as they were rendered") {
    const auto parsed_version =
        parse_version(render_answer(RequestId{"1"}, VersionAnswer{"0.1.0", 1, 10, 11}));
    REQUIRE(parsed_version.has_value());
    CHECK(parsed_version->version == "0.1.0");
    CHECK(parsed_version->pid == 10);
    CHECK(parsed_version->supervisor_pid == 11);

    const std::string line = render_answer(RequestId{"1"}, sample_operation());
    CHECK(
        line ==
        R"({"jsonrpc":"2.0","id":1,"result":{"operation":42,"state":"failed","instances":[)"
        R"({"id":"api.1","outcome":"failed","state":"fatal",)"
        R"("detail":"exec ./srv: Permission denied","err_log":"/l/e","serving":true},)"
        R"({"id":"api.2","outcome":"pending","state":"stopping","detail":null,"err_log":null,"serving":false}],)"
        R"("done":3,"selected":["api.0","api.1","api.2"],"notes":["worker api: unchanged"],"plan":[{"worker":"api","action":"reload","instances":2,)"
        R"("changes":[{"key":"env.PORT","before":"1","after":null}]}]}})"
        "\n");
    const auto operation = parse_operation(line);
    REQUIRE(operation.has_value());
    CHECK(render_answer(RequestId{"1"}, *operation) == line);
}

TEST_CASE("ctl/answer: an error travels with its diagnostics") {
    const RpcError sent{ErrorCode::bad_config, "2 mistakes", {"a.toml:1:1: x", "a.toml:2:1: y"}};
    const std::string line = render_error(RequestId{"5"}, sent);
    CHECK(line == R"({"jsonrpc":"2.0","id":5,"error":{"code":2,"message":"2 mistakes",)"
                  R"("data":{"diagnostics":["a.toml:1:1: x","a.toml:2:1: y"]}}})"
                  "\n");
    const auto parsed = parse_operation(line);
    REQUIRE_FALSE(parsed.has_value());
    CHECK(parsed.error().code == ErrorCode::bad_config);
    CHECK(parsed.error().message == "2 mistakes");
    CHECK(parsed.error().diagnostics == sent.diagnostics);
}

TEST_CASE("ctl/answer: what a newer daemon says more is ignored") {
    const auto parsed = parse_version(
        R"({"jsonrpc":"2.0","id":1,"extra":1,"result":{"version":"9","control_version":2,)"
        R"("pid":1,"supervisor_pid":2,"codename":"x"}})");
    REQUIRE(parsed.has_value());
    CHECK(parsed->control_version == 2);
}

TEST_CASE("ctl/answer: a daemon that talks nonsense is an error, not a crash") {
    for (const std::string line :
         {"", "{}", "[]", R"({"result":5})", R"({"result":{"version":1}})", R"({"error":[]})",
          R"({"error":{"code":"x","message":"y"}})", "\xff"}) {
        CAPTURE(line);
        const auto parsed = parse_version(line);
        REQUIRE_FALSE(parsed.has_value());
        CHECK(parsed.error().code == ErrorCode::internal_error);
        CHECK(parsed.error().message.rfind("the daemon's answer is not understood: ", 0) == 0);
    }
}

TEST_CASE("ctl/answer: bytes that are not UTF-8 become U+FFFD and throw nowhere") {
    StatusAnswer status = sample_status();
    status.workers[0].out_log = "/log/\xff";
    status.workers[1].last_exit->detail = "exec \xc3\x28: x";
    const auto parsed = parse_status(render_answer(RequestId{"1"}, status));
    REQUIRE(parsed.has_value());
    CHECK(parsed->workers[0].out_log == "/log/\xEF\xBF\xBD");
    CHECK(status_document(status).find("\xEF\xBF\xBD") != std::string::npos);
    CHECK(render_error(RequestId{"1"}, RpcError{ErrorCode::refused, "\x80", {"\xfe"}}).size() > 0);
    CHECK(
        log_line_document("api.0", "err", "", "a\xff\tb\"") ==
        "{\"id\":\"api.0\",\"stream\":\"err\",\"time\":null,\"line\":\"a\xEF\xBF\xBD\\tb\\\"\"}\n");
    CHECK(render_request(Request{RequestId{"1"}, request::Load{"/a", "\xff", "\xff"}}).size() > 0);
    CHECK(render_request(Request{RequestId{"1"}, request::Stop{{"\xff"}}}).size() > 0);
}

TEST_CASE("ctl/answer: the documents of --json") {
    CHECK(version_document({}) == "{\n  \"client\": {\n    \"version\": \"" +
                                      std::string(version()) + "\"\n  },\n  \"daemon\": null\n}\n");
    const std::string document = operation_document(sample_operation(), sample_status());
    for (const char* member : {"\"operation\": 42", "\"state\": \"failed\"", "\"daemon\": {",
                               "\"workers\": [", "\"notes\": ["}) {
        CAPTURE(member);
        CHECK(document.find(member) != std::string::npos);
    }
    CHECK(operation_document(sample_operation(), {}).find("\"workers\": null") !=
          std::string::npos);
    CHECK(validation_document(
              {{"a.toml", 2, 5, {}}, {"b.toml", 0, 0, {"b.toml:1:1: x\n  1 | y\n    | ^\n"}}}) ==
          R"({
  "ok": false,
  "files": [
    {
      "file": "a.toml",
      "ok": true,
      "workers": 2,
      "instances": 5,
      "diagnostics": []
    },
    {
      "file": "b.toml",
      "ok": false,
      "workers": 0,
      "instances": 0,
      "diagnostics": [
        "b.toml:1:1: x"
      ]
    }
  ]
}
)");
}

TEST_CASE("ctl/answer: the document of an environment has that of every instance") {
    cluster::ctl::DescribeAnswer answer;
    for (const char* const id : {"api.0", "api.1"}) {
        cluster::ctl::Description& description = answer.instances.emplace_back();
        description.status.id = id;
        description.environment = {{"PORT", "8000", std::nullopt}};
    }
    const std::string document = cluster::ctl::environment_document(answer);
    const std::string tail = R"(",
      "environment_read": false,
      "environment_problem": null,
      "environment": [
        {
          "name": "PORT",
          "next": "8000",
          "running": null
        }
      ]
    })";
    CHECK(document == "{\n  \"instances\": [\n    {\n      \"id\": \"api.0" + tail +
                          ",\n    {\n      \"id\": \"api.1" + tail + "\n  ]\n}\n");
}

TEST_CASE("ctl/answer: a description comes back as it was rendered") {
    cluster::ctl::Description description;
    description.status = sample_status().workers[0];
    description.source = "/etc/site.toml";
    description.run = 7;
    description.waits_for = "db to be ready";
    description.deadline = "SIGKILL";
    description.deadline_ms = 1500;
    description.sockets = {{"web", "tcp", "*:0", "[::]:40000", std::nullopt, 3U, 4},
                           {"in", "unix", "/a", std::nullopt, "taken", std::nullopt, 0}};
    description.channel = {.mode = "node", .state = "open", .received = 12, .heartbeat_ms = 40};
    description.channel->descriptors = 3;
    description.cluster = {.state = "listening",
                           .drains = true,
                           .unanswered = 2,
                           .addresses = {{"127.0.0.1:8000", "round-robin", 77}}};
    description.cluster->warning = "careful";
    description.spec = {{"stop_timeout", "10s", "default"}};
    description.is_environment_read = true;
    description.environment = {{"A", "1", "2"}, {"B", std::nullopt, "x"}, {"C", "y", std::nullopt}};
    description.descriptor_count = 4;
    description.descriptors = {{0, "/dev/null"}, {3, "socket:[1]"}};
    description.exits = {{{3, std::nullopt, "exited", std::nullopt, 1000}, 6, 99, 250}};
    const std::string line =
        render_answer(RequestId{"1"}, cluster::ctl::DescribeAnswer{{description}});
    const auto parsed = cluster::ctl::parse_description(line);
    REQUIRE(parsed.has_value());
    CHECK(render_answer(RequestId{"1"}, *parsed) == line);
    const auto& back = parsed->instances.at(0);
    CHECK(back.status.id == description.status.id);
    CHECK(back.environment[1].running == "x");
    CHECK_FALSE(back.environment[1].next.has_value());
    REQUIRE(back.sockets.size() == 2);
    CHECK(back.sockets[0].address == "[::]:40000");
    CHECK(back.sockets[0].waiting == 3U);
    CHECK(back.sockets[0].number == 4);
    CHECK(back.sockets[1].problem == "taken");
    CHECK_FALSE(back.sockets[1].address.has_value());
    REQUIRE(back.channel.has_value());
    CHECK(back.channel->received == 12);
    CHECK(back.channel->heartbeat_ms == 40);
    CHECK(back.channel->descriptors == 3);
    REQUIRE(back.cluster.has_value());
    CHECK(back.cluster->state == "listening");
    CHECK(back.cluster->drains);
    CHECK(back.cluster->unanswered == 2);
    REQUIRE(back.cluster->addresses.size() == 1);
    CHECK(back.cluster->addresses[0].address == "127.0.0.1:8000");
    CHECK(back.cluster->addresses[0].schedule == "round-robin");
    CHECK(back.cluster->addresses[0].connections == 77);
    CHECK_FALSE(back.cluster->problem.has_value());
    CHECK(back.cluster->warning == "careful");
    CHECK(back.exits[0].exit.code == 3);
    CHECK(back.exits[0].uptime_ms == 250);
    CHECK(back.descriptors[1].target == "socket:[1]");
}
