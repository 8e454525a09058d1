#include "sys/succession.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <ctime>

#include "sys/child_code.hpp"
#include "sys/clock.hpp"
#include "sys/features.hpp"
#include "sys/process.hpp"

namespace cluster::sys {
namespace {

// <linux/wait.h> and <linux/pidfd.h> have them; the headers of glibc 2.36 lack the second.
constexpr int kByPidfd = 3;                   // P_PIDFD
constexpr unsigned kToProcessGroup = 1U << 2U;  // PIDFD_SIGNAL_PROCESS_GROUP, Linux 6.9

std::vector<char*> pointers_to(const std::vector<std::string>& texts) {
    std::vector<char*> pointers;
    for (const std::string& text : texts) pointers.push_back(const_cast<char*>(text.c_str()));
    pointers.push_back(nullptr);
    return pointers;
}

/// What the child looks at, in plain pointers.
struct Heir {
    const char* path;
    char* const* arguments;
    char* const* environment;
    const int* inherited;
    std::size_t inherited_count;
};

CLUSTER_CHILD_CODE void fill_in(SpawnFailure* failure, Op op) {
    failure->op = op;
    failure->code = errno;
}

/// Between clone3 and exec, in our memory: raw system calls only (sys::spawn). Comes back when
/// something failed.
CLUSTER_CHILD_CODE void become_heir(void* argument, SpawnFailure* failure) {
    const auto* heir = static_cast<const Heir*>(argument);
    ::syscall(SYS_setsid);
    stop_ignoring_signals();
    for (std::size_t i = 0; i < heir->inherited_count; ++i) {
        if (::syscall(SYS_fcntl, heir->inherited[i], F_SETFD, 0) < 0) {
            return fill_in(failure, Op::dup);
        }
    }
    ::syscall(SYS_execve, heir->path, heir->arguments, heir->environment);
    fill_in(failure, Op::exec);
}

}  // namespace

Status set_inherited(int fd, bool is_inherited) {
    if (::fcntl(fd, F_SETFD, is_inherited ? 0 : FD_CLOEXEC) != 0) return fail(Op::dup, errno);
    return {};
}

Error replace_process(const std::string& path, const std::vector<std::string>& arguments) {
    ::execve(path.c_str(), pointers_to(arguments).data(), environ);
    return {Op::exec, errno};
}

Result<UniqueFd> start_heir(const std::string& path, const std::vector<std::string>& arguments,
                            std::span<const int> inherited) {
    const std::vector<char*> pointers = pointers_to(arguments);
    Heir heir{.path = path.c_str(),
              .arguments = pointers.data(),
              .environment = environ,
              .inherited = inherited.data(),
              .inherited_count = inherited.size()};
    std::int32_t pid = 0;
    auto spawned = spawn({.function = become_heir, .argument = &heir}, &pid);
    if (!spawned) return tl::unexpected(spawned.error());
    if (spawned->failure) return fail(spawned->failure->op, spawned->failure->code);
    return std::move(spawned->pidfd);
}

bool is_own_child(int pidfd) {
    siginfo_t info{};
    return ::waitid(static_cast<idtype_t>(kByPidfd), static_cast<id_t>(pidfd), &info,
                    WEXITED | WNOHANG | WNOWAIT) == 0;
}

Status signal_group_of(int pidfd, std::int32_t pid, int signal) {
    if (has_newer_features()) {
        const long sent =
            ::syscall(SYS_pidfd_send_signal, pidfd, signal, nullptr, kToProcessGroup);
        if (sent == 0) return {};
        if (errno != EINVAL) return fail(Op::signal, errno);
    }
    return signal_group(pid, signal);
}

void let_pass(Duration duration) {
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(duration);
    timespec left{.tv_sec = seconds.count(), .tv_nsec = (duration - seconds).count()};
    // Signals of ours are blocked or ignored; what comes through all the same ends the wait early.
    ::ppoll(nullptr, 0, &left, nullptr);
}

void name_process(const char* name) {
    ::prctl(PR_SET_NAME, name);
}

}  // namespace cluster::sys
