// Affinity mask and cgroup quotas. All text of the kernel is read with distrust: what does not fit
// says nothing.
#include "conf/cpus.hpp"

#include <sched.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <sstream>
#include <string_view>
#include <vector>

namespace cluster::conf {
namespace {

/// The mask must be as large as the kernel's, which is not known before. Unit: CPUs.
constexpr int kFirstMask = 1024;
constexpr int kLastMask = 1 << 16;

std::uint32_t affinity_cpus() {
    for (int size = kFirstMask; size <= kLastMask; size *= 2) {
        cpu_set_t* mask = CPU_ALLOC(static_cast<std::size_t>(size));
        if (mask == nullptr) return 1;
        const std::size_t bytes = CPU_ALLOC_SIZE(static_cast<std::size_t>(size));
        const bool is_known = sched_getaffinity(0, bytes, mask) == 0;
        const int count = is_known ? CPU_COUNT_S(bytes, mask) : 0;
        CPU_FREE(mask);
        if (is_known) return static_cast<std::uint32_t>(std::max(count, 1));
    }
    return 1;
}

std::vector<std::string> split(const std::string& text, char separator) {
    std::vector<std::string> parts;
    std::istringstream stream(text);
    for (std::string part; std::getline(stream, part, separator);) parts.push_back(part);
    return parts;
}

bool contains(const std::vector<std::string>& list, std::string_view wanted) {
    return std::find(list.begin(), list.end(), wanted) != list.end();
}

struct Mount {
    std::string root;   // the cgroup that is mounted
    std::string point;  // where
};

/// The mount of the v2 tree, or of the v1 `cpu` controller.
/// Source: proc(5), mountinfo: "id parent dev root point options [optional…] - type source
/// super-options".
std::optional<Mount> find_mount(const std::string& mountinfo, bool is_v2) {
    for (const std::string& line : split(mountinfo, '\n')) {
        const std::vector<std::string> words = split(line, ' ');
        const auto dash = std::find(words.begin(), words.end(), "-");
        if (words.size() < 6 || words.end() - dash < 4) continue;
        const std::string& type = *(dash + 1);
        const bool is_wanted = is_v2 ? type == "cgroup2"
                                     : type == "cgroup" && contains(split(*(dash + 3), ','), "cpu");
        if (is_wanted) return Mount{words[3], words[4]};
    }
    return std::nullopt;
}

/// This process's cgroup in the hierarchy: line "0::/path" for v2, "4:cpu,cpuacct:/path" for v1.
std::optional<std::string> find_cgroup(const std::string& cgroups, bool is_v2) {
    for (const std::string& line : split(cgroups, '\n')) {
        const std::size_t first = line.find(':');
        const std::size_t second = line.find(':', first == std::string::npos ? first : first + 1);
        if (second == std::string::npos) continue;
        const std::string controllers = line.substr(first + 1, second - first - 1);
        const bool is_wanted = is_v2 ? line.substr(0, first) == "0" && controllers.empty()
                                     : contains(split(controllers, ','), "cpu");
        if (is_wanted) return line.substr(second + 1);
    }
    return std::nullopt;
}

/// A quota in CPUs from "quota" and "period"; a quota of "max" or -1 is none.
std::optional<double> to_cpus(const std::string& quota_text, const std::string& period_text) {
    double quota = 0;
    double period = 0;
    if (!(std::istringstream(quota_text) >> quota)) return std::nullopt;
    if (!(std::istringstream(period_text) >> period)) return std::nullopt;
    if (quota <= 0 || period <= 0) return std::nullopt;
    return quota / period;
}

std::optional<double> quota_of(const std::string& directory, bool is_v2, const FileReader& read) {
    if (is_v2) {
        const std::vector<std::string> words =
            split(read(directory + "/cpu.max").value_or(""), ' ');
        return words.size() == 2 ? to_cpus(words[0], words[1]) : std::nullopt;
    }
    return to_cpus(read(directory + "/cpu.cfs_quota_us").value_or(""),
                   read(directory + "/cpu.cfs_period_us").value_or(""));
}

std::optional<double> tighter(std::optional<double> a, std::optional<double> b) {
    if (!a) return b;
    if (!b) return a;
    return std::min(*a, *b);
}

std::optional<double> hierarchy_quota(const std::string& cgroups, const std::string& mountinfo,
                                      bool is_v2, const FileReader& read) {
    const std::optional<std::string> cgroup = find_cgroup(cgroups, is_v2);
    const std::optional<Mount> mount = find_mount(mountinfo, is_v2);
    if (!cgroup || !mount) return std::nullopt;
    // In a container the mount shows a part of the tree, or the path is one of another namespace
    // ("/../x"): then only the mount's own top is certain.
    std::string path = *cgroup;
    if (mount->root != "/") {
        const bool is_below = path.compare(0, mount->root.size(), mount->root) == 0;
        path = is_below ? path.substr(mount->root.size()) : "";
    }
    if (path.find("..") != std::string::npos) path.clear();
    while (!path.empty() && path.back() == '/') path.pop_back();

    std::optional<double> quota;
    while (true) {
        quota = tighter(quota, quota_of(mount->point + path, is_v2, read));
        if (path.empty()) return quota;
        const std::size_t slash = path.rfind('/');
        path.resize(slash == std::string::npos ? 0 : slash);
    }
}

std::optional<std::string> read_file(const std::string& path) {
    std::ifstream file(path);
    if (!file) return std::nullopt;
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

}  // namespace

std::optional<double> cgroup_cpu_quota(const FileReader& read) {
    const std::string cgroups = read("/proc/self/cgroup").value_or("");
    const std::string mountinfo = read("/proc/self/mountinfo").value_or("");
    return tighter(hierarchy_quota(cgroups, mountinfo, true, read),
                   hierarchy_quota(cgroups, mountinfo, false, read));
}

std::uint32_t usable_cpus() {
    const std::uint32_t cpus = affinity_cpus();
    const std::optional<double> quota = cgroup_cpu_quota(read_file);
    if (!quota || *quota >= cpus) return cpus;
    return std::max(1U, static_cast<std::uint32_t>(std::ceil(*quota)));
}

}  // namespace cluster::conf
