// The lines of one log, its archives included, as `clusterctl logs` shows them before it follows.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "capture/chain.hpp"
#include "capture/tail.hpp"
#include "clusterctl/view/log_query.hpp"

namespace cluster::clusterctl {

/// Which lines of a log are wanted.
struct LogFilter {
    std::optional<std::int64_t> since_ms;
    std::optional<LinePattern> pattern;
    std::optional<std::size_t> count;  // the last ones of each log; none: all

    [[nodiscard]] bool reads_forward() const { return since_ms || pattern; }
};

class LogLines {
public:
    /// Opens the log. What is written from now on is not among the lines: it is for a Follower that
    /// begins at `offset()` of `inode()`. A log that is not there has no lines. Errors: those of
    /// open and read.
    [[nodiscard]] static Result<LogLines> open(const std::string& path, const LogFilter& filter);

    [[nodiscard]] std::optional<std::string> next();

    [[nodiscard]] std::uint64_t offset() const { return offset_; }
    [[nodiscard]] std::uint64_t inode() const { return inode_; }
    /// A time was asked for, and lines without one were given.
    [[nodiscard]] bool has_unknown_times() const { return has_unknown_times_; }

private:
    explicit LogLines(const LogFilter& filter) : filter_(filter) {}
    Status read_tail(const std::string& path);
    Status open_forward(const std::string& path);
    std::optional<std::string> next_forward();
    bool open_next_file();
    [[nodiscard]] bool is_wanted(const std::string& line);

    LogFilter filter_;
    std::uint64_t offset_ = 0;
    std::uint64_t inode_ = 0;
    std::deque<std::string> lines_;  // read already

    std::deque<capture::ArchiveFile> archives_;  // still to be read
    std::optional<capture::LineReader> log_;     // read last
    std::optional<capture::LineReader> reader_;
    std::optional<std::int64_t> time_ms_;  // of the line before
    bool has_unknown_times_ = false;
};

}  // namespace cluster::clusterctl
