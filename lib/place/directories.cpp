#include "place/directories.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "sys/file.hpp"
#include "sys/process.hpp"

namespace cluster::place {
namespace {

/// sockaddr_un::sun_path holds 108 bytes with the NUL. Source: unix(7).
constexpr std::size_t kMaxSocketPath = 107;

std::optional<std::string> variable(const char* name) {
    const char* value = std::getenv(name);
    if (value == nullptr || *value == '\0') return std::nullopt;
    return std::string(value);
}

std::string absolute(const std::string& path) {
    std::error_code error;
    const auto result = std::filesystem::absolute(path, error);
    std::string text = error ? path : result.lexically_normal().string();
    while (text.size() > 1 && text.back() == '/') text.pop_back();
    return text;
}

std::string default_runtime(const Environment& environment) {
    if (environment.uid == 0) return "/run/clusterd";
    if (environment.xdg_runtime) return *environment.xdg_runtime + "/clusterd";
    return "/tmp/clusterd-" + std::to_string(environment.uid);
}

std::string default_state(const Environment& environment) {
    if (environment.uid == 0) return "/var/lib/clusterd";
    if (environment.xdg_state) return *environment.xdg_state + "/clusterd";
    if (environment.home) return *environment.home + "/.local/state/clusterd";
    return "/tmp/clusterd-" + std::to_string(environment.uid) + "-state";
}

/// "/srv/a b/run" → "srv-a_20b-run": readable, and different for different paths.
std::string escape_path(const std::string& path) {
    constexpr char kHex[] = "0123456789abcdef";
    std::string escaped;
    for (const char c : path) {
        const auto byte = static_cast<unsigned char>(c);
        const bool is_plain =
            (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.';
        if (is_plain) {
            escaped += c;
        } else if (c == '/') {
            if (!escaped.empty()) escaped += '-';
        } else {
            escaped += {'_', kHex[byte >> 4U], kHex[byte & 15U]};
        }
    }
    return escaped;
}

}  // namespace

Environment from_environment() {
    return Environment{.uid = sys::current_uid(),
                       .runtime_dir = variable("CLUSTER_RUNTIME_DIR"),
                       .state_dir = variable("CLUSTER_STATE_DIR"),
                       .log_dir = variable("CLUSTER_LOG_DIR"),
                       .xdg_runtime = variable("XDG_RUNTIME_DIR"),
                       .xdg_state = variable("XDG_STATE_HOME"),
                       .home = variable("HOME")};
}

Directories resolve(const Environment& environment,
                    const std::optional<std::string>& runtime_option) {
    const std::string usual = absolute(default_runtime(environment));
    Directories result;
    result.runtime = runtime_option            ? absolute(*runtime_option)
                     : environment.runtime_dir ? absolute(*environment.runtime_dir)
                                               : usual;
    const std::string own = result.runtime == usual ? "" : "/at/" + escape_path(result.runtime);
    result.state =
        absolute(environment.state_dir ? *environment.state_dir : default_state(environment) + own);
    if (environment.log_dir) {
        result.log = absolute(*environment.log_dir);
    } else if (environment.uid == 0 && !environment.state_dir) {
        result.log = "/var/log/clusterd" + own;
    } else {
        result.log = result.state + "/logs";
    }
    return result;
}

Status prepare_runtime(const Directories& directories, std::uint32_t uid) {
    if (directories.control_socket().size() > kMaxSocketPath) return fail(Op::bind, ENAMETOOLONG);
    const std::uint32_t mode = uid == 0 ? 0711 : 0700;
    auto info = sys::file_info(directories.runtime);
    if (!info && info.error().code == ENOENT) {
        if (auto made = sys::make_directories(directories.runtime, mode); !made) return made;
        info = sys::file_info(directories.runtime);
    }
    if (!info) return tl::unexpected(info.error());
    if (!S_ISDIR(info->mode)) return fail(Op::check_owner, ENOTDIR);
    if (info->uid != uid) return fail(Op::check_owner, EPERM);
    // Others could put their own socket or lock into a directory that they may write to.
    if ((info->mode & (S_IWGRP | S_IWOTH)) != 0) return fail(Op::check_owner, EACCES);
    return {};
}

Result<sys::UniqueFd> take_lock(const Directories& directories) {
    auto file = sys::open_file(directories.lock_file(), O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
    if (!file) return file;
    if (auto locked = sys::try_lock(file->get()); !locked) return tl::unexpected(locked.error());
    return file;
}

std::string output_log(const std::string& log_dir, const std::string& worker,
                       std::uint32_t instance) {
    return log_dir + "/" + worker + "." + std::to_string(instance) + ".out.log";
}

std::string error_log(const std::string& log_dir, const std::string& worker,
                      std::uint32_t instance) {
    return log_dir + "/" + worker + "." + std::to_string(instance) + ".err.log";
}

std::string merged_log(const std::string& log_dir, const std::string& worker,
                       std::uint32_t instance) {
    return log_dir + "/" + worker + "." + std::to_string(instance) + ".log";
}

}  // namespace cluster::place
