// What people read about an instance: why it ended, why it failed, what it waits for. Text is made
// here, at the edge, from the errnos and states that everything else passes around.
#pragma once

#include <optional>
#include <string>

#include "base/time.hpp"
#include "channel/record.hpp"
#include "core/fleet.hpp"

namespace cluster::supervisor {

/// "SIGKILL", "signal 99".
[[nodiscard]] std::string signal_text(int signal);

/// "exec ./srv: Permission denied". Names the object of the step (the command, the directory, the
/// user) and, where the errno alone would mislead, what is really missing (a script's interpreter).
[[nodiscard]] std::string spawn_failure_text(const core::Launch& launch, Op op, int code);

/// "exit code 3", "SIGSEGV (core dumped)", or the spawn failure.
[[nodiscard]] std::string exit_text(const core::Launch& launch, const core::ExitStatus& status);

/// Why an operation failed on this instance: "exit code 3 before min_uptime (1s)".
[[nodiscard]] std::string failure_text(const core::WorkerSpec& spec,
                                       const core::Instance& instance);

/// What an operation waits for on this instance: "stop signal sent, SIGKILL in 8.2s".
[[nodiscard]] std::string pending_text(const core::WorkerSpec& spec, const core::Instance& instance,
                                       Instant now);

/// Why a program that is known to be Node.js itself (core::node_wrapper) is no good one to start a
/// worker of a cluster with.
[[nodiscard]] std::string wrapper_text(const std::string& program);

/// Why a channel is closed that its worker has not closed.
[[nodiscard]] std::string cut_off_text(channel::CutOff why);

/// last_exit.reason of `status`.
[[nodiscard]] const char* reason_name(core::ExitReason reason);

}  // namespace cluster::supervisor
