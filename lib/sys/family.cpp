#include "sys/family.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>

#include "sys/fd.hpp"

namespace cluster::sys {
namespace {

constexpr int kMaxGenerations = 32;
constexpr std::size_t kMaxFamily = 4096;
/// A file of /proc that is longer has been read far enough.
constexpr std::size_t kMaxText = std::size_t{64} << 10U;

std::string read_text(const char* path) {
    const UniqueFd file{::open(path, O_RDONLY | O_CLOEXEC)};
    std::string text;
    if (!file.is_open()) return text;
    std::array<char, 4096> buffer{};
    while (text.size() < kMaxText) {
        const ssize_t count = ::read(file.get(), buffer.data(), buffer.size());
        if (count <= 0) break;
        text.append(buffer.data(), static_cast<std::size_t>(count));
    }
    return text;
}

template <class... Parts>
std::string read_proc(const char* format, Parts... parts) {
    std::array<char, 64> path{};
    std::snprintf(path.data(), path.size(), format, parts...);
    return read_text(path.data());
}

void add_numbers(const std::string& text, std::vector<std::int32_t>& numbers) {
    const char* at = text.c_str();
    while (*at != '\0') {
        char* end = nullptr;
        const long number = std::strtol(at, &end, 10);
        if (end == at) return;
        numbers.push_back(static_cast<std::int32_t>(number));
        at = end;
        while (*at == ' ' || *at == '\n') ++at;
    }
}

/// Second number of statm: resident pages.
std::uint64_t resident_bytes(std::int32_t pid) {
    static const std::uint64_t page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
    const std::string text = read_proc("/proc/%d/statm", pid);
    const std::size_t blank = text.find(' ');
    if (blank == std::string::npos) return 0;
    return std::strtoull(text.c_str() + blank, nullptr, 10) * page;
}

/// Its fair part of shared pages; 0 where the kernel does not tell.
std::uint64_t proportional_bytes(std::int32_t pid) {
    const std::string text = read_proc("/proc/%d/smaps_rollup", pid);
    const std::size_t at = text.find("\nPss:");
    if (at == std::string::npos) return 0;
    return std::strtoull(text.c_str() + at + std::strlen("\nPss:"), nullptr, 10) * 1024;
}

void add_descendants(std::vector<std::int32_t>& family) {
    for (std::size_t i = 0; i < family.size() && family.size() < kMaxFamily; ++i) {
        const auto children = children_of(family[i]);
        if (!children) continue;
        for (const std::int32_t child : *children) {
            const bool is_known = std::find(family.begin(), family.end(), child) != family.end();
            if (!is_known) family.push_back(child);
        }
    }
}

}  // namespace

std::int32_t session_of(std::int32_t pid) {
    const pid_t session = ::getsid(pid);
    return session < 0 ? 0 : session;
}

std::int32_t group_of(std::int32_t pid) {
    const pid_t group = ::getpgid(pid);
    return group < 0 ? 0 : group;
}

bool has_in_environment(std::int32_t pid, std::string_view entry) {
    const std::string text = read_proc("/proc/%d/environ", pid);
    std::string_view rest = text;
    while (!rest.empty()) {
        const std::string_view one = rest.substr(0, rest.find('\0'));
        if (one == entry) return true;
        rest.remove_prefix(std::min(rest.size(), one.size() + 1));
    }
    return false;
}

bool is_gone(std::int32_t pid) {
    return ::getsid(pid) < 0 && errno == ESRCH;
}

std::int32_t parent_of(std::int32_t pid) {
    const std::string text = read_proc("/proc/%d/stat", pid);
    // The name stands in parentheses and may hold anything, so the fields count from its end.
    const std::size_t name_end = text.rfind(')');
    if (name_end == std::string::npos || name_end + 4 > text.size()) return 0;
    return static_cast<std::int32_t>(std::strtol(text.c_str() + name_end + 4, nullptr, 10));
}

bool is_of_family(std::int32_t pid, std::int32_t leader) {
    for (int i = 0; i < kMaxGenerations && pid > 1; ++i) {
        if (pid == leader || session_of(pid) == leader) return true;
        pid = parent_of(pid);
    }
    return false;
}

Result<std::vector<std::int32_t>> children_of(std::int32_t pid) {
    std::array<char, 64> path{};
    std::snprintf(path.data(), path.size(), "/proc/%d/task", pid);
    const std::unique_ptr<DIR, int (*)(DIR*)> tasks{::opendir(path.data()), ::closedir};
    if (tasks == nullptr) return fail(Op::read, ENOENT);
    std::vector<std::int32_t> children;
    while (const dirent* entry = ::readdir(tasks.get())) {
        if (entry->d_name[0] < '0' || entry->d_name[0] > '9') continue;
        add_numbers(read_proc("/proc/%d/task/%d/children", pid, std::atoi(entry->d_name)),
                    children);
    }
    return children;
}

Orphans orphans_of(std::int32_t reaper) {
    Orphans orphans;
    const auto children = children_of(reaper);
    if (!children) return orphans;
    for (const std::int32_t child : *children) {
        const std::int32_t session = session_of(child);
        if (session != 0 && session != child) orphans[session].push_back(child);
    }
    return orphans;
}

std::uint64_t family_memory(std::int32_t leader, const Orphans& orphans, std::uint64_t enough) {
    std::vector<std::int32_t> family{leader};
    if (const auto found = orphans.find(leader); found != orphans.end()) {
        family.insert(family.end(), found->second.begin(), found->second.end());
    }
    add_descendants(family);
    std::uint64_t sum = 0;
    for (const std::int32_t pid : family) sum += resident_bytes(pid);
    if (sum <= enough || family.size() == 1) return sum;
    std::uint64_t fair = 0;
    for (const std::int32_t pid : family) {
        const std::uint64_t part = proportional_bytes(pid);
        fair += part == 0 ? resident_bytes(pid) : part;
    }
    return fair;
}

}  // namespace cluster::sys
