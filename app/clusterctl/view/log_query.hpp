// What `clusterctl logs` is asked for: since when, which lines, and in which order. Pure, but for
// the local time zone.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <tl/expected.hpp>

namespace cluster::clusterctl {

/// "10m" (so long ago), "2024-05-17", "2024-05-17 09:30[:00]" or with a T between (local time, or
/// UTC with a Z behind it), "09:30[:00]" (today). Milliseconds since 1970.
[[nodiscard]] tl::expected<std::int64_t, std::string> parse_since(std::string_view text,
                                                                  std::int64_t now_ms);

/// An extended regular expression of POSIX, as `grep -E` takes it.
class LinePattern {
public:
    [[nodiscard]] static tl::expected<LinePattern, std::string> make(const std::string& text);
    [[nodiscard]] bool matches(std::string_view line) const;

private:
    struct Compiled;
    explicit LinePattern(std::shared_ptr<const Compiled> compiled)
        : compiled_(std::move(compiled)) {}
    std::shared_ptr<const Compiled> compiled_;
};

/// A line of a log whose worker has timestamp = true: when the daemon read it, and what the worker
/// wrote. No time: the whole line is the worker's.
struct StampedLine {
    std::optional<std::int64_t> time_ms;
    std::string_view text;
};
[[nodiscard]] StampedLine split_stamp(std::string_view line);

/// Gives the next line of one log, oldest first; none at its end.
using NextLine = std::function<std::optional<std::string>()>;

/// Shows the lines of several logs: those with times in the order of time (a line without one
/// belongs to the one before it); before them, log by log, those that have none at all.
void merge_by_time(const std::vector<NextLine>& logs,
                   const std::function<void(std::size_t log, const std::string& line)>& show);

}  // namespace cluster::clusterctl
