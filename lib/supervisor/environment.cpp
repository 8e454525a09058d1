#include "supervisor/environment.hpp"

#include <unistd.h>

#include <array>
#include <string_view>

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

}  // namespace

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

Variables worker_environment(const core::Launch& launch, const InstanceName& instance,
                             const Variables& safe_base, const sys::User& user) {
    Variables result = launch.keep_env ? launch.inherited_env : safe_base;
    result["PATH"] = launch.base_path.empty() ? kDefaultPath : launch.base_path;
    result["HOME"] = user.home;
    result["USER"] = user.name;
    result["LOGNAME"] = user.name;
    result["SHELL"] = user.shell.empty() ? "/bin/sh" : user.shell;
    for (const auto& [name, value] : launch.env) result[name] = value;
    result["CLUSTER_WORKER"] = instance.worker;
    result["CLUSTER_INSTANCE"] = std::to_string(instance.number);
    result["CLUSTER_INSTANCES"] = std::to_string(instance.instances);
    result["NODE_APP_INSTANCE"] = std::to_string(instance.number);
    return result;
}

}  // namespace cluster::supervisor
