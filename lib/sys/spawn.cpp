// The one place that creates processes. The child runs in the parent's memory on a static stack
// while the parent waits in clone3; whatever happens between clone3 and exec is therefore visible
// to the parent as plain memory.
#include <linux/sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "sys/child_code.hpp"
#include "sys/failpoint.hpp"
#include "sys/process.hpp"

namespace cluster::sys {

namespace {

// Path lookup and exec use the kernel's stack, so the child needs a few hundred bytes; 64 KiB
// leaves room for an unoptimised build. Both ABIs want 16-byte alignment.
constexpr std::size_t kChildStackBytes = 64UL * 1024;
alignas(16) std::byte child_stack[kChildStackBytes];

// As the shells have it: a command that could not be started.
constexpr int kExitNotStarted = 127;

/// What parent and child share besides the caller's own argument.
struct Launch {
    const ChildEntry* entry;
    SpawnFailure failure;
    volatile bool has_failed;
};

extern "C" [[noreturn]] CLUSTER_CHILD_CODE void cluster_sys_child_main(Launch* launch) {
    launch->entry->function(launch->entry->argument, &launch->failure);
    launch->has_failed = true;
    for (;;) ::syscall(SYS_exit_group, kExitNotStarted);
}

/// clone3 whose child enters cluster_sys_child_main on the stack that `arguments` names and never
/// comes back here: the frame of this function belongs to the parent alone. Returns the child's pid
/// or a negative errno.
__attribute__((noinline)) long clone_into_child(clone_args* arguments, Launch* launch) {
#if defined(__x86_64__)
    long result = SYS_clone3;
    register Launch* child_argument asm("r12") = launch;
    asm volatile(
        "syscall\n\t"
        "testq %%rax, %%rax\n\t"
        "jnz 1f\n\t"
        "xorl %%ebp, %%ebp\n\t"
        "movq %%r12, %%rdi\n\t"
        "call cluster_sys_child_main\n\t"
        "hlt\n"
        "1:"
        : "+a"(result)
        : "D"(arguments), "S"(sizeof *arguments), "r"(child_argument)
        : "rcx", "r11", "memory", "cc");
    return result;
#elif defined(__aarch64__)
    register long number asm("x8") = SYS_clone3;
    register clone_args* first asm("x0") = arguments;
    register std::size_t second asm("x1") = sizeof *arguments;
    register Launch* child_argument asm("x19") = launch;
    asm volatile(
        "svc #0\n\t"
        "cbnz x0, 1f\n\t"
        "mov x29, xzr\n\t"
        "mov x0, x19\n\t"
        "bl cluster_sys_child_main\n\t"
        "brk #1\n"
        "1:"
        : "+r"(first)
        : "r"(number), "r"(second), "r"(child_argument)
        : "x30", "memory", "cc");
    return reinterpret_cast<long>(first);
#else
#error "clone3 needs a trampoline for this architecture"
#endif
}

/// Exactly this child, so that the one reap path never meets it.
void reap_failed_child(std::int32_t pid) {
    siginfo_t info{};
    while (::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED) < 0 && errno == EINTR) {
    }
}

}  // namespace

CLUSTER_CHILD_CODE void stop_ignoring_signals() {
    constexpr int kLastSignal = 64;  // on both architectures
    // The raw calls, as glibc keeps two of the numbers to itself. The kernel's struct sigaction
    // begins with the handler; all zeros are SIG_DFL, no flags, no restorer, an empty mask.
    const unsigned long all_default[8] = {};
    unsigned long now[8] = {};
    for (int signal = 1; signal <= kLastSignal; ++signal) {
        ::syscall(SYS_rt_sigaction, signal, nullptr, now, kKernelSignalSetBytes);
        if (now[0] != reinterpret_cast<unsigned long>(SIG_IGN)) continue;
        ::syscall(SYS_rt_sigaction, signal, all_default, nullptr, kKernelSignalSetBytes);
    }
}

Result<Spawned> spawn(const ChildEntry& entry, std::int32_t* pid_cell) {
    if (const int code = injected_error(Failpoint::sys_clone)) return fail(Op::clone, code);
    Launch launch{.entry = &entry, .failure = {}, .has_failed = false};
    int pidfd = -1;
    clone_args arguments{};
    arguments.flags =
        CLONE_VM | CLONE_VFORK | CLONE_PIDFD | CLONE_PARENT_SETTID | CLONE_CLEAR_SIGHAND;
    if (entry.shares_descriptors) arguments.flags |= CLONE_FILES;
    arguments.pidfd = reinterpret_cast<std::uintptr_t>(&pidfd);
    arguments.parent_tid = reinterpret_cast<std::uintptr_t>(pid_cell);
    arguments.exit_signal = SIGCHLD;
    arguments.stack = reinterpret_cast<std::uintptr_t>(child_stack);
    arguments.stack_size = kChildStackBytes;

    // A child that changes its user makes the memory undumpable, and until exec that memory is
    // ours: without this, /proc would hide us from ourselves from then on. Source: prctl(2),
    // PR_SET_DUMPABLE.
    const int dumpable = ::prctl(PR_GET_DUMPABLE);
    const long pid = clone_into_child(&arguments, &launch);
    if (dumpable == 1) ::prctl(PR_SET_DUMPABLE, 1);
    if (pid < 0) return fail(Op::clone, static_cast<int>(-pid));
    Spawned spawned{.pidfd = UniqueFd(pidfd), .pid = static_cast<std::int32_t>(pid), .failure = {}};
    if (launch.has_failed) {
        reap_failed_child(spawned.pid);
        spawned.failure = launch.failure;
    }
    return spawned;
}

}  // namespace cluster::sys
