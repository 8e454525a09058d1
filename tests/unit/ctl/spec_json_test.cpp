#include "ctl/spec_json.hpp"

#include <doctest/doctest.h>

#include <string>

#include "base/prng.hpp"

using namespace std::chrono_literals;
using cluster::core::RestartLimit;
using cluster::core::RestartPolicy;
using cluster::core::WorkerSpec;
using cluster::ctl::parse_spec;
using cluster::ctl::render_spec;

namespace {

WorkerSpec full_spec() {
    WorkerSpec spec;
    spec.name = "api";
    spec.group = "site";
    spec.instances = 4;
    spec.autostart = false;
    spec.source = "/etc/cluster.toml";
    spec.policy.restart = RestartPolicy::on_failure;
    spec.policy.backoff = {1000001ns, 1.1, 1h, 0.333333333333333314829616256247, 123456789ns};
    spec.policy.restart_limit = {32, 90s, RestartLimit::Then::fatal};
    spec.policy.success_exit_codes.set(143);
    spec.policy.stop_signal = 2;
    spec.policy.stop_timeout = 0ns;
    spec.policy.min_uptime = 1ms;
    spec.policy.start_timeout = 24h * 365;
    spec.policy.watchdog = 1500ms;
    spec.policy.ready.kind = cluster::core::Readiness::Kind::probe;
    spec.policy.ready.probe.kind = cluster::core::Probe::Kind::http;
    spec.policy.ready.probe.host = "::1";
    spec.policy.ready.probe.port = 8000;
    spec.policy.ready.probe.path = "/health?deep=1";
    spec.policy.ready.probe.status = 204;
    spec.policy.ready.probe.success_threshold = 7;
    spec.policy.liveness.kind = cluster::core::Probe::Kind::unix_socket;
    spec.policy.liveness.path = "/run/\xFF.sock";
    spec.policy.liveness.period = 10s;
    spec.policy.liveness.failure_threshold = 5;
    spec.reload = {cluster::core::ReloadSpec::Mode::stop_first, 3, 4, 1};
    spec.log = {4096, 0, 4096, false, true, true, 1U << 20U};
    spec.launch.command = {"/usr/bin/env", "", "a b", "\"quoted\"", "caf\xC3\xA9", "\xFF\xFE"};
    spec.launch.cwd = "/srv/\xFF";
    spec.launch.env = {{"PORT", "8000"}, {"EMPTY", ""}, {"EQUALS", "a=b=c"}, {"\xFFKEY", "\xFF"}};
    spec.launch.env_files = {{"/srv/.env", false}, {"/srv/\xFF.env", true}};
    spec.launch.standard_input = "/srv/in";
    spec.launch.base_path = "/bin:/usr/bin";
    spec.launch.keep_env = true;
    spec.launch.inherited_env = {{"HOME", "/root"}};
    spec.launch.user = "www-data";
    spec.launch.group = "adm";
    spec.launch.umask = 0777;
    spec.launch.nice = -20;
    spec.launch.channel = cluster::core::ChannelMode::json;
    spec.launch.node = {true, false, true, cluster::core::NodeSchedule::round_robin};
    spec.stop_message = true;
    cluster::core::SocketSpec web;
    web.name = "web";
    web.host = "::1";
    web.port = 8000;
    web.ipv6_only = true;
    web.backlog = 7;
    web.reuse_port = true;
    cluster::core::SocketSpec admin;
    admin.name = "admin";
    admin.type = cluster::core::SocketSpec::Type::seqpacket;
    admin.family = cluster::core::SocketSpec::Family::path;
    admin.path = "/run/\xFF.sock";
    admin.nonblocking = true;
    admin.mode = 0;
    admin.user = "www-data";
    admin.group = "adm";
    spec.sockets = {web, admin};
    spec.stdin_socket = web;
    spec.wants = {"cache"};
    spec.after = {"migrate", "cache"};
    spec.launch.limits = {{"nofile", 1024, 65536}, {"core", 0, ~std::uint64_t{0}}};
    return spec;
}

WorkerSpec minimal_spec() {
    WorkerSpec spec;
    spec.name = "a";
    spec.launch.command = {"true"};
    spec.launch.cwd = "/";
    return spec;
}

/// The rendered minimal spec with one piece of its text replaced.
std::string broken(const std::string& piece, const std::string& replacement) {
    std::string text = render_spec(minimal_spec());
    const std::size_t at = text.find(piece);
    REQUIRE(at != std::string::npos);
    return text.replace(at, piece.size(), replacement);
}

std::string refusal(const std::string& text) {
    const auto parsed = parse_spec(text);
    REQUIRE_FALSE(parsed.has_value());
    return parsed.error();
}

}  // namespace

