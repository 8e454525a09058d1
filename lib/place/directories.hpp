// Where things are: the runtime, state and log directories and the files in them. Shared by all
// programs, so that clusterctl and the daemon never disagree. Source: DESIGN section 7 (README
// "Directories").
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.hpp"
#include "sys/fd.hpp"

namespace cluster::place {

/// What the environment says; read once by the program (from_environment) and passed down, so that
/// tests can choose.
struct Environment {
    std::uint32_t uid = 0;
    std::optional<std::string> runtime_dir;  // CLUSTER_RUNTIME_DIR
    std::optional<std::string> state_dir;    // CLUSTER_STATE_DIR
    std::optional<std::string> log_dir;      // CLUSTER_LOG_DIR
    std::optional<std::string> xdg_runtime;  // XDG_RUNTIME_DIR
    std::optional<std::string> xdg_state;    // XDG_STATE_HOME
    std::optional<std::string> home;         // HOME
};
[[nodiscard]] Environment from_environment();

struct Directories {
    std::string runtime;
    std::string state;
    std::string log;

    [[nodiscard]] std::string control_socket() const { return runtime + "/control.sock"; }
    [[nodiscard]] std::string pid_file() const { return runtime + "/clusterd.pid"; }
    [[nodiscard]] std::string lock_file() const { return runtime + "/lock"; }
    [[nodiscard]] std::string daemon_log() const { return log + "/clusterd.log"; }
};

/// `runtime_option`: the value of --runtime-dir. All results are absolute. A chosen runtime
/// directory (option or variable) that is not the default gives the daemon its own state and log
/// directories too, unless those are named: <default>/at/<escaped runtime path>; so several daemons
/// of one user never share logs or state. A state directory that was named keeps the logs in its
/// `logs`, unless the log directory was named as well.
[[nodiscard]] Directories resolve(const Environment& environment,
                                  const std::optional<std::string>& runtime_option);

/// Creates the runtime directory (0700; 0711 for root) or checks an existing one: a real directory
/// that belongs to us. Errors: {check_owner, EPERM} somebody else's; {check_owner, ENOTDIR} not a
/// directory (a link counts as none); {check_owner, EACCES} others may write to it; {bind,
/// ENAMETOOLONG} when the control socket's path would not fit (107 bytes); {mkdir, errno}.
[[nodiscard]] Status prepare_runtime(const Directories& directories, std::uint32_t uid);

/// Takes the daemon's lock. Errors: {lock, EWOULDBLOCK} when another daemon runs on this directory.
[[nodiscard]] Result<sys::UniqueFd> take_lock(const Directories& directories);

/// "<log>/<worker>.<instance>.out.log" and ".err.log".
[[nodiscard]] std::string output_log(const std::string& log_dir, const std::string& worker,
                                     std::uint32_t instance);
[[nodiscard]] std::string error_log(const std::string& log_dir, const std::string& worker,
                                    std::uint32_t instance);
/// "<log>/<worker>.<instance>.log": both streams in one.
[[nodiscard]] std::string merged_log(const std::string& log_dir, const std::string& worker,
                                     std::uint32_t instance);

}  // namespace cluster::place
