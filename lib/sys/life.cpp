#include "sys/life.hpp"

#include <fcntl.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "sys/fd.hpp"

namespace cluster::sys {
namespace {

struct StatFields {
    char state = '?';
    std::uint64_t threads = 0;
    std::uint64_t start_ticks = 0;
};

/// Fields 3, 20 and 22 of /proc/<pid>/stat. Allocates nothing.
bool read_fields(std::int32_t pid, StatFields& fields) {
    std::array<char, 32> path{};
    std::snprintf(path.data(), path.size(), "/proc/%d/stat", pid);
    const UniqueFd file{::open(path.data(), O_RDONLY | O_CLOEXEC)};
    if (!file.is_open()) return false;
    std::array<char, 1024> text{};
    const auto count = ::read(file.get(), text.data(), text.size() - 1);
    if (count <= 0) return false;
    const char* at = std::strrchr(text.data(), ')');
    if (at == nullptr || std::strlen(at) < 4) return false;
    at += 2;
    fields.state = *at;
    for (int field = 3; field < 22; ++field) {
        at = std::strchr(at, ' ');
        if (at == nullptr) return false;
        ++at;
        if (field + 1 == 20) fields.threads = std::strtoull(at, nullptr, 10);
    }
    fields.start_ticks = std::strtoull(at, nullptr, 10);
    return true;
}

std::uint64_t namespace_inode(const char* path) {
    struct stat info {};
    return ::stat(path, &info) == 0 ? static_cast<std::uint64_t>(info.st_ino) : 0;
}

/// AT_RANDOM: sixteen bytes that the kernel gives to each program that it starts.
std::uint32_t image_mark() {
    const auto address = ::getauxval(AT_RANDOM);
    if (address == 0) return 0;
    std::uint32_t mark = 0;
    std::memcpy(&mark, reinterpret_cast<const void*>(address), sizeof mark);
    return mark;
}

}  // namespace

LifeMarks own_life_marks() {
    LifeMarks marks;
    marks.pid = ::getpid();
    StatFields fields;
    if (read_fields(marks.pid, fields)) marks.start_ticks = fields.start_ticks;
    // Start ticks are told in the reader's own time namespace, so that one counts too. Namespace
    // inodes are numbered densely, which the odd factor keeps apart.
    const std::uint64_t mixed =
        namespace_inode("/proc/self/ns/pid") + namespace_inode("/proc/self/ns/time") * 1023U;
    marks.namespaces = static_cast<std::uint32_t>(mixed);
    marks.image = image_mark();
    return marks;
}

ProcessLook look_at_process(std::int32_t pid) {
    if (::kill(pid, 0) != 0 && errno == ESRCH) return {.presence = Presence::gone};
    StatFields fields;
    if (!read_fields(pid, fields)) {
        // Between the two looks it may have gone; with hidepid it may be there and not be shown.
        const bool is_gone = ::kill(pid, 0) != 0 && errno == ESRCH;
        return {.presence = is_gone ? Presence::gone : Presence::unknown};
    }
    const bool is_zombie = fields.state == 'Z' || fields.state == 'X';
    if (is_zombie && fields.threads <= 1) return {.presence = Presence::gone};
    return {.presence = Presence::present, .start_ticks = fields.start_ticks};
}

}  // namespace cluster::sys
