// Processes: spawning by clone3, identity, signals and reaping. The child's half runs on raw system
// calls only.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "base/result.hpp"
#include "sys/fd.hpp"

namespace cluster::sys {

struct SpawnFailure {
    int op_index = 0;  // what the child's function returned as the index of the failed operation
    Op op = Op::none;
    int code = 0;
};

/// What runs in the child, on its own stack, in the parent's memory, while the parent waits
/// (CLONE_VM | CLONE_VFORK). It must only use raw system calls, must end in exec, and returns only
/// when something failed, with `failure` filled.
struct ChildEntry {
    void (*function)(void* argument, SpawnFailure* failure);
    void* argument;
    /// The child has our very table of descriptors and not a copy, which takes time for each that is
    /// open, until it makes itself one (close_range(2), CLOSE_RANGE_UNSHARE), before anything else.
    bool shares_descriptors = false;
};

/// clone3 with CLONE_VM, CLONE_VFORK, CLONE_CLEAR_SIGHAND, CLONE_PIDFD, CLONE_FILES where the entry
/// asks for it, and CLONE_PARENT_SETTID into *pid_cell (which may lie in a shared mapping). Not
/// reentrant: one static stack. Requires: every signal blocked, a single thread. What this process
/// ignores, the child does, and what it executes, unless the function calls
/// stop_ignoring_signals(). On a failure inside the child, the child is gone and reaped when this
/// returns. Errors: {clone, errno}. A failure inside the child is a success of this function with
/// `failure` filled.
struct Spawned {
    UniqueFd pidfd;
    std::int32_t pid = 0;
    std::optional<SpawnFailure> failure;
};
[[nodiscard]] Result<Spawned> spawn(const ChildEntry& entry, std::int32_t* pid_cell);

struct Reaped {
    std::int32_t pid = 0;
    int code = 0;    // si_code: CLD_EXITED, CLD_KILLED, CLD_DUMPED
    int status = 0;  // si_status
    std::uint64_t user_us = 0;
    std::uint64_t system_us = 0;
    std::uint64_t max_rss_kib = 0;
};
/// The next dead child, reaped; none when there is none. Errors: {wait, errno} other than ECHILD.
[[nodiscard]] Result<std::optional<Reaped>> reap_any();

[[nodiscard]] Result<UniqueFd> open_pidfd(std::int32_t pid);
[[nodiscard]] Status signal_pidfd(int pidfd, int signal);
/// Errors: {read, ESRCH} it is dead and reaped.
[[nodiscard]] Result<std::int32_t> pid_of_pidfd(int pidfd);
/// From Linux 6.9 on no other process of this boot ever has the same; before, all have.
[[nodiscard]] Result<std::uint64_t> inode_of_pidfd(int pidfd);
/// How a process has ended that was reaped by whoever. Nothing: it was not, or the kernel does not
/// tell (before Linux 6.15).
struct ProcessEnd {
    int code = 0;
    int signal = 0;  // 0: it has ended by itself, with `code`
    bool has_dumped = false;
};
/// `status` as wait(2) has it.
[[nodiscard]] ProcessEnd end_of_status(int status);
[[nodiscard]] std::optional<ProcessEnd> end_of_process(int pidfd);
/// The same of one that is dead and that nobody has reaped yet, from /proc. Nothing: it is not that,
/// or it belonged to somebody of whom we may not know.
[[nodiscard]] std::optional<ProcessEnd> end_of_zombie(std::int32_t pid);
[[nodiscard]] Status signal_process(std::int32_t pid, int signal);
/// To every member of the group. Errors: {signal, ESRCH} when it has none.
[[nodiscard]] Status signal_group(std::int32_t group, int signal);
/// True while anybody, zombies included, is in the group.
[[nodiscard]] bool group_exists(std::int32_t group);
/// True while a member of the group is alive that is not a zombie. Reads /proc of every process:
/// for rare use.
[[nodiscard]] bool group_has_living_member(std::int32_t group);

/// Field 22 of /proc/<pid>/stat, in clock ticks since boot. Errors: {read, ESRCH} when it is gone.
[[nodiscard]] Result<std::uint64_t> process_start_ticks(std::int32_t pid);
/// What that field says of a process that is made now.
[[nodiscard]] std::uint64_t ticks_now();
inline constexpr std::uint64_t kTicksPerSecond = 100;  // sysconf(_SC_CLK_TCK), on every Linux

/// Memory of a process that is in RAM, in bytes. Errors: {read, ESRCH} when it is gone.
[[nodiscard]] Result<std::uint64_t> process_rss(std::int32_t pid);
/// CPU time of all its threads, user and system, in nanoseconds. Errors: {read, ESRCH} likewise.
[[nodiscard]] Result<std::uint64_t> process_cpu_ns(std::int32_t pid);

[[nodiscard]] Status become_subreaper();
void ignore_signal(int signal);
/// Every signal that is ignored gets SIG_DFL, without flags: whoever started us may have had it so,
/// and our children would, too. An ignored SIGCHLD would let the kernel reap them unseen. May be
/// called between clone3 and exec.
void stop_ignoring_signals();
/// Blocks every signal of this thread, so that only a signalfd sees them.
void block_all_signals();
/// A signalfd for all signals, non-blocking.
[[nodiscard]] Result<UniqueFd> open_signal_descriptor();
/// The next pending signal number; none when there is none.
[[nodiscard]] std::optional<int> take_signal(int signal_descriptor);

[[nodiscard]] std::int32_t current_pid();
[[nodiscard]] std::uint32_t current_uid();
[[nodiscard]] std::uint32_t current_gid();
/// Path of the running program's own file, from /proc/self/exe.
[[nodiscard]] Result<std::string> own_executable();
/// The 16 bytes of this boot's id as two words.
struct BootId {
    std::uint64_t low = 0;
    std::uint64_t high = 0;
};
[[nodiscard]] BootId boot_id();

}  // namespace cluster::sys
