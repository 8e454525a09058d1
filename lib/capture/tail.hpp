// The last lines of a log file, and what is appended afterwards: what `clusterctl logs` shows and
// follows.
//
// A line is any bytes up to a newline; the newline is left out, a carriage return before it stays.
// Memory is bounded whatever the file holds: see kMaxLine. The files are written by somebody else
// meanwhile.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "sys/fd.hpp"

namespace cluster::capture {

/// Units: bytes. What is longer is cut by read_last_lines() and handed out in pieces by the
/// Follower.
inline constexpr std::size_t kMaxLine = 64U * 1024U;

/// The last `count` lines of a file, without their newlines; a last line without a newline counts.
/// `end_offset`: where following begins (so a partial last line is continued by the first line that
/// follows). Reads backwards in blocks: a huge file costs what its tail costs. Lines longer than 64
/// KiB are cut to their beginning. What lies more than `count` × 64 KiB before the end is never
/// read: a line that begins there is shown from there on.
struct LastLines {
    std::vector<std::string> lines;
    std::uint64_t end_offset = 0;
    bool ends_in_partial_line = false;
};
/// Errors: those of open, stat and read; {read, EAGAIN} when the file shrinks again and again while it is read.
[[nodiscard]] Result<LastLines> read_last_lines(const std::string& path, std::size_t count);

/// Reads on from an offset; notices truncation and replacement (rename) of the file and goes on
/// with the new one. The old file is read to its end first. A partial line there is continued by
/// the new file's first bytes, since a rotation may cut anywhere. A name that is gone for the
/// moment is waited for.
class Follower {
public:
    Follower(std::string path, std::uint64_t offset);
    /// Complete lines that have come since the last call. A partial line is kept until its newline
    /// comes. Bounds: about 4 MiB a call; call again until nothing comes, then wait. Errors: those
    /// of open, stat and read.
    [[nodiscard]] Result<std::vector<std::string>> read_new_lines();
    [[nodiscard]] const std::string& path() const { return path_; }

private:
    Status open_current();
    /// True when there is something to read on: after a truncation, or in a file that has taken the
    /// old one's place.
    Result<bool> turn_to_new_bytes();
    void take_lines(std::string_view bytes, std::vector<std::string>& lines);

    std::string path_;
    std::uint64_t offset_;
    std::uint64_t inode_ = 0;
    std::string partial_;
    sys::UniqueFd file_;
    sys::UniqueFd
        successor_;  // took the name of file_, which is read once more to its end before the change
    std::uint64_t successor_inode_ = 0;
};

}  // namespace cluster::capture
