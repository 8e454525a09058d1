// Whether some process, known by its number only and perhaps no child of ours, still lives.
//
// A pidfd would say it better, but it cannot be written into memory that others read. So a process
// leaves marks of itself there, and whoever wants its place looks at /proc.
#pragma once

#include <cstdint>

namespace cluster::sys {

/// What a process writes down about itself so that others can tell that it is gone.
struct LifeMarks {
    std::int32_t pid = 0;
    std::uint64_t start_ticks = 0;  // 0 when /proc does not tell
    std::uint32_t namespaces = 0;   // equal when two processes see the same pids and clocks
    std::uint32_t image = 0;        // changes with every exec, unlike the others
};
[[nodiscard]] LifeMarks own_life_marks();

enum class Presence : std::uint8_t {
    gone,     // no such process, or nothing but its zombie
    present,  // lives, and start_ticks is known
    unknown,  // exists, but /proc does not show it to us
};
struct ProcessLook {
    Presence presence = Presence::unknown;
    std::uint64_t start_ticks = 0;
};
/// A zombie leader whose other threads still run counts as present.
[[nodiscard]] ProcessLook look_at_process(std::int32_t pid);

}  // namespace cluster::sys
