#include "sys/process.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <memory>

#include "sys/clock.hpp"
#include "sys/file.hpp"

namespace cluster::sys {
namespace {

Instant instant_of(const timespec& time) {
    return Instant{std::chrono::seconds{time.tv_sec} + Duration{time.tv_nsec}};
}

std::uint64_t microseconds(const timeval& time) {
    return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000U +
           static_cast<std::uint64_t>(time.tv_usec);
}

/// One line of /proc/<pid>/stat. The second field may hold anything, so fields are counted behind
/// its last ')'.
struct StatLine {
    std::array<char, 1024> text{};
    const char* after_name = nullptr;  // at the blank before field 3

    /// Requires: read() succeeded, number ≥ 3. Field 3 is a letter, the others are numbers.
    [[nodiscard]] const char* field(int number) const {
        const char* at = after_name;
        for (int i = 3; at != nullptr && i < number; ++i) at = std::strchr(at + 1, ' ');
        return at == nullptr ? nullptr : at + 1;
    }
    [[nodiscard]] std::uint64_t number(int index) const {
        const char* at = field(index);
        return at == nullptr ? 0 : std::strtoull(at, nullptr, 10);
    }
};

bool read_stat(const char* pid_text, StatLine& line) {
    std::array<char, 64> path{};
    std::snprintf(path.data(), path.size(), "/proc/%s/stat", pid_text);
    const UniqueFd file{::open(path.data(), O_RDONLY | O_CLOEXEC)};
    if (!file.is_open()) return false;
    const auto count = ::read(file.get(), line.text.data(), line.text.size() - 1);
    if (count <= 0) return false;
    line.text[static_cast<std::size_t>(count)] = '\0';
    const char* name_end = std::strrchr(line.text.data(), ')');
    if (name_end == nullptr || name_end[1] == '\0') return false;
    line.after_name = name_end + 1;
    return true;
}

bool read_stat(std::int32_t pid, StatLine& line) {
    return read_stat(std::to_string(pid).c_str(), line);
}

std::uint64_t hex_digit(char c) {
    if (c >= '0' && c <= '9') return static_cast<std::uint64_t>(c - '0');
    if (c >= 'a' && c <= 'f') return static_cast<std::uint64_t>(c - 'a') + 10U;
    return 16;
}

}  // namespace

ProcessEnd end_of_status(int status) {
    ProcessEnd end;
    if (WIFEXITED(status)) end.code = WEXITSTATUS(status);
    if (WIFSIGNALED(status)) end.signal = WTERMSIG(status);
    end.has_dumped = WIFSIGNALED(status) && WCOREDUMP(status);
    return end;
}

Instant monotonic_now() {
    timespec time{};
    ::clock_gettime(CLOCK_MONOTONIC, &time);
    return instant_of(time);
}

std::int64_t wall_ms() {
    timespec time{};
    ::clock_gettime(CLOCK_REALTIME, &time);
    return static_cast<std::int64_t>(time.tv_sec) * 1000 + time.tv_nsec / 1'000'000;
}

Result<std::optional<Reaped>> reap_any() {
    // The raw call, because glibc's waitid does not return the resource usage.
    siginfo_t info{};
    rusage usage{};
    long result = 0;
    do {
        result = ::syscall(SYS_waitid, P_ALL, 0, &info, WEXITED | WNOHANG, &usage);
    } while (result < 0 && errno == EINTR);
    if (result < 0 && errno == ECHILD) return std::optional<Reaped>{};
    if (result < 0) return fail(Op::wait, errno);
    if (info.si_pid == 0) return std::optional<Reaped>{};
    return std::optional<Reaped>{
        Reaped{.pid = info.si_pid,
               .code = info.si_code,
               .status = info.si_status,
               .user_us = microseconds(usage.ru_utime),
               .system_us = microseconds(usage.ru_stime),
               .max_rss_kib = static_cast<std::uint64_t>(usage.ru_maxrss)}};
}

Result<UniqueFd> open_pidfd(std::int32_t pid) {
    const long fd = ::syscall(SYS_pidfd_open, pid, 0U);
    if (fd < 0) return fail(Op::pidfd, errno);
    return UniqueFd{static_cast<int>(fd)};
}

Status signal_pidfd(int pidfd, int signal) {
    if (::syscall(SYS_pidfd_send_signal, pidfd, signal, nullptr, 0U) != 0)
        return fail(Op::signal, errno);
    return {};
}

Status signal_process(std::int32_t pid, int signal) {
    if (::kill(pid, signal) != 0) return fail(Op::signal, errno);
    return {};
}

Status signal_group(std::int32_t group, int signal) {
    if (::kill(-group, signal) != 0) return fail(Op::signal, errno);
    return {};
}

bool group_exists(std::int32_t group) {
    return ::kill(-group, 0) == 0 || errno == EPERM;
}

bool group_has_living_member(std::int32_t group) {
    const std::unique_ptr<DIR, int (*)(DIR*)> directory{::opendir("/proc"), ::closedir};
    if (directory == nullptr) return group_exists(group);
    while (const dirent* entry = ::readdir(directory.get())) {
        if (entry->d_name[0] < '0' || entry->d_name[0] > '9') continue;
        StatLine line;
        if (!read_stat(entry->d_name, line)) continue;
        const char* state = line.field(3);
        const bool is_dead = state != nullptr && (*state == 'Z' || *state == 'X');
        if (!is_dead && line.number(5) == static_cast<std::uint64_t>(group)) return true;
    }
    return false;
}

Result<std::uint64_t> process_start_ticks(std::int32_t pid) {
    StatLine line;
    if (!read_stat(pid, line)) return fail(Op::read, ESRCH);
    return line.number(22);
}

std::uint64_t ticks_now() {
    timespec time{};
    ::clock_gettime(CLOCK_BOOTTIME, &time);
    constexpr std::uint64_t kNsPerTick = 1'000'000'000U / kTicksPerSecond;
    return static_cast<std::uint64_t>(time.tv_sec) * kTicksPerSecond +
           static_cast<std::uint64_t>(time.tv_nsec) / kNsPerTick;
}

/// statm: /proc/<pid>/stat says the same and costs the kernel twice as much.
Result<std::uint64_t> process_rss(std::int32_t pid) {
    static const std::uint64_t page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
    std::array<char, 64> path{};
    std::snprintf(path.data(), path.size(), "/proc/%d/statm", pid);
    std::array<char, 256> text{};
    const UniqueFd file{::open(path.data(), O_RDONLY | O_CLOEXEC)};
    if (!file.is_open() || ::read(file.get(), text.data(), text.size() - 1) <= 0) {
        return fail(Op::read, ESRCH);
    }
    const char* const resident = std::strchr(text.data(), ' ');
    if (resident == nullptr) return fail(Op::read, ESRCH);
    return std::strtoull(resident, nullptr, 10) * page;
}

/// By the process's own clock, which does not count in ticks.
Result<std::uint64_t> process_cpu_ns(std::int32_t pid) {
    clockid_t clock{};
    timespec used{};
    if (::clock_getcpuclockid(pid, &clock) != 0 || ::clock_gettime(clock, &used) != 0) {
        return fail(Op::read, ESRCH);
    }
    return static_cast<std::uint64_t>(used.tv_sec) * 1'000'000'000U +
           static_cast<std::uint64_t>(used.tv_nsec);
}

std::optional<ProcessEnd> end_of_zombie(std::int32_t pid) {
    StatLine line;
    if (!read_stat(pid, line)) return std::nullopt;
    const char* state = line.field(3);
    if (state == nullptr || *state != 'Z') return std::nullopt;
    // Whoever may not know reads a zero (proc(5), exit_code); the link is behind the same right, and
    // of a zombie it leads nowhere.
    const auto link = read_link("/proc/" + std::to_string(pid) + "/exe");
    if (!link && link.error().code == EACCES) return std::nullopt;
    return end_of_status(static_cast<int>(line.number(52)));
}

Status become_subreaper() {
    if (::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0) return fail(Op::subreaper, errno);
    return {};
}

void ignore_signal(int signal) {
    ::signal(signal, SIG_IGN);
}

void block_all_signals() {
    sigset_t all;
    ::sigfillset(&all);
    ::sigprocmask(SIG_SETMASK, &all, nullptr);
}

Result<UniqueFd> open_signal_descriptor() {
    sigset_t all;
    ::sigfillset(&all);
    const int fd = ::signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0) return fail(Op::signalfd, errno);
    return UniqueFd{fd};
}

std::optional<int> take_signal(int signal_descriptor) {
    signalfd_siginfo info{};
    const auto count = ::read(signal_descriptor, &info, sizeof(info));
    if (count != static_cast<ssize_t>(sizeof(info))) return std::nullopt;
    return static_cast<int>(info.ssi_signo);
}

std::int32_t current_pid() {
    return ::getpid();
}

std::uint32_t current_uid() {
    return ::geteuid();
}

std::uint32_t current_gid() {
    return ::getegid();
}

Result<std::string> own_executable() {
    std::array<char, PATH_MAX> path{};
    const auto count = ::readlink("/proc/self/exe", path.data(), path.size() - 1);
    if (count < 0) return fail(Op::read, errno);
    return std::string(path.data(), static_cast<std::size_t>(count));
}

BootId boot_id() {
    const auto text = read_file("/proc/sys/kernel/random/boot_id", 64);
    BootId id;
    if (!text) return id;
    int digits = 0;
    for (const char c : *text) {
        const std::uint64_t digit = hex_digit(c);
        if (digit > 15) continue;
        std::uint64_t& half = digits < 16 ? id.low : id.high;
        half = (half << 4U) | digit;
        ++digits;
    }
    return id;
}

}  // namespace cluster::sys
