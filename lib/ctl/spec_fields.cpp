// Specs as fields of JSON. The bounds are those of conf: a spec that a file could not have said is
// refused here too.
#include "ctl/spec_fields.hpp"

#include <algorithm>
#include <array>
#include <csignal>
#include <utility>

#include "core/selector.hpp"
#include "ctl/nearest.hpp"
#include "ctl/node_fields.hpp"
#include "ctl/order_fields.hpp"
#include "ctl/ready_fields.hpp"
#include "ctl/reload_fields.hpp"
#include "ctl/socket_fields.hpp"

namespace cluster::ctl {
namespace {

using core::Backoff;
using core::Launch;
using core::LogSpec;
using core::Policy;
using core::ResourceLimit;
using core::RestartLimit;
using core::RestartPolicy;

/// A century: far above any sense, and far enough below 2^63 ns that adding it to an Instant cannot
/// overflow.
constexpr std::int64_t kMaxDurationNs = std::int64_t{100} * 365 * 24 * 3600 * 1'000'000'000;
/// As in conf: a shorter delay would let a worker that dies at once fill a CPU.
constexpr std::int64_t kMinDelayNs = 1'000'000;
constexpr int kMaxSignal = 64;
/// Far above any machine, and a number that every JSON reader keeps.
constexpr std::uint64_t kMaxMemory = std::uint64_t{1} << 52U;
constexpr std::size_t kMaxPathBytes = 4096;
constexpr std::size_t kMaxAccountBytes = 256;
/// A plan holds 16,384 pointers for arguments and environment together; the plan has the last word.
constexpr std::size_t kMaxArguments = 8192;
constexpr std::size_t kMaxVariables = 8192;
constexpr std::size_t kMaxEnvFiles = 64;

constexpr std::array<std::string_view, 16> kLimitNames = {
    "as",   "core",   "cpu",   "data", "fsize",  "locks",  "memlock",    "msgqueue",
    "nice", "nofile", "nproc", "rss",  "rtprio", "rttime", "sigpending", "stack"};

template <class Enum>
struct Word {
    std::string_view text;
    Enum value;
};
constexpr std::array kRestartWords = {Word<RestartPolicy>{"always", RestartPolicy::always},
                                      Word<RestartPolicy>{"on-failure", RestartPolicy::on_failure},
                                      Word<RestartPolicy>{"never", RestartPolicy::never}};
constexpr std::array kThenWords = {Word<RestartLimit::Then>{"slow", RestartLimit::Then::slow},
                                   Word<RestartLimit::Then>{"fatal", RestartLimit::Then::fatal}};

constexpr Word<core::ChannelMode> kChannelWords[] = {{"auto", core::ChannelMode::automatic},
                                                     {"node", core::ChannelMode::node},
                                                     {"json", core::ChannelMode::json},
                                                     {"off", core::ChannelMode::off}};

template <class Words, class Enum>
std::string_view word_of(const Words& words, Enum value) {
    for (const auto& word : words) {
        if (word.value == value) return word.text;
    }
    return words[0].text;
}

template <class Words>
auto read_word(FieldReader& fields, std::string_view name, const Words& words) {
    const std::string text = fields.text(name);
    std::string expected;
    for (const auto& word : words) {
        if (word.text == text) return word.value;
        expected += (expected.empty() ? "" : ", ") + std::string(word.text);
    }
    throw FieldError(fields.path(name) + ": \"" + clip(text) + "\" is none of " + expected);
}

Duration read_duration(FieldReader& fields, std::string_view name, std::int64_t least = 0) {
    return Duration{fields.integer(name, least, kMaxDurationNs)};
}

// --- policy

Json backoff_fields(const Backoff& backoff) {
    return Json{{"initial_ns", backoff.initial.count()},
                {"factor", backoff.factor},
                {"max_ns", backoff.max.count()},
                {"jitter", backoff.jitter},
                {"reset_after_ns", backoff.reset_after.count()}};
}

Backoff read_backoff(const Json& value, const std::string& where) {
    FieldReader fields(value, where);
    Backoff backoff;
    backoff.initial = read_duration(fields, "initial_ns", 0);
    backoff.factor = fields.real("factor", 1.0, 100.0);
    backoff.max = read_duration(fields, "max_ns", kMinDelayNs);
    backoff.jitter = fields.real("jitter", 0.0, 1.0);
    backoff.reset_after = read_duration(fields, "reset_after_ns");
    fields.finish();
    if (backoff.max < backoff.initial) {
        throw FieldError(where + ".max_ns: is less than initial_ns");
    }
    return backoff;
}

Json restart_limit_fields(const RestartLimit& limit) {
    return Json{{"count", limit.count},
                {"window_ns", limit.window.count()},
                {"then", word_of(kThenWords, limit.then)}};
}

RestartLimit read_restart_limit(const Json& value, const std::string& where) {
    FieldReader fields(value, where);
    RestartLimit limit;
    limit.count =
        static_cast<std::uint32_t>(fields.integer("count", 1, core::kMaxRestartLimitCount));
    limit.window = read_duration(fields, "window_ns", kMinDelayNs);
    limit.then = read_word(fields, "then", kThenWords);
    fields.finish();
    return limit;
}

Json exit_codes_of(const std::bitset<256>& codes) {
    Json list = Json::array();
    for (std::size_t code = 0; code < codes.size(); ++code) {
        if (codes[code]) list.push_back(code);
    }
    return list;
}

std::bitset<256> read_exit_codes(FieldReader& fields, std::string_view name) {
    std::bitset<256> codes;
    std::size_t index = 0;
    for (const Json& code : fields.array(name, codes.size())) {
        codes.set(static_cast<std::size_t>(read_integer(code, fields.path(name, index++), 0, 255)));
    }
    return codes;
}

Json policy_fields(const Policy& policy) {
    return Json{{"restart", word_of(kRestartWords, policy.restart)},
                {"backoff", backoff_fields(policy.backoff)},
                {"restart_limit", restart_limit_fields(policy.restart_limit)},
                {"success_exit_codes", exit_codes_of(policy.success_exit_codes)},
                {"stop_signal", policy.stop_signal},
                {"stop_timeout_ns", policy.stop_timeout.count()},
                {"min_uptime_ns", policy.min_uptime.count()},
                {"start_timeout_ns", policy.start_timeout.count()},
                {"ready", readiness_fields(policy.ready)},
                {"watchdog_ns", policy.watchdog.count()},
                {"liveness", liveness_fields(policy.liveness)},
                {"max_memory_bytes", policy.max_memory}};
}

Policy read_policy(const Json& value, const std::string& where) {
    FieldReader fields(value, where);
    Policy policy;
    policy.restart = read_word(fields, "restart", kRestartWords);
    policy.backoff = read_backoff(fields.require("backoff"), fields.path("backoff"));
    policy.restart_limit =
        read_restart_limit(fields.require("restart_limit"), fields.path("restart_limit"));
    policy.success_exit_codes = read_exit_codes(fields, "success_exit_codes");
    policy.stop_signal = static_cast<int>(fields.integer("stop_signal", 1, kMaxSignal));
    if (policy.stop_signal == SIGSTOP) {
        throw FieldError(fields.path("stop_signal") + ": SIGSTOP cannot end a process");
    }
    policy.stop_timeout = read_duration(fields, "stop_timeout_ns");
    policy.min_uptime = read_duration(fields, "min_uptime_ns");
    policy.start_timeout = read_duration(fields, "start_timeout_ns", kMinDelayNs);
    if (const Json* ready = fields.find("ready")) {
        policy.ready = read_readiness(*ready, fields.path("ready"));
    }
    if (fields.find("watchdog_ns") != nullptr) {
        policy.watchdog = read_duration(fields, "watchdog_ns");
    }
    if (const Json* liveness = fields.find("liveness")) {
        policy.liveness = read_liveness(*liveness, fields.path("liveness"));
    }
    if (fields.find("max_memory_bytes") != nullptr) {
        policy.max_memory = fields.counter("max_memory_bytes", kMaxMemory);
    }
    fields.finish();
    return policy;
}

// --- launch

/// One "NAME=value" text a variable, as execve takes them: a name, too, may hold bytes that no JSON
/// key can.
Json variables_of(const std::map<std::string, std::string>& variables) {
    Json list = Json::array();
    for (const auto& [name, value] : variables) list.push_back(exact_text(name + "=" + value));
    return list;
}

std::map<std::string, std::string> read_variables(FieldReader& fields, std::string_view name) {
    std::map<std::string, std::string> variables;
    std::size_t index = 0;
    for (const std::string& text : fields.exact_texts(name, kMaxVariables)) {
        const std::string where = fields.path(name, index++);
        const std::size_t equals = text.find('=');
        if (equals == 0 || equals == std::string::npos) {
            throw FieldError(where + ": expected NAME=value");
        }
        if (!variables.emplace(text.substr(0, equals), text.substr(equals + 1)).second) {
            throw FieldError(where + ": \"" + clip(text.substr(0, equals)) + "\" stands twice");
        }
    }
    return variables;
}

/// RLIM_INFINITY is no number in anybody's mind, and 2^64 - 1 is none that every JSON reader keeps.
Json limit_value(std::uint64_t value) {
    return value == ResourceLimit::kUnlimited ? Json("unlimited") : Json(value);
}

std::uint64_t read_limit_value(FieldReader& fields, std::string_view name) {
    if (const std::string* const word = fields.require(name).text()) {
        if (*word == "unlimited") return ResourceLimit::kUnlimited;
        throw FieldError(fields.path(name) + ": expected an integer or \"unlimited\"");
    }
    return fields.counter(name, ResourceLimit::kUnlimited - 1);
}

Json limits_of(const std::vector<ResourceLimit>& limits) {
    Json list = Json::array();
    for (const ResourceLimit& limit : limits) {
        list.push_back(Json{{"name", limit.name},
                            {"soft", limit_value(limit.soft)},
                            {"hard", limit_value(limit.hard)}});
    }
    return list;
}

std::vector<ResourceLimit> read_limits(FieldReader& launch, std::string_view name) {
    std::vector<ResourceLimit> limits;
    for (const Json& element : launch.array(name, kLimitNames.size())) {
        FieldReader fields(element, launch.path(name, limits.size()));
        ResourceLimit limit;
        limit.name = fields.text("name");
        if (std::find(kLimitNames.begin(), kLimitNames.end(), limit.name) == kLimitNames.end()) {
            throw FieldError(fields.path("name") + ": no limit is called \"" + clip(limit.name) +
                             "\"" + suggestion(limit.name, kLimitNames));
        }
        limit.soft = read_limit_value(fields, "soft");
        limit.hard = read_limit_value(fields, "hard");
        fields.finish();
        if (limit.soft > limit.hard) throw FieldError(fields.path("soft") + ": exceeds hard");
        for (const ResourceLimit& other : limits) {
            if (other.name == limit.name) {
                throw FieldError(fields.path("name") + ": \"" + limit.name + "\" stands twice");
            }
        }
        limits.push_back(std::move(limit));
    }
    return limits;
}

bool is_absolute(const std::string& path) {
    return !path.empty() && path.front() == '/' && path.size() <= kMaxPathBytes;
}

Json env_files_of(const std::vector<core::EnvFile>& files) {
    Json list = Json::array();
    for (const core::EnvFile& file : files) {
        list.push_back(Json{{"path", exact_text(file.path)}, {"plain", file.is_plain}});
    }
    return list;
}

/// May be absent: a state of an older version has none.
std::vector<core::EnvFile> read_env_files(FieldReader& launch, std::string_view name) {
    std::vector<core::EnvFile> files;
    if (launch.find(name) == nullptr) return files;
    for (const Json& element : launch.array(name, kMaxEnvFiles)) {
        FieldReader fields(element, launch.path(name, files.size()));
        core::EnvFile file;
        file.path = fields.exact("path");
        if (!is_absolute(file.path)) {
            throw FieldError(fields.path("path") + ": expected an absolute path");
        }
        file.is_plain = fields.boolean("plain");
        fields.finish();
        files.push_back(std::move(file));
    }
    return files;
}

Json launch_fields(const Launch& launch) {
    Json command = Json::array();
    for (const std::string& argument : launch.command) command.push_back(exact_text(argument));
    return Json{{"command", std::move(command)},
                {"cwd", exact_text(launch.cwd)},
                {"env_files", env_files_of(launch.env_files)},
                {"env", variables_of(launch.env)},
                {"base_path", exact_text(launch.base_path)},
                {"keep_env", launch.keep_env},
                {"inherited_env", variables_of(launch.inherited_env)},
                {"user", launch.user},
                {"group", launch.group},
                {"umask", launch.umask},
                {"nice", launch.nice},
                {"limits", limits_of(launch.limits)},
                {"stdin", exact_text(launch.standard_input)},
                {"store", store_choice_field(launch.store)},
                {"channel", word_of(kChannelWords, launch.channel)},
                {"node", node_fields(launch.node)},
                {"fd_store_max", launch.fd_store_max}};
}

std::string read_account(FieldReader& fields, std::string_view name) {
    std::string account = fields.text(name);
    if (account.size() > kMaxAccountBytes || account.find('\0') != std::string::npos) {
        throw FieldError(fields.path(name) + ": is not the name of an account");
    }
    return account;
}

Launch read_launch(const Json& value, const std::string& where) {
    FieldReader fields(value, where);
    Launch launch;
    launch.command = fields.exact_texts("command", kMaxArguments);
    if (launch.command.empty() || launch.command.front().empty()) {
        throw FieldError(fields.path("command") + ": names no program");
    }
    launch.cwd = fields.exact("cwd");
    if (launch.cwd.empty() || launch.cwd.front() != '/' || launch.cwd.size() > kMaxPathBytes) {
        throw FieldError(fields.path("cwd") + ": expected an absolute path");
    }
    launch.env_files = read_env_files(fields, "env_files");
    launch.env = read_variables(fields, "env");
    launch.base_path = fields.exact("base_path");
    launch.keep_env = fields.boolean("keep_env");
    launch.inherited_env = read_variables(fields, "inherited_env");
    launch.user = read_account(fields, "user");
    launch.group = read_account(fields, "group");
    launch.umask = static_cast<std::uint32_t>(fields.integer("umask", 0, 0777));
    if (fields.find("nice") != nullptr) {
        launch.nice = static_cast<int>(fields.integer("nice", -20, 19));
    }
    launch.limits = read_limits(fields, "limits");
    if (fields.find("channel") != nullptr) {
        launch.channel = read_word(fields, "channel", kChannelWords);
    }
    if (const Json* node = fields.find("node")) launch.node = read_node(*node, where);
    if (fields.find("fd_store_max") != nullptr) {
        launch.fd_store_max =
            static_cast<std::uint32_t>(fields.integer("fd_store_max", 0, core::kMaxStoredFds));
    }
    if (fields.find("stdin") != nullptr) launch.standard_input = fields.exact("stdin");
    if (!launch.standard_input.empty() && !is_absolute(launch.standard_input)) {
        throw FieldError(fields.path("stdin") + ": expected an absolute path, or nothing");
    }
    launch.store = read_store_choice(fields, "store");
    fields.finish();
    return launch;
}

// --- log

Json log_fields(const LogSpec& log) {
    return Json{{"max_size", limit_value(log.max_size)},
                {"keep", log.keep},
                {"max_total_size", limit_value(log.max_total_size)},
                {"compress", log.compress},
                {"timestamp", log.timestamp},
                {"merge", log.merge},
                {"max_line", log.max_line}};
}

LogSpec read_log(const Json& value, const std::string& where) {
    static_assert(LogSpec::kUnlimited == ResourceLimit::kUnlimited);
    FieldReader fields(value, where);
    LogSpec log;
    log.max_size = read_limit_value(fields, "max_size");
    if (log.max_size < LogSpec::kMinSize) {
        throw FieldError(fields.path("max_size") + ": is less than " +
                         std::to_string(LogSpec::kMinSize));
    }
    log.keep = static_cast<std::uint32_t>(fields.integer("keep", 0, LogSpec::kMaxKeep));
    log.max_total_size = read_limit_value(fields, "max_total_size");
    const bool is_bounded = log.max_size != LogSpec::kUnlimited;
    if (is_bounded && log.max_total_size < log.max_size) {
        throw FieldError(fields.path("max_total_size") + ": is less than max_size");
    }
    log.compress = fields.boolean("compress");
    log.timestamp = fields.boolean("timestamp");
    log.merge = fields.boolean("merge");
    log.max_line = static_cast<std::uint64_t>(
        fields.integer("max_line", LogSpec::kMinLine, LogSpec::kMaxLine));
    fields.finish();
    return log;
}

}  // namespace

Json spec_fields(const core::WorkerSpec& spec) {
    Json sockets = Json::array();
    for (const core::SocketSpec& socket : spec.sockets) sockets.push_back(socket_fields(socket));
    return Json{{"name", spec.name},
                {"group", spec.group},
                {"instances", spec.instances},
                {"autostart", spec.autostart},
                {"source", exact_text(spec.source)},
                {"requires", spec.requirements},
                {"wants", spec.wants},
                {"after", spec.after},
                {"sockets", std::move(sockets)},
                {"stdin_socket", spec.stdin_socket ? socket_fields(*spec.stdin_socket) : Json()},
                {"stop_message", spec.stop_message},
                {"policy", policy_fields(spec.policy)},
                {"reload", reload_fields(spec.reload)},
                {"log", log_fields(spec.log)},
                {"launch", launch_fields(spec.launch)}};
}

core::WorkerSpec read_spec_fields(const Json& value, const std::string& where) {
    FieldReader fields(value, where);
    core::WorkerSpec spec;
    spec.name = fields.text("name");
    if (!core::is_valid_worker_name(spec.name)) {
        throw FieldError(fields.path("name") + ": \"" + clip(spec.name) +
                         "\" is not a worker's name ([A-Za-z0-9_-]{1,64}, not \"all\")");
    }
    spec.group = fields.text("group");
    if (!spec.group.empty() && !core::is_valid_group_name(spec.group)) {
        throw FieldError(fields.path("group") + ": \"" + clip(spec.group) +
                         "\" is not a group's name ([A-Za-z0-9_-]{1,64}, not \"all\")");
    }
    spec.instances =
        static_cast<std::uint32_t>(fields.integer("instances", 0, core::kMaxInstancesPerWorker));
    spec.autostart = fields.boolean("autostart");
    spec.source = fields.exact("source");
    if ((!spec.source.empty() && spec.source.front() != '/') ||
        spec.source.size() > kMaxPathBytes) {
        throw FieldError(fields.path("source") + ": expected an absolute path, or nothing");
    }
    spec.requirements = read_order(fields, "requires", spec);
    spec.wants = read_order(fields, "wants", spec);
    spec.after = read_order(fields, "after", spec);
    read_sockets_of_spec(fields, spec);
    spec.stop_message = fields.find("stop_message") != nullptr && fields.boolean("stop_message");
    spec.policy = read_policy(fields.require("policy"), fields.path("policy"));
    // Absent in what an older version remembered.
    if (const Json* reload = fields.find("reload")) spec.reload = read_reload(*reload, where);
    if (const Json* log = fields.find("log")) spec.log = read_log(*log, fields.path("log"));
    spec.launch = read_launch(fields.require("launch"), fields.path("launch"));
    fields.finish();
    return spec;
}

}  // namespace cluster::ctl
