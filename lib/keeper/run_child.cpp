// Nothing here may allocate, lock, throw, log or touch what the keeper needs after the spawn: this
// is the keeper's memory. The sanitizers' bookkeeping belongs to the keeper as well, so none of
// this code is instrumented, and no function of a library is called but syscall(2)'s wrapper.
#include "keeper/run_child.hpp"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "keeper/run_plan.hpp"
#include "keeper/window.hpp"
#include "sys/child_code.hpp"

namespace cluster::keeper {

using wire::PlanOp;
using wire::PlanOperation;
using ChildPlan = PlanRunner::ChildPlan;

namespace {

constexpr unsigned kAllDescriptors = ~0U;

struct Child {
    const ChildPlan* plan;
    std::uint64_t placed;  // bit n: descriptor n was placed by the plan
};
static_assert(wire::kMaxTargetFd <= 64, "one bit for each target");

CLUSTER_CHILD_CODE int error_of(long result) {
    return result < 0 ? errno : 0;
}

/// From here on our descriptors are our own: those below the end of the window, and no others.
CLUSTER_CHILD_CODE int unshare_descriptors() {
    constexpr unsigned kUnshare = 1U << 1U;  // CLOSE_RANGE_UNSHARE
    return error_of(::syscall(SYS_close_range, window::kEnd, kAllDescriptors, kUnshare));
}

CLUSTER_CHILD_CODE int place(Child& child, const PlanOperation& operation) {
    // dup3 without O_CLOEXEC: this is the one descriptor that is to survive exec.
    const long result = ::syscall(SYS_dup3, window::kBegin + operation.a, operation.b, 0);
    if (result < 0) return errno;
    child.placed |= std::uint64_t{1} << operation.b;
    return 0;
}

/// Closes all but the placed ones, in ranges.
CLUSTER_CHILD_CODE int close_others(const Child& child) {
    unsigned begin = 0;
    for (unsigned fd = 0; fd < unsigned{wire::kMaxTargetFd}; ++fd) {
        if ((child.placed >> fd & 1U) == 0) continue;
        if (fd > begin && ::syscall(SYS_close_range, begin, fd - 1, 0) < 0) return errno;
        begin = fd + 1;
    }
    return error_of(::syscall(SYS_close_range, begin, kAllDescriptors, 0));
}

/// Decimal digits of `value` at `text`, with a sign where needed. Returns their count.
CLUSTER_CHILD_CODE std::size_t write_number(char* text, long value) {
    std::size_t length = 0;
    if (value < 0) text[length++] = '-';
    unsigned long rest =
        value < 0 ? 0UL - static_cast<unsigned long>(value) : static_cast<unsigned long>(value);
    unsigned long unit = 1;
    while (rest / unit >= 10) unit *= 10;
    for (; unit > 0; unit /= 10) {
        text[length++] = static_cast<char>('0' + rest / unit);
        rest %= unit;
    }
    return length;
}

CLUSTER_CHILD_CODE int set_oom_score(int score) {
    const long file =
        ::syscall(SYS_openat, AT_FDCWD, "/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC, 0);
    if (file < 0) return errno;
    char text[24];
    const std::size_t length = write_number(text, score);
    const int result = error_of(::syscall(SYS_write, file, text, length));
    ::syscall(SYS_close, file);
    return result;
}

CLUSTER_CHILD_CODE void set_environment_pid(char* place) {
    const std::size_t length = write_number(place, ::syscall(SYS_getpid));
    place[length] = '\0';
}

/// 0 or an errno.
CLUSTER_CHILD_CODE int run_operation(Child& child, const PlanOperation& operation) {
    char* text = child.plan->strings + operation.offset;
    const unsigned a = operation.a;
    switch (operation.op) {
        case PlanOp::session:
            return error_of(::syscall(SYS_setsid));
        case PlanOp::dup:
            return place(child, operation);
        case PlanOp::limit: {
            const std::uint64_t limit[2] = {operation.wide_a, operation.wide_b};
            return error_of(::syscall(SYS_prlimit64, 0, a, limit, nullptr));
        }
        case PlanOp::umask:
            return error_of(::syscall(SYS_umask, a));
        case PlanOp::nice:
            return error_of(::syscall(SYS_setpriority, PRIO_PROCESS, 0, a));
        case PlanOp::groups:
            return error_of(::syscall(SYS_setgroups, a, text));
        case PlanOp::set_gid:
            return error_of(::syscall(SYS_setresgid, a, a, a));
        case PlanOp::set_uid:
            return error_of(::syscall(SYS_setresuid, a, a, a));
        case PlanOp::chdir:
            return error_of(::syscall(SYS_chdir, text));
        case PlanOp::env_pid:
            set_environment_pid(text);
            return 0;
        case PlanOp::oom_score:
            return set_oom_score(static_cast<int>(a));
        case PlanOp::exec:
            return 0;  // the last one is done by run_child itself
    }
    return EINVAL;
}

CLUSTER_CHILD_CODE Op name_of(PlanOp op) {
    switch (op) {
        case PlanOp::session:
            return Op::session;
        case PlanOp::dup:
            return Op::dup;
        case PlanOp::limit:
            return Op::limit;
        case PlanOp::umask:
            return Op::umask;
        case PlanOp::nice:
            return Op::nice;
        case PlanOp::groups:
            return Op::groups;
        case PlanOp::set_gid:
            return Op::set_gid;
        case PlanOp::set_uid:
            return Op::set_uid;
        case PlanOp::chdir:
            return Op::chdir;
        case PlanOp::env_pid:
            return Op::plan;
        case PlanOp::oom_score:
            return Op::oom_score;
        case PlanOp::exec:
            return Op::exec;
    }
    return Op::plan;
}

/// Signals stay blocked until nothing but exec is left: one that arrived earlier would kill a
/// half-made child.
CLUSTER_CHILD_CODE void unblock_signals() {
    const unsigned long none = 0;
    ::syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, nullptr,
              sys::kKernelSignalSetBytes);
}

CLUSTER_CHILD_CODE void report(sys::SpawnFailure* failure, std::size_t index, Op op, int code) {
    failure->op_index = static_cast<int>(index);
    failure->op = op;
    failure->code = code;
}

}  // namespace

CLUSTER_CHILD_CODE void run_child(void* argument, sys::SpawnFailure* failure) {
    const auto* plan = static_cast<const ChildPlan*>(argument);
    const std::size_t count = plan->operation_count;
    Child child;
    child.plan = plan;
    child.placed = 0;
    if (const int code = unshare_descriptors()) {
        return report(failure, count, Op::close_range, code);
    }
    // Raising the score needs no privilege, so this fails only without /proc; where the keeper
    // lowered its own, there is one. An operation of the plan may set another value afterwards.
    if (plan->restores_oom_score) set_oom_score(plan->oom_score);
    for (std::size_t i = 0; i + 1 < count; ++i) {
        const int code = run_operation(child, plan->operations[i]);
        if (code != 0) return report(failure, i, name_of(plan->operations[i].op), code);
    }
    if (const int code = close_others(child)) return report(failure, count, Op::close_range, code);
    // Not before the descriptors are placed: the keeper may have more open than the workers' soft
    // limit allows.
    if (plan->restores_descriptors) {
        const long result =
            ::syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, plan->descriptor_limit, nullptr);
        if (result < 0) return report(failure, count, Op::limit, errno);
    }
    unblock_signals();
    const PlanOperation& exec = plan->operations[count - 1];
    ::syscall(SYS_execve, plan->strings + exec.offset, plan->argv, plan->envp);
    report(failure, count - 1, Op::exec, errno);
}

}  // namespace cluster::keeper
