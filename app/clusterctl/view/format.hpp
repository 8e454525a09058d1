// Numbers as people read them. Every text is ASCII and a handful of characters long.
#pragma once

#include <cstdint>
#include <string>

namespace cluster::clusterctl {

/// "820ms", "12s", "3m 12s", "4h 5m", "12d 3h". Negative counts as 0.
[[nodiscard]] std::string format_duration(std::int64_t ms);

/// "512 B", "1.5 KiB", "23.4 MiB", "612 MiB", "1.2 GiB".
[[nodiscard]] std::string format_bytes(std::uint64_t bytes);

/// "0.3%", "9.9%", "12%", "340%".
[[nodiscard]] std::string format_percent(double percent);

/// "1 worker", "2 workers".
[[nodiscard]] std::string count_of(std::uint64_t count, const char* thing);

}  // namespace cluster::clusterctl
