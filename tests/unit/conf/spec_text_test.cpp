#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "conf/spec_text.hpp"

using namespace std::chrono_literals;
namespace conf = cluster::conf;
namespace core = cluster::core;
using conf::Effect;

namespace {

core::WorkerSpec sample() {
    core::WorkerSpec spec;
    spec.name = "api";
    spec.source = "/etc/site.toml";
    spec.launch.command = {"node", "server.js"};
    spec.launch.cwd = "/srv";
    spec.launch.env = {{"MODE", "x"}, {"PORT", "8000"}};
    return spec;
}

core::WorkerSpec with_sockets(core::WorkerSpec spec) {
    core::SocketSpec web;
    web.name = "web";
    web.host = "127.0.0.1";
    web.port = 80;
    core::SocketSpec admin;
    admin.name = "admin";
    admin.family = core::SocketSpec::Family::path;
    admin.path = "/run/admin";
    spec.sockets = {web, admin};
    spec.stdin_socket = web;
    return spec;
}

std::vector<std::string> texts(const std::vector<conf::KeyChange>& changes) {
    std::vector<std::string> result;
    for (const conf::KeyChange& change : changes) {
        result.push_back(change.key + ": " + change.before.value_or("(none)") + " → " +
                         change.after.value_or("(none)") +
                         (change.effect == Effect::restart ? " restart" : ""));
    }
    return result;
}

using Texts = std::vector<std::string>;

}  // namespace

TEST_CASE("conf/spec_text: equal specs have no changes") {
    CHECK(conf::changes_between(sample(), sample()).empty());
}

TEST_CASE("conf/spec_text: variables are named one by one, set, changed and gone") {
    core::WorkerSpec after = sample();
    after.launch.env = {{"PORT", "8080"}, {"ZONE", "b"}};
    CHECK(texts(conf::changes_between(sample(), after)) == Texts{"env.MODE: x → (none) restart",
                                                                 "env.PORT: 8000 → 8080 restart",
                                                                 "env.ZONE: (none) → b restart"});
}

TEST_CASE("conf/spec_text: numbers change in place and are shown as a file has them") {
    core::WorkerSpec after = sample();
    after.instances = 4;
    after.policy.stop_timeout = 90s;
    after.policy.backoff.initial = 250ms;
    after.policy.stop_signal = 2;
    after.policy.success_exit_codes.set(3);
    after.group = "site";
    CHECK(texts(conf::changes_between(sample(), after)) ==
          Texts{"instances: 1 → 4", "backoff.initial: 100ms → 250ms",
                "success_exit_codes: 0 → 0, 3", "stop_signal: SIGTERM → SIGINT",
                "stop_timeout: 10s → 90s", "group: (none) → site"});
}

TEST_CASE("conf/spec_text: a worker that passes to another file says so") {
    core::WorkerSpec after = sample();
    after.source = "";
    CHECK(texts(conf::changes_between(sample(), after)) == Texts{"file: /etc/site.toml → ad hoc"});
}

TEST_CASE("conf/spec_text: words are quoted where a shell would need it") {
    CHECK(conf::join_words({"sh", "-c", "echo it's", ""}) == "sh -c 'echo it'\\''s' ''");
    CHECK(conf::join_words({"/bin/x", "--a=b,c", "%d"}) == "/bin/x --a=b,c %d");
}

