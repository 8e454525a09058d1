#include "supervisor/environment.hpp"

#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <string_view>
#include <utility>

#include "conf/dotenv.hpp"
#include "sys/file.hpp"

namespace cluster::supervisor {
namespace {

/// Taken over from the daemon because a program behaves oddly without them and they carry no
/// secrets.
constexpr std::array<std::string_view, 3> kSafeNames{"LANG", "LANGUAGE", "TZ"};
constexpr std::string_view kLocalePrefix = "LC_";
constexpr const char* kDefaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

bool is_safe(std::string_view name) {
    for (const std::string_view safe : kSafeNames) {
        if (name == safe) return true;
    }
    return name.substr(0, kLocalePrefix.size()) == kLocalePrefix;
}

/// As the kernel's bound for arguments and environment, roughly.
constexpr std::size_t kMaxEnvFileBytes = std::size_t{512} << 10U;

/// Never waits: what is no regular file is refused.
Result<std::string> read_env_file(const std::string& path) {
    auto text = sys::read_regular_file(path, kMaxEnvFileBytes);
    if (!text) return fail(Op::env_file, text.error().code);
    return text;
}

auto parse_env_file(const core::EnvFile& file, const std::string& text, const Variables& known) {
    const conf::DotenvLookup lookup = [&known](std::string_view name) {
        const auto found = known.find(std::string(name));
        return found == known.end() ? std::nullopt : std::optional{found->second};
    };
    return conf::parse_dotenv(text, file.is_plain ? conf::DotenvLookup{} : lookup);
}

/// The daemon's own names are left out: a value from a file would mislead the worker.
Status add_env_file(const core::EnvFile& file, Variables& variables) {
    const auto text = read_env_file(file.path);
    if (!text) return tl::unexpected(text.error());
    auto lines = parse_env_file(file, *text, variables);
    if (!lines) return fail(Op::env_file, EBADMSG);
    for (auto& [name, value] : *lines) {
        if (!conf::is_reserved_environment_name(name)) variables[name] = std::move(value);
    }
    return {};
}

}  // namespace

std::string env_file_problem(const core::Launch& launch) {
    for (const core::EnvFile& file : launch.env_files) {
        const auto text = read_env_file(file.path);
        if (!text) return file.path + ": " + std::strerror(text.error().code);
        // Which variables are known decides about values, never about mistakes.
        if (const auto lines = parse_env_file(file, *text, {}); !lines) {
            return file.path + ": line " + std::to_string(lines.error().line) + ": " +
                   lines.error().message;
        }
    }
    return {};
}

Variables safe_base_from_environment() {
    Variables base;
    for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
        const std::string_view text{*entry};
        const std::size_t equals = text.find('=');
        if (equals == std::string_view::npos || !is_safe(text.substr(0, equals))) continue;
        base.emplace(text.substr(0, equals), text.substr(equals + 1));
    }
    return base;
}

Result<Variables> worker_environment(const core::Launch& launch, const InstanceName& instance,
                                     const Variables& safe_base, const sys::User& user) {
    Variables result = launch.keep_env ? launch.inherited_env : safe_base;
    // Of somebody else's channel: what it names is open in another process.
    for (const char* name : {"CLUSTER_CHANNEL_FD", "NODE_CHANNEL_FD",
                             "NODE_CHANNEL_SERIALIZATION_MODE", "NODE_UNIQUE_ID"}) {
        result.erase(name);
    }
    result["PATH"] = launch.base_path.empty() ? kDefaultPath : launch.base_path;
    result["HOME"] = user.home;
    result["USER"] = user.name;
    result["LOGNAME"] = user.name;
    result["SHELL"] = user.shell.empty() ? "/bin/sh" : user.shell;
    for (const core::EnvFile& file : launch.env_files) {
        if (auto added = add_env_file(file, result); !added) return tl::unexpected(added.error());
    }
    for (const auto& [name, value] : launch.env) result[name] = value;
    // Of a daemon whose worker our caller is; what this one gives comes later.
    for (const char* foreign :
         {"CLUSTER_STORE", "CLUSTER_SOCKET", "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID",
          "NODE_UNIQUE_ID", "CLUSTER_NODE_DRAIN", "CLUSTER_NODE_SHARED_ARRAY_BUFFER"}) {
        result.erase(foreign);
    }
    result["CLUSTER_WORKER"] = instance.worker;
    result["CLUSTER_INSTANCE"] = std::to_string(instance.number);
    result["CLUSTER_INSTANCES"] = std::to_string(instance.instances);
    result["NODE_APP_INSTANCE"] = std::to_string(instance.number);
    return result;
}

}  // namespace cluster::supervisor
