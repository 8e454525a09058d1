// What a pidfd tells about a process that is perhaps no child of ours.
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "sys/features.hpp"
#include "sys/process.hpp"

namespace cluster::sys {

Result<std::int32_t> pid_of_pidfd(int pidfd) {
    std::array<char, 64> path{};
    std::snprintf(path.data(), path.size(), "/proc/self/fdinfo/%d", pidfd);
    const UniqueFd file{::open(path.data(), O_RDONLY | O_CLOEXEC)};
    if (!file.is_open()) return fail(Op::read, errno);
    std::array<char, 1024> text{};
    const ssize_t count = ::read(file.get(), text.data(), text.size() - 1);
    if (count < 0) return fail(Op::read, errno);
    const char* const line = std::strstr(text.data(), "\nPid:");
    const long pid = line == nullptr ? -1 : std::strtol(line + std::strlen("\nPid:"), nullptr, 10);
    if (pid <= 0) return fail(Op::read, ESRCH);
    return static_cast<std::int32_t>(pid);
}

Result<std::uint64_t> inode_of_pidfd(int pidfd) {
    struct stat status {};
    if (::fstat(pidfd, &status) != 0) return fail(Op::read, errno);
    return status.st_ino;
}

std::optional<ProcessEnd> end_of_process(int pidfd) {
    // As <linux/pidfd.h> of Linux 6.15 has it; older headers do not.
    struct PidfdInfo {
        std::uint64_t mask;
        std::uint64_t cgroup;
        std::array<std::uint32_t, 11> ids;
        std::int32_t exit_code;
    };
    static_assert(sizeof(PidfdInfo) == 64);
    constexpr std::uint64_t kExit = 1U << 3U;
    constexpr unsigned kPidfs = 0xFF;
    constexpr unsigned kGetInfo = 11;
    if (!has_newer_features()) return std::nullopt;
    PidfdInfo info{};
    info.mask = kExit;
    if (::ioctl(pidfd, _IOC(_IOC_READ | _IOC_WRITE, kPidfs, kGetInfo, sizeof(info)), &info) != 0) {
        return std::nullopt;
    }
    if ((info.mask & kExit) == 0) return std::nullopt;
    return end_of_status(info.exit_code);
}

}  // namespace cluster::sys
