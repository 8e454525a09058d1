// Starting the daemon in the background, and being sure that it is there.
#pragma once

#include "clusterctl/client.hpp"
#include "clusterctl/config_file.hpp"
#include "clusterctl/session.hpp"

namespace cluster::clusterctl {

/// Connects; starts clusterd first where none runs: in a session of its own, stdin from /dev/null,
/// stdout and stderr to <log directory>/clusterd.log. It is looked for beside our own executable,
/// then in PATH. Throws Failure with the end of that log when it does not come up.
///
/// True when it was started by us: then it brings back what it remembers, as its operation
/// kRestoreOperation.
bool connect_or_launch(const Session& session, Client& client);

/// The first operation of every daemon (CONTROL.md).
inline constexpr std::uint64_t kRestoreOperation = 1;

/// The workers that the daemon has; nothing where it would bring back what it remembers first.
[[nodiscard]] KnownWorkers known_workers(const Session& session);

/// The absolute path of clusterd: beside our own executable, else in PATH. Throws Failure.
[[nodiscard]] std::string find_daemon();

}  // namespace cluster::clusterctl
