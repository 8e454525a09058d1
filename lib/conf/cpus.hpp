// How many CPUs this process may use: the answer to `instances = "max"`.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace cluster::conf {

/// The CPUs of the affinity mask, or fewer when a CPU quota of the cgroup (v1 or v2, or of one
/// above it) allows less. A broken quota counts up: 1.5 CPUs are two, so that the quota can be used
/// whole. Never 0. Source: sched_getaffinity(2), cgroups(7), the kernel's admin-guide/cgroup-v2
/// (cpu.max) and scheduler/sched-bwc.
[[nodiscard]] std::uint32_t usable_cpus();

/// The content of a small file, or nothing when it cannot be read.
using FileReader = std::function<std::optional<std::string>(const std::string& path)>;

/// The tightest CPU quota over this process's cgroup and those above it, in CPUs; nothing when
/// there is none. Reads /proc/self/cgroup, /proc/self/mountinfo and the cgroup's files through
/// `read`.
[[nodiscard]] std::optional<double> cgroup_cpu_quota(const FileReader& read);

}  // namespace cluster::conf
