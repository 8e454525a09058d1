// One process in place of another: what the keeper's upgrade and the rescue of a dead keeper need
// beyond sys/process.hpp.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "base/time.hpp"
#include "sys/fd.hpp"

namespace cluster::sys {

/// Whether the descriptor survives exec. Errors: {dup, EBADF}.
[[nodiscard]] Status set_inherited(int fd, bool is_inherited);

/// execve with our environment: comes back only when it failed. Signals keep their mask, and the
/// descriptors that were set so stay open. Errors: {exec, errno}.
[[nodiscard]] Error replace_process(const std::string& path,
                                    const std::vector<std::string>& arguments);

/// Starts a program in a session of its own, with our environment and standard descriptors, the
/// given ones besides them under the same numbers, and every signal blocked, at its default: what
/// comes early waits for it. It outlives us, and is our child until then. Requires: as sys::spawn,
/// which this is.
/// Errors: {clone, errno}; {exec, errno}.
[[nodiscard]] Result<UniqueFd> start_heir(const std::string& path,
                                          const std::vector<std::string>& arguments,
                                          std::span<const int> inherited);

/// Whether our wait reaps it.
[[nodiscard]] bool is_own_child(int pidfd);

/// To every member of the group that the process leads, or led: since Linux 6.9 the kernel finds it
/// by the process. Before that by the number, which nobody else has as long as there is a member.
/// Errors: {signal, ESRCH} it led no group, or nobody is left of it; {signal, EPERM} …
[[nodiscard]] Status signal_group_of(int pidfd, std::int32_t pid, int signal);

/// Lets time pass, for a process that has nothing else to do before it tries again.
void let_pass(Duration duration);

/// Another name for this process, as ps shows it: at most 15 bytes of it.
void name_process(const char* name);

}  // namespace cluster::sys
