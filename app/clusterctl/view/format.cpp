#include "clusterctl/view/format.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace cluster::clusterctl {

std::string format_duration(std::int64_t ms) {
    const std::int64_t shown = std::max<std::int64_t>(ms, 0);
    if (shown < 1000) return fmt::format("{}ms", shown);
    const std::int64_t seconds = shown / 1000;
    const std::int64_t minutes = seconds / 60;
    const std::int64_t hours = minutes / 60;
    if (seconds < 60) return fmt::format("{}s", seconds);
    if (minutes < 60) return fmt::format("{}m {}s", minutes, seconds % 60);
    if (hours < 24) return fmt::format("{}h {}m", hours, minutes % 60);
    return fmt::format("{}d {}h", hours / 24, hours % 24);
}

std::string format_bytes(std::uint64_t bytes) {
    constexpr std::array kUnits = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    if (bytes < 1024) return fmt::format("{} B", bytes);
    double value = static_cast<double>(bytes);
    std::size_t unit = 0;
    for (value /= 1024; value >= 1023.5 && unit + 1 < kUnits.size(); ++unit) value /= 1024;
    return value < 99.95 ? fmt::format("{:.1f} {}", value, kUnits[unit])
                         : fmt::format("{:.0f} {}", value, kUnits[unit]);
}

std::string format_percent(double percent) {
    return percent < 9.95 ? fmt::format("{:.1f}%", percent) : fmt::format("{:.0f}%", percent);
}

std::string count_of(std::uint64_t count, const char* thing) {
    return fmt::format("{} {}{}", count, thing, count == 1 ? "" : "s");
}

}  // namespace cluster::clusterctl