TEST_CASE("ctl/spec_json: every field comes back as it went, odd bytes included") {
    for (const WorkerSpec& spec : {full_spec(), minimal_spec()}) {
        const std::string text = render_spec(spec);
        CHECK(text.find('\n') == std::string::npos);
        const auto parsed = parse_spec(text);
        if (!parsed) FAIL(parsed.error());
        CHECK(*parsed == spec);
        CHECK(render_spec(*parsed) == text);
    }
}

TEST_CASE("ctl/spec_json: durations and fractions are exact") {
    cluster::Prng prng(20);
    WorkerSpec spec = minimal_spec();
    for (int i = 0; i < 500; ++i) {
        spec.policy.stop_timeout =
            cluster::Duration{static_cast<std::int64_t>(prng.below(1U << 30U))};
        spec.policy.backoff.factor = 1.0 + prng.unit() * 10;
        spec.policy.backoff.jitter = prng.unit();
        const auto parsed = parse_spec(render_spec(spec));
        REQUIRE(parsed.has_value());
        REQUIRE(*parsed == spec);
    }
}

TEST_CASE("ctl/spec_json: every bound is checked, and the message names the field") {
    struct Case {
        std::string piece;
        std::string replacement;
        const char* message;
    };
    const Case cases[] = {
        {R"("name":"a")", R"("name":"all")",
         R"(spec.name: "all" is not a worker's name ([A-Za-z0-9_-]{1,64}, not "all"))"},
        {R"("name":"a")", R"("name":"../x")",
         R"(spec.name: "../x" is not a worker's name ([A-Za-z0-9_-]{1,64}, not "all"))"},
        {R"("group":"")", R"("group":"a b")",
         R"(spec.group: "a b" is not a group's name ([A-Za-z0-9_-]{1,64}, not "all"))"},
        {R"("instances":1)", R"("instances":4097)",
         "spec.instances: 4097 is not between 0 and 4096"},
        {R"("autostart":true)", R"("autostart":1)",
         "spec.autostart: expected true or false, got number"},
        {R"("source":"")", R"("source":"a.toml")",
         "spec.source: expected an absolute path, or nothing"},
        {R"("restart":"always")", R"("restart":"sometimes")",
         R"(spec.policy.restart: "sometimes" is none of always, on-failure, never)"},
        {R"("factor":2.0)", R"("factor":0.5)",
         "spec.policy.backoff.factor: 0.5 is not between 1.0 and 100.0"},
        {R"("jitter":0.1)", R"("jitter":1.5)",
         "spec.policy.backoff.jitter: 1.5 is not between 0.0 and 1.0"},
        {R"("initial_ns":100000000)", R"("initial_ns":-1)",
         "spec.policy.backoff.initial_ns: -1 is not between 0 and 3153600000000000000"},
        {R"("max_ns":30000000000)", R"("max_ns":2000000)",
         "spec.policy.backoff.max_ns: is less than initial_ns"},
        {R"("count":10)", R"("count":33)",
         "spec.policy.restart_limit.count: 33 is not between 1 and 32"},
        {R"("then":"slow")", R"("then":"")",
         R"(spec.policy.restart_limit.then: "" is none of slow, fatal)"},
        {R"("success_exit_codes":[0])", R"("success_exit_codes":[0,256])",
         "spec.policy.success_exit_codes[1]: 256 is not between 0 and 255"},
        {R"("stop_signal":15)", R"("stop_signal":0)",
         "spec.policy.stop_signal: 0 is not between 1 and 64"},
        {R"("stop_signal":15)", R"("stop_signal":19)",
         "spec.policy.stop_signal: SIGSTOP cannot end a process"},
        {R"("stop_timeout_ns":10000000000)", R"("stop_timeout_ns":9223372036854775807)",
         "spec.policy.stop_timeout_ns: 9223372036854775807 is not between 0 and "
         "3153600000000000000"},
        {R"("max_size":52428800)", R"("max_size":4095)", "spec.log.max_size: is less than 4096"},
        {R"("max_total_size":"unlimited")", R"("max_total_size":52428799)",
         "spec.log.max_total_size: is less than max_size"},
        {R"("max_line":65536)", R"("max_line":1023)",
         "spec.log.max_line: 1023 is not between 1024 and 1048576"},
        {R"("keep":10)", R"("keep":10001)", "spec.log.keep: 10001 is not between 0 and 10000"},
        {R"("mode":"auto")", R"("mode":"rolling")",
         "spec.reload.mode: expected \"auto\", \"overlap\" or \"stop-first\""},
        {R"("batch":1)", R"("batch":0)", "spec.reload.batch: 0 is not between 1 and 4096"},
        {R"("surge":1)", R"("surge":5000)", "spec.reload.surge: 5000 is not between 1 and 4096"},
        {R"("merge":false)", R"("merg":false)", "spec.log.merge: is missing"},
        {R"("command":["true"])", R"("command":[])", "spec.launch.command: names no program"},
        {R"("command":["true"])", R"("command":[""])", "spec.launch.command: names no program"},
        {R"("command":["true"])", R"("command":["a\u0000b"])",
         "spec.launch.command[0]: contains a NUL byte"},
        {R"("command":["true"])", R"("command":[{"hex":"6100"}])",
         "spec.launch.command[0]: contains a NUL byte"},
        {R"("cwd":"/")", R"("cwd":".")", "spec.launch.cwd: expected an absolute path"},
        {R"("env":[])", R"("env":["=x"])", "spec.launch.env[0]: expected NAME=value"},
        {R"("env":[])", R"("env":["x"])", "spec.launch.env[0]: expected NAME=value"},
        {R"("env":[])", R"("env":["A=1","A=2"])", R"(spec.launch.env[1]: "A" stands twice)"},
        {R"("umask":18)", R"("umask":512)", "spec.launch.umask: 512 is not between 0 and 511"},
        {R"("nice":null)", R"("nice":20)", "spec.launch.nice: 20 is not between -20 and 19"},
        {R"("limits":[])", R"("limits":[{"name":"nofiles","soft":1,"hard":1}])",
         R"(spec.launch.limits[0].name: no limit is called "nofiles"; did you mean "nofile"?)"},
        {R"("limits":[])", R"("limits":[{"name":"nofile","soft":2,"hard":1}])",
         "spec.launch.limits[0].soft: exceeds hard"},
        {R"("limits":[])", R"("limits":[{"name":"nofile","soft":"max","hard":1}])",
         R"(spec.launch.limits[0].soft: expected an integer or "unlimited")"},
        {R"("user":"")", R"("usr":"")", "spec.launch.user: is missing"},
        {R"("user":"")", R"("user":"","usr":"")",
         R"(spec.launch.usr: unknown field; did you mean "user"?)"},
        {R"("policy":{)", R"("policy":{"x":1,)", "spec.policy.x: unknown field"},
        {R"("sockets":[])", R"("sockets":[{"name":"a/b"}])",
         R"(spec.sockets[0].name: "a/b" is not a socket's name ([A-Za-z0-9_-]{1,64}, not "all"))"},
        {R"("stdin_socket":null)", R"("stdin_socket":{"name":"a","type":"tcp"})",
         R"(spec.stdin_socket.type: "tcp" is not known)"},
        {R"("stdin_socket":null)",
         R"("stdin_socket":{"name":"a","type":"stream","family":"internet","host":"-x"})",
         "spec.stdin_socket.host: is neither an address nor a name"},
        {R"("stdin_socket":null)",
         R"("stdin_socket":{"name":"a","type":"stream","family":"path","host":"","port":0,"path":"x"})",
         "spec.stdin_socket.path: expected an absolute path"},
        {R"("stdin_socket":null)",
         R"("stdin_socket":{"name":"a","type":"stream","family":"abstract","host":"","port":0,"path":""})",
         "spec.stdin_socket.path: has to have 1 to 107 bytes"},
    };
    for (const Case& c : cases) {
        CAPTURE(c.replacement);
        CHECK(refusal(broken(c.piece, c.replacement)) == c.message);
    }
}

TEST_CASE("ctl/spec_json: text that is no spec is refused") {
    CHECK(refusal("") == "not JSON: mistake at byte 1");
    CHECK(refusal("[]") == "spec: expected an object, got array");
    CHECK(refusal("{}") == "spec.name: is missing");
    const std::string good = render_spec(full_spec());
    for (std::size_t length = 0; length < good.size(); ++length) {
        CHECK_FALSE(parse_spec(good.substr(0, length)).has_value());
    }
}
