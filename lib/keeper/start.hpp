// What happens once, before the keeper's loop runs: the runtime directory is made ours, and the
// process is made fit to outlive everyone.
#pragma once

#include "base/result.hpp"
#include "keeper/keeper.hpp"
#include "place/directories.hpp"

namespace cluster::keeper {

/// Nobody connects while the supervisor is away but clusterctl, and it waits; more than any user
/// runs at once.
inline constexpr int kControlBacklog = 512;

/// Opens /dev/null as every standard descriptor that is closed, so that nothing else gets its
/// number. To be called before anything is opened.
void ensure_standard_descriptors();

/// Makes the other numbers ours: what our starter left open is closed, unless it is an inheritance,
/// and the window (window.hpp) is reserved. To be called next. Errors: {dup, EMFILE} the limit of
/// open files is below what a keeper needs; {open, errno}.
[[nodiscard]] Status claim_descriptors(bool inherits);

/// Becomes subreaper, blocks every signal in favour of a signalfd and ignores none, raises the limit
/// of open files, and lowers the OOM score where that is allowed; remembers what children get back.
/// Errors: {subreaper, …}, {signalfd, …}.
[[nodiscard]] Result<Process> prepare_process();

/// Checks the runtime directory and takes its lock. Errors: those of place::prepare_runtime and
/// place::take_lock.
[[nodiscard]] Result<sys::UniqueFd> take_runtime(const place::Directories& directories);

/// Writes the pid file. Requires: the lock is ours. Errors: {write|rename|…, errno}.
[[nodiscard]] Status write_pid_file(const place::Directories& directories);

/// Listens on the control socket, replacing a stale one. Requires: the lock is ours. Errors:
/// {unlink|bind|listen, errno}.
[[nodiscard]] Result<sys::UniqueFd> open_control(const place::Directories& directories);

}  // namespace cluster::keeper