TEST_CASE("conf/spec_text: whatever differs is named, and what belongs to the launch restarts") {
    struct Case {
        const char* key;
        bool is_launch;
        std::function<void(core::WorkerSpec&)> change;
    };
    const std::vector<Case> cases = {
        {"command", true, [](auto& s) { s.launch.command.push_back("-v"); }},
        {"cwd", true, [](auto& s) { s.launch.cwd = "/"; }},
        {"env_file", true,
         [](auto& s) {
             s.launch.env_files = {{"/a", false}};
         }},
        {"stdin", true, [](auto& s) { s.launch.standard_input = "/dev/zero"; }},
        {"user", true, [](auto& s) { s.launch.user = "ann"; }},
        {"user", true, [](auto& s) { s.launch.group = "staff"; }},
        {"umask", true, [](auto& s) { s.launch.umask = 077; }},
        {"nice", true, [](auto& s) { s.launch.nice = 0; }},
        {"limits.nofile", true,
         [](auto& s) {
             s.launch.limits = {{"nofile", 10, 20}};
         }},
        {"PATH", true, [](auto& s) { s.launch.base_path = "/bin"; }},
        {"--keep-env", true, [](auto& s) { s.launch.keep_env = true; }},
        {"autostart", false, [](auto& s) { s.autostart = false; }},
        {"reload.mode", false, [](auto& s) { s.reload.mode = core::ReloadSpec::Mode::overlap; }},
        {"reload.batch", false, [](auto& s) { s.reload.batch = 2; }},
        {"reload.surge", false, [](auto& s) { s.reload.surge = 2; }},
        {"reload.signal", false, [](auto& s) { s.reload.signal = 1; }},
        {"restart", false, [](auto& s) { s.policy.restart = core::RestartPolicy::never; }},
        {"backoff.factor", false, [](auto& s) { s.policy.backoff.factor = 1.5; }},
        {"backoff.max", false, [](auto& s) { s.policy.backoff.max = 1h; }},
        {"backoff.jitter", false, [](auto& s) { s.policy.backoff.jitter = 0; }},
        {"backoff.reset_after", false, [](auto& s) { s.policy.backoff.reset_after = 1h; }},
        {"restart_limit.count", false, [](auto& s) { s.policy.restart_limit.count = 3; }},
        {"restart_limit.window", false, [](auto& s) { s.policy.restart_limit.window = 1h; }},
        {"restart_limit.then", false,
         [](auto& s) { s.policy.restart_limit.then = core::RestartLimit::Then::fatal; }},
        {"ready", true, [](auto& s) { s.policy.ready.kind = core::Readiness::Kind::notify; }},
        {"watchdog", true, [](auto& s) { s.policy.watchdog = 30s; }},
        {"max_memory", false, [](auto& s) { s.policy.max_memory = 1U << 20U; }},
        {"requires", false, [](auto& s) { s.requirements = {"db"}; }},
        {"wants", false, [](auto& s) { s.wants = {"db"}; }},
        {"after", false, [](auto& s) { s.after = {"db"}; }},
        {"socket.web.listen", true, [](auto& s) { s.sockets[0].port = 81; }},
        {"socket.admin.type", true,
         [](auto& s) { s.sockets[1].type = core::SocketSpec::Type::seqpacket; }},
        {"socket.web.ipv6_only", true, [](auto& s) { s.sockets[0].ipv6_only = true; }},
        {"socket.web.backlog", false, [](auto& s) { s.sockets[0].backlog = 5; }},
        {"socket.web.reuse_port", false, [](auto& s) { s.sockets[0].reuse_port = true; }},
        {"socket.web.nonblocking", false, [](auto& s) { s.sockets[0].nonblocking = true; }},
        {"socket.admin.mode", false, [](auto& s) { s.sockets[1].mode = 0600; }},
        {"socket.admin.user", false, [](auto& s) { s.sockets[1].user = "ann"; }},
        {"socket.admin.group", false, [](auto& s) { s.sockets[1].group = "staff"; }},
        {"sockets", true, [](auto& s) { std::swap(s.sockets[0], s.sockets[1]); }},
        {"stdin_socket", true, [](auto& s) { s.stdin_socket = s.sockets[1]; }},
        {"min_uptime", false, [](auto& s) { s.policy.min_uptime = 3s; }},
        {"start_timeout", false, [](auto& s) { s.policy.start_timeout = 3s; }},
        {"log.max_size", false, [](auto& s) { s.log.max_size = core::LogSpec::kUnlimited; }},
        {"log.keep", false, [](auto& s) { s.log.keep = 1; }},
        {"log.max_total_size", false, [](auto& s) { s.log.max_total_size = 1U << 30U; }},
        {"log.compress", false, [](auto& s) { s.log.compress = false; }},
        {"log.timestamp", false, [](auto& s) { s.log.timestamp = true; }},
        {"log.merge", false, [](auto& s) { s.log.merge = true; }},
        {"log.max_line", false, [](auto& s) { s.log.max_line = 2048; }},
    };
    for (const Case& each : cases) {
        const core::WorkerSpec before = with_sockets(sample());
        core::WorkerSpec after = before;
        each.change(after);
        const std::vector<conf::KeyChange> changes = conf::changes_between(before, after);
        REQUIRE_MESSAGE(changes.size() == 1, each.key);
        CHECK(changes[0].key == each.key);
        CHECK_MESSAGE((changes[0].effect == Effect::restart) == each.is_launch, each.key);
    }
}

TEST_CASE("conf/spec_text: a difference that no text shows is still one") {
    core::WorkerSpec after = sample();
    after.policy.backoff.factor = 2.0 + 1e-14;
    CHECK(texts(conf::changes_between(sample(), after)) ==
          Texts{"other keys: as they were → changed"});
}
