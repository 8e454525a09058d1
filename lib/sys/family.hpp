// Which processes belong together: sessions, parents and children, and the memory of a family.
// Reads /proc; every answer may be out of date when it is given.
#pragma once

#include <cstdint>
#include <map>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace cluster::sys {

/// 0: no such process, or a session that was made outside of this pid namespace.
[[nodiscard]] std::int32_t session_of(std::int32_t pid);
/// 0: no such process.
[[nodiscard]] std::int32_t group_of(std::int32_t pid);
/// There is no such process, not even as a zombie.
[[nodiscard]] bool is_gone(std::int32_t pid);
/// 0: no such process.
[[nodiscard]] std::int32_t parent_of(std::int32_t pid);

/// True for the leader itself, whoever is in its session, and whoever descends from it, which
/// covers what called setsid. Bounds: 32 generations.
[[nodiscard]] bool is_of_family(std::int32_t pid, std::int32_t leader);

/// True when the environment that a process was executed with has this entry ("NAME=value"). A child
/// that executed nothing has that of its parent. False where it cannot be read.
[[nodiscard]] bool has_in_environment(std::int32_t pid, std::string_view entry);

/// Children of all threads of a process. Errors: {read, ENOENT} it is gone, or the kernel does not
/// tell.
[[nodiscard]] Result<std::vector<std::int32_t>> children_of(std::int32_t pid);

/// By session: those of `reaper`'s children that lead no session themselves, the orphans whose
/// parents died.
using Orphans = std::map<std::int32_t, std::vector<std::int32_t>>;
[[nodiscard]] Orphans orphans_of(std::int32_t reaper);

/// Bytes in memory of the leader of a session, its descendants, and those of `orphans`. A page that
/// several of them share counts once, as far as the kernel tells; this is looked at only when the
/// sum in which it counts more often exceeds `enough`. Bounds: 4,096 processes. 0: nobody is left.
[[nodiscard]] std::uint64_t family_memory(std::int32_t leader, const Orphans& orphans,
                                          std::uint64_t enough);

}  // namespace cluster::sys
