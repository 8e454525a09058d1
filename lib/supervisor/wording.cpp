#include "supervisor/wording.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <variant>

#include "base/overloaded.hpp"
#include "conf/load.hpp"
#include "core/node_launch.hpp"
#include "supervisor/environment.hpp"
#include "sys/file.hpp"

namespace cluster::supervisor {
namespace {

/// The path of the program as the child saw it.
std::string program_path(const core::Launch& launch) {
    const std::string& command = launch.command.front();
    return command.empty() || command.front() == '/' ? command : launch.cwd + "/" + command;
}

/// The interpreter that a script names in its first line; empty when it is no script, or is not
/// there.
std::string interpreter_of(const std::string& path) {
    const auto file = sys::open_file(path, 0);
    if (!file) return {};
    std::array<std::byte, 256> buffer{};
    const auto count = sys::read_some(file->get(), buffer);
    if (!count) return {};
    std::string_view text{reinterpret_cast<const char*>(buffer.data()), *count};
    if (text.substr(0, 2) != "#!") return {};
    text.remove_prefix(2);
    text = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
    return std::string(text.substr(0, text.find_first_of(" \t\r")));
}

/// What the step was about: "exec *./srv*".
std::string object_of(const core::Launch& launch, Op op) {
    if (op == Op::exec) return launch.command.front();
    if (op == Op::lookup_command) return launch.command.front() + " in PATH";
    if (op == Op::chdir) return launch.cwd;
    if (op == Op::lookup_user || op == Op::set_uid) return launch.user;
    if (op == Op::lookup_group) return launch.group;
    if (op == Op::set_gid) return launch.group.empty() ? "of " + launch.user : launch.group;
    if (op == Op::open) return "log file";
    if (op == Op::standard_input) return launch.standard_input;
    if (op == Op::store && launch.store.kind == core::StoreChoice::Kind::named) {
        return launch.store.name;
    }
    return {};
}

/// What the errno does not say.
std::string hint_for(const core::Launch& launch, Op op, int code) {
    if (op == Op::lookup_user && code == ENOENT) return "no such user";
    if (op == Op::lookup_group && code == ENOENT) return "no such group";
    if (op == Op::lookup_command && code == ENOENT) return "not found";
    if (op == Op::store && code == ENOENT) return "no [store] table of the daemon describes it";
    if (op == Op::lookup_command && code == EACCES) return "found, but not executable";
    if (op == Op::notify_socket && code == ENAMETOOLONG)
        return "its path has more than 107 bytes; choose a shorter runtime directory or name";
    if (op == Op::exec && code == ENOEXEC)
        return "Exec format error (neither a program nor a script with a #! line)";
    if (op == Op::exec && code == ENOENT) {
        const std::string interpreter = interpreter_of(program_path(launch));
        if (!interpreter.empty())
            return fmt::format("its interpreter {} does not exist", interpreter);
    }
    return std::strerror(code);
}

std::string seconds_text(Duration duration) {
    const double seconds = std::max(0.0, std::chrono::duration<double>(duration).count());
    return fmt::format("{:.1f}s", seconds);
}

std::string stopping_text(const core::WorkerSpec& spec, const core::Stopping& state, Instant now) {
    const char* who = state.leader_gone ? "its process group" : "it";
    if (state.kill_sent) return fmt::format("SIGKILL was sent, waiting for {} to be gone", who);
    if (spec.launch.node.cluster) {
        return fmt::format("it was asked to end, waiting for what its clients have open; SIGKILL in "
                           "{}",
                           seconds_text(state.kill_at - now));
    }
    return fmt::format("{} was sent, waiting for {} to end; SIGKILL in {}",
                       signal_text(core::end_signal(spec.policy, state.reason)), who,
                       seconds_text(state.kill_at - now));
}

/// Why we ended a run that nobody asked to end.
std::string reason_text(const core::WorkerSpec& spec, core::ExitReason reason) {
    if (reason == core::ExitReason::start_timeout) {
        const bool is_silent = spec.policy.ready.kind == core::Readiness::Kind::listen;
        const auto wrapper = core::node_wrapper(spec.launch);
        return fmt::format("not ready within start_timeout ({}){}{}",
                           conf::format_duration(spec.policy.start_timeout),
                           is_silent ? ": it does not listen" : "",
                           is_silent && wrapper ? "; " + wrapper_text(*wrapper) : "");
    }
    if (reason == core::ExitReason::max_memory) {
        return fmt::format("its processes held more than max_memory ({})",
                           conf::format_size(spec.policy.max_memory));
    }
    if (reason == core::ExitReason::watchdog) {
        return fmt::format("its watchdog ran out (watchdog = {})",
                           conf::format_duration(spec.policy.watchdog));
    }
    if (reason == core::ExitReason::liveness) {
        return fmt::format("its liveness probe failed {} times in a row",
                           spec.policy.liveness.failure_threshold);
    }
    if (reason == core::ExitReason::channel) {
        return "its channel was closed, as the log says, and it ended with that";
    }
    return fmt::format("said that it ends, and did not within stop_timeout ({})",
                       conf::format_duration(spec.policy.stop_timeout));
}

}  // namespace

std::string signal_text(int signal) {
    return conf::signal_name(signal);
}

std::string spawn_failure_text(const core::Launch& launch, Op op, int code) {
    if (op == Op::env_file) {
        const std::string problem = env_file_problem(launch);
        // It may have been mended meanwhile.
        return fmt::format("{} {}", op_name(op),
                           problem.empty() ? std::string(std::strerror(code)) : problem);
    }
    const std::string object = object_of(launch, op);
    const std::string step =
        object.empty() ? op_name(op) : fmt::format("{} {}", op_name(op), object);
    return fmt::format("{}: {}", step, hint_for(launch, op, code));
}

std::string exit_text(const core::Launch& launch, const core::ExitStatus& status) {
    switch (status.kind) {
        case core::ExitStatus::Kind::code:
            return fmt::format("exit code {}", status.value);
        case core::ExitStatus::Kind::signal:
            return signal_text(status.value) + (status.dumped_core ? " (core dumped)" : "");
        case core::ExitStatus::Kind::spawn_failed:
            return spawn_failure_text(launch, status.op, status.value);
        case core::ExitStatus::Kind::unknown:
            break;
    }
    return "gone, nobody saw how";
}

std::string failure_text(const core::WorkerSpec& spec, const core::Instance& instance) {
    // The run that failed is still on its way out: the exit that is known is an earlier one's.
    const auto* const stopping = std::get_if<core::Stopping>(&instance.state);
    if (stopping != nullptr && stopping->is_failure) return reason_text(spec, stopping->reason);
    if (!instance.history.last_exit) return "failed";
    const core::LastExit& last = *instance.history.last_exit;
    const std::string how = exit_text(spec.launch, last.status);
    switch (last.reason) {
        case core::ExitReason::spawn_failed:
            return how;
        case core::ExitReason::start_timeout:
        case core::ExitReason::max_memory:
        case core::ExitReason::watchdog:
        case core::ExitReason::liveness:
        case core::ExitReason::channel:
            return reason_text(spec, last.reason);
        case core::ExitReason::exited:
        case core::ExitReason::stopped:
        case core::ExitReason::killed:
            break;
    }
    return fmt::format("{} before min_uptime ({}) had passed", how,
                       conf::format_duration(spec.policy.min_uptime));
}

std::string pending_text(const core::WorkerSpec& spec, const core::Instance& instance,
                         Instant now) {
    return std::visit(
        Overloaded{
            [](const core::Stopped&) { return std::string("stopped"); },
            [](const core::Exited&) { return std::string("exited"); },
            [](const core::Fatal&) { return std::string("given up"); },
            [](const core::Starting&) { return std::string("being started"); },
            [](const core::Waiting&) { return std::string("waiting for its turn to start"); },
            [&](const core::Running& running) {
                if (!running.ready_at) return std::string("waiting for it to be ready");
                const Instant good_at = *running.ready_at + spec.policy.min_uptime;
                return fmt::format("running, has to live {} more", seconds_text(good_at - now));
            },
            [&](const core::BackingOff& backoff) {
                return fmt::format("next start in {}", seconds_text(backoff.until - now));
            },
            [&](const core::Stopping& stopping) { return stopping_text(spec, stopping, now); }},
        instance.state);
}

std::string cut_off_text(channel::CutOff why) {
    switch (why) {
        case channel::CutOff::unread_messages:
            return "it did not read its messages";
        case channel::CutOff::unread_answers:
            return "it did not read the answers that it had asked for";
        case channel::CutOff::no_memory:
            return "there was no memory for it";
        case channel::CutOff::none:
            break;
    }
    return "";
}

const char* reason_name(core::ExitReason reason) {
    switch (reason) {
        case core::ExitReason::exited:
            return "exited";
        case core::ExitReason::stopped:
            return "stopped";
        case core::ExitReason::killed:
            return "killed";
        case core::ExitReason::start_timeout:
            return "start_timeout";
        case core::ExitReason::spawn_failed:
            return "spawn_failed";
        case core::ExitReason::max_memory:
            return "max_memory";
        case core::ExitReason::watchdog:
            return "watchdog";
        case core::ExitReason::liveness:
            return "liveness";
        case core::ExitReason::channel:
            return "channel";
    }
    return "unknown";
}

std::string wrapper_text(const std::string& program) {
    return fmt::format("{} is a Node.js program itself and may keep to itself what makes its child a "
                       "worker of the cluster: let the command execute node with the script",
                       program);
}

}  // namespace cluster::supervisor
