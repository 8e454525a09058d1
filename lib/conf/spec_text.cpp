#include "conf/spec_text.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <map>
#include <string_view>
#include <utility>

#include "conf/values.hpp"

namespace cluster::conf {
namespace {

std::string yes_or_no(bool value) {
    return value ? "true" : "false";
}

/// The shortest text that is read back as the same number, near enough: 2, 1.5, 0.1.
std::string number_text(double value) {
    std::array<char, 32> text{};
    std::snprintf(text.data(), text.size(), "%.10g", value);
    return text.data();
}

std::string octal_text(std::uint32_t number, int digits) {
    std::array<char, 16> text{};
    std::snprintf(text.data(), text.size(), "%0*o", digits, number);
    return text.data();
}

std::string size_or_unlimited(std::uint64_t bytes) {
    return bytes == core::LogSpec::kUnlimited ? "unlimited" : format_size(bytes);
}

std::string limit_value(std::uint64_t value) {
    return value == core::ResourceLimit::kUnlimited ? "unlimited" : std::to_string(value);
}

std::string limit_text(const core::ResourceLimit& limit) {
    if (limit.soft == limit.hard) return limit_value(limit.soft);
    return limit_value(limit.soft) + ":" + limit_value(limit.hard);
}

std::string exit_codes_text(const std::bitset<256>& codes) {
    std::string text;
    for (std::size_t code = 0; code < codes.size(); ++code) {
        if (codes[code]) text += (text.empty() ? "" : ", ") + std::to_string(code);
    }
    return text.empty() ? "none" : text;
}

const char* restart_text(core::RestartPolicy policy) {
    switch (policy) {
        case core::RestartPolicy::always:
            return "always";
        case core::RestartPolicy::on_failure:
            return "on-failure";
        case core::RestartPolicy::never:
            return "never";
    }
    return "always";
}

class Keys {
public:
    void add(std::string key, std::string value, Effect effect = Effect::in_place) {
        keys_.push_back({std::move(key), std::move(value), effect});
    }
    void add_text(std::string key, const std::string& value, Effect effect = Effect::in_place) {
        if (!value.empty()) add(std::move(key), value, effect);
    }
    std::vector<KeyValue> take() { return std::move(keys_); }

private:
    std::vector<KeyValue> keys_;
};

const char* store_text(const core::StoreChoice& choice) {
    using Kind = core::StoreChoice::Kind;
    switch (choice.kind) {
        case Kind::automatic:
            return "automatic";
        case Kind::none:
            return "false";
        case Kind::named:
            return choice.name.c_str();
    }
    return "automatic";
}

std::string channel_text(core::ChannelMode mode) {
    switch (mode) {
        case core::ChannelMode::automatic:
            return "auto";
        case core::ChannelMode::node:
            return "node";
        case core::ChannelMode::json:
            return "json";
        case core::ChannelMode::off:
            return "false";
    }
    return "auto";
}

void add_node(Keys& keys, const core::NodeSpec& node) {
    constexpr Effect kRestart = Effect::restart;
    keys.add("node_cluster", yes_or_no(node.cluster), kRestart);
    if (!node.cluster) return;
    const bool is_shared = node.schedule == core::NodeSchedule::shared;
    keys.add("node_schedule", is_shared ? "shared" : "round-robin", kRestart);
    keys.add("node_drain", yes_or_no(node.drain), kRestart);
    keys.add("node_shared_array_buffer", yes_or_no(node.shared_array_buffer), kRestart);
}

void add_launch(Keys& keys, const core::Launch& launch) {
    constexpr Effect kRestart = Effect::restart;
    keys.add("command", join_words(launch.command), kRestart);
    keys.add("cwd", launch.cwd, kRestart);
    for (std::size_t i = 0; i < launch.env_files.size(); ++i) {
        const core::EnvFile& file = launch.env_files[i];
        const std::string key = i == 0 ? "env_file" : "env_file[" + std::to_string(i) + "]";
        keys.add(key, file.path + (file.is_plain ? " (plain)" : ""), kRestart);
    }
    for (const auto& [name, value] : launch.env) keys.add("env." + name, value, kRestart);
    keys.add_text("stdin", launch.standard_input, kRestart);
    if (!launch.user.empty() || !launch.group.empty()) {
        keys.add("user", launch.user + (launch.group.empty() ? "" : ":" + launch.group), kRestart);
    }
    keys.add("channel", channel_text(launch.channel), kRestart);
    add_node(keys, launch.node);
    keys.add("umask", octal_text(launch.umask, 3), kRestart);
    if (launch.nice) keys.add("nice", std::to_string(*launch.nice), kRestart);
    for (const core::ResourceLimit& limit : launch.limits) {
        keys.add("limits." + limit.name, limit_text(limit), kRestart);
    }
    keys.add("store", store_text(launch.store), kRestart);
    if (launch.fd_store_max != 0) {
        keys.add("fd_store_max", std::to_string(launch.fd_store_max), kRestart);
    }
    keys.add_text("PATH", launch.base_path, kRestart);
    if (launch.keep_env) keys.add("--keep-env", "true", kRestart);
    for (const auto& [name, value] : launch.inherited_env) {
        keys.add("--keep-env " + name, value, kRestart);
    }
}

std::string address_text(const core::Probe& probe) {
    const bool has_brackets = probe.host.find(':') != std::string::npos;
    return (has_brackets ? "[" + probe.host + "]" : probe.host) + ":" + std::to_string(probe.port);
}

std::string probe_text(const core::Probe& probe) {
    using Kind = core::Probe::Kind;
    switch (probe.kind) {
        case Kind::none:
            return "none";
        case Kind::tcp:
            return "tcp " + address_text(probe);
        case Kind::unix_socket:
            return "unix " + probe.path;
        case Kind::http:
            return "http http://" + address_text(probe) + probe.path;
        case Kind::command:
            return "command " + join_words(probe.command);
    }
    return "none";
}

std::string ready_text(const core::Readiness& ready) {
    using Kind = core::Readiness::Kind;
    switch (ready.kind) {
        case Kind::exec:
            return "exec";
        case Kind::notify:
            return "notify";
        case Kind::channel:
            return "channel";
        case Kind::listen:
            return "listen";
        case Kind::notification_fd:
            return "notification_fd " + std::to_string(ready.notification_fd);
        case Kind::probe:
            return probe_text(ready.probe);
    }
    return "exec";
}

void add_probe(Keys& keys, const std::string& key, const core::Probe& probe) {
    if (probe.kind == core::Probe::Kind::http) {
        keys.add(key + ".status", probe.status == 0 ? "200 to 399" : std::to_string(probe.status));
    }
    keys.add(key + ".initial_delay", format_duration(probe.initial_delay));
    keys.add(key + ".period", format_duration(probe.period));
    keys.add(key + ".timeout", format_duration(probe.timeout));
}

void add_readiness(Keys& keys, const core::Readiness& ready) {
    keys.add("ready", ready_text(ready));
    if (ready.kind != core::Readiness::Kind::probe) return;
    add_probe(keys, "ready", ready.probe);
    keys.add("ready.success_threshold", std::to_string(ready.probe.success_threshold));
}

void add_liveness(Keys& keys, const core::Probe& liveness) {
    keys.add("liveness", probe_text(liveness));
    if (liveness.kind == core::Probe::Kind::none) return;
    add_probe(keys, "liveness", liveness);
    keys.add("liveness.failure_threshold", std::to_string(liveness.failure_threshold));
}

void add_policy(Keys& keys, const core::Policy& policy) {
    if (policy.max_memory != 0) keys.add("max_memory", format_size(policy.max_memory));
    keys.add("restart", restart_text(policy.restart));
    keys.add("backoff.initial", format_duration(policy.backoff.initial));
    keys.add("backoff.factor", number_text(policy.backoff.factor));
    keys.add("backoff.max", format_duration(policy.backoff.max));
    keys.add("backoff.jitter", number_text(policy.backoff.jitter));
    keys.add("backoff.reset_after", format_duration(policy.backoff.reset_after));
    keys.add("restart_limit.count", std::to_string(policy.restart_limit.count));
    keys.add("restart_limit.window", format_duration(policy.restart_limit.window));
    const bool is_slow = policy.restart_limit.then == core::RestartLimit::Then::slow;
    keys.add("restart_limit.then", is_slow ? "slow" : "fatal");
    keys.add("success_exit_codes", exit_codes_text(policy.success_exit_codes));
    keys.add("stop_signal", signal_name(policy.stop_signal));
    keys.add("stop_timeout", format_duration(policy.stop_timeout));
    add_readiness(keys, policy.ready);
    keys.add("watchdog",
             policy.watchdog == Duration{0} ? "none" : format_duration(policy.watchdog),
             Effect::restart);
    add_liveness(keys, policy.liveness);
    keys.add("min_uptime", format_duration(policy.min_uptime));
    keys.add("start_timeout", format_duration(policy.start_timeout));
}

void add_reload(Keys& keys, const core::ReloadSpec& reload) {
    using Mode = core::ReloadSpec::Mode;
    const char* const mode = reload.mode == Mode::overlap      ? "overlap"
                             : reload.mode == Mode::stop_first ? "stop-first"
                                                               : "auto";
    keys.add("reload.mode", mode);
    keys.add("reload.batch", std::to_string(reload.batch));
    keys.add("reload.surge", std::to_string(reload.surge));
    keys.add("reload.signal", reload.signal == 0 ? "none" : signal_name(reload.signal));
}

void add_log(Keys& keys, const core::LogSpec& log) {
    keys.add("log.max_size", size_or_unlimited(log.max_size));
    keys.add("log.keep", std::to_string(log.keep));
    keys.add("log.max_total_size", size_or_unlimited(log.max_total_size));
    keys.add("log.compress", yes_or_no(log.compress));
    keys.add("log.timestamp", yes_or_no(log.timestamp));
    keys.add("log.merge", yes_or_no(log.merge));
    keys.add("log.max_line", size_or_unlimited(log.max_line));
}

const char* socket_type_text(core::SocketSpec::Type type) {
    using Type = core::SocketSpec::Type;
    return type == Type::stream ? "stream" : type == Type::datagram ? "datagram" : "seqpacket";
}

void add_socket(Keys& keys, const core::SocketSpec& socket) {
    using Family = core::SocketSpec::Family;
    constexpr Effect kRestart = Effect::restart;
    const std::string prefix = "socket." + socket.name + ".";
    keys.add(prefix + "listen", core::listen_text(socket), kRestart);
    keys.add(prefix + "type", socket_type_text(socket.type), kRestart);
    if (socket.type != core::SocketSpec::Type::datagram) {
        keys.add(prefix + "backlog", std::to_string(socket.backlog));
    }
    if (socket.family == Family::internet) {
        keys.add(prefix + "reuse_port", yes_or_no(socket.reuse_port));
        if (socket.ipv6_only) keys.add(prefix + "ipv6_only", "true", kRestart);
    }
    keys.add(prefix + "nonblocking", yes_or_no(socket.nonblocking));
    if (socket.family != Family::path) return;
    keys.add(prefix + "mode", octal_text(socket.mode, 4));
    keys.add_text(prefix + "user", socket.user);
    keys.add_text(prefix + "group", socket.group);
}

void add_sockets(Keys& keys, const core::WorkerSpec& spec) {
    std::vector<std::string> names;
    for (const core::SocketSpec& socket : spec.sockets) names.push_back(socket.name);
    keys.add_text("sockets", join_words(names), Effect::restart);
    if (spec.stdin_socket) keys.add("stdin_socket", spec.stdin_socket->name, Effect::restart);
    for (const core::SocketSpec* socket : core::sockets_of(spec)) add_socket(keys, *socket);
}

using ByKey = std::map<std::string_view, const KeyValue*>;

ByKey by_key(const std::vector<KeyValue>& keys) {
    ByKey result;
    for (const KeyValue& each : keys) result.emplace(each.key, &each);
    return result;
}

bool is_plain_word(std::string_view word) {
    constexpr std::string_view kPlain = "%+,-./:=@_";
    return !word.empty() && std::all_of(word.begin(), word.end(), [=](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               kPlain.find(c) != std::string_view::npos;
    });
}

std::string quote_word(const std::string& word) {
    if (is_plain_word(word)) return word;
    std::string text = "'";
    for (const char c : word) {
        if (c == '\'') {
            text += "'\\''";
        } else {
            text += c;
        }
    }
    return text + "'";
}

}  // namespace

std::string join_words(const std::vector<std::string>& words) {
    std::string text;
    for (const std::string& word : words) text += (text.empty() ? "" : " ") + quote_word(word);
    return text;
}

std::vector<KeyValue> keys_of(const core::WorkerSpec& spec) {
    Keys keys;
    add_launch(keys, spec.launch);
    add_sockets(keys, spec);
    keys.add("instances", std::to_string(spec.instances));
    keys.add("autostart", yes_or_no(spec.autostart));
    add_policy(keys, spec.policy);
    add_reload(keys, spec.reload);
    keys.add_text("requires", join_words(spec.requirements));
    keys.add_text("wants", join_words(spec.wants));
    keys.add_text("after", join_words(spec.after));
    keys.add_text("group", spec.group);
    if (spec.stop_message) keys.add("stop_message", "true");
    add_log(keys, spec.log);
    return keys.take();
}

std::vector<KeyChange> changes_between(const core::WorkerSpec& before,
                                       const core::WorkerSpec& after) {
    const std::vector<KeyValue> old_keys = keys_of(before);
    const std::vector<KeyValue> new_keys = keys_of(after);
    const ByKey old_by_key = by_key(old_keys);
    const ByKey new_by_key = by_key(new_keys);
    std::vector<KeyChange> changes;
    for (const KeyValue& old : old_keys) {
        const auto now = new_by_key.find(old.key);
        if (now == new_by_key.end()) {
            changes.push_back({old.key, old.value, std::nullopt, old.effect});
        } else if (now->second->value != old.value) {
            changes.push_back({old.key, old.value, now->second->value, old.effect});
        }
    }
    for (const KeyValue& added : new_keys) {
        if (old_by_key.count(added.key) > 0) continue;
        changes.push_back({added.key, std::nullopt, added.value, added.effect});
    }
    if (before.source != after.source) {
        const auto name = [](const std::string& source) {
            return source.empty() ? std::string("ad hoc") : source;
        };
        changes.push_back({"file", name(before.source), name(after.source), Effect::in_place});
    }
    const bool is_restart_due = core::needs_new_run(before, after);
    for (KeyChange& change : changes) {
        if (change.key == "ready" && is_restart_due) change.effect = Effect::restart;
    }
    // A key that the texts above do not show, or show alike, still counts.
    const bool is_restart_shown =
        std::any_of(changes.begin(), changes.end(),
                    [](const KeyChange& change) { return change.effect == Effect::restart; });
    if (is_restart_due && !is_restart_shown) {
        changes.push_back({"launch", "as it was", "changed", Effect::restart});
    }
    if (changes.empty() && before != after) {
        changes.push_back({"other keys", "as they were", "changed", Effect::in_place});
    }
    return changes;
}

}  // namespace cluster::conf
