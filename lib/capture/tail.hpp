// The last lines of a log file, and what is appended afterwards: what `clusterctl logs` shows and
// follows.
//
// A line is any bytes up to a newline; the newline is left out, a carriage return before it stays.
// Memory is bounded whatever the file holds: see kMaxLine. The files are written by somebody else
// meanwhile.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "capture/chain.hpp"
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
    std::uint64_t inode = 0;  // of the file that was read; an archive may have it by now
    bool ends_in_partial_line = false;
};
/// Errors: those of open, stat and read; {read, EAGAIN} when the file shrinks again and again while
/// it is read.
[[nodiscard]] Result<LastLines> read_last_lines(const std::string& path, std::size_t count);
[[nodiscard]] Result<LastLines> read_last_lines(int file, std::size_t count);

/// The lines of an open file from its beginning to `size`, one after the other; longer ones in
/// pieces of kMaxLine. The file may grow meanwhile.
class LineReader {
public:
    LineReader() = default;
    LineReader(sys::UniqueFd file, std::uint64_t size) : file_(std::move(file)), size_(size) {}

    /// None at the end, and where the file cannot be read any more.
    [[nodiscard]] std::optional<std::string> next();

private:
    bool read_block();

    sys::UniqueFd file_;
    std::uint64_t size_ = 0;
    std::uint64_t offset_ = 0;
    std::string buffer_;
    std::size_t begin_ = 0;
};

/// Reads on from an offset; notices truncation and replacement (rename) of the file and goes on
/// with the new one. The old file is read to its end first, then the archives that were made of the
/// log since, packed ones too. A partial line at a file's end is continued by the next file's first
/// bytes, since a rotation may cut anywhere. A name that is gone for the moment is waited for.
class Follower {
public:
    /// `inode`: of the file that the offset was taken from, which may be an archive by now; 0: the
    /// one of that name. Without `unpack`, packed archives are left out.
    Follower(std::string path, std::uint64_t offset, std::uint64_t inode = 0, Unpack unpack = {});
    /// Complete lines that have come since the last call. A partial line is kept until its newline
    /// comes. Bounds: about 4 MiB a call; call again until nothing comes, then wait. Errors: those
    /// of open, stat and read; of a call that has lines, the next call tells them.
    [[nodiscard]] Result<std::vector<std::string>> read_new_lines();
    [[nodiscard]] const std::string& path() const { return path_; }

private:
    /// A file of the chain. `number`: that of an archive, or the one that the log would get.
    struct Link {
        sys::UniqueFd file;
        std::uint64_t inode = 0;
        std::uint64_t number = 0;
        bool is_behind_gap = false;  // no file was found for the number before it
    };
    [[nodiscard]] Result<Link> open_log() const;
    [[nodiscard]] Result<Link> open_next() const;
    [[nodiscard]] Result<Link> open_next_once() const;
    void begin_at(std::uint64_t inode);
    /// Bytes behind the offset, in this file or in the one that has taken its place; 0: none now.
    Result<std::size_t> read_on(std::span<std::byte> buffer);
    /// True when there is something to read on: after a truncation, or in a file that has taken the
    /// old one's place.
    Result<bool> turn_to_new_bytes();
    void take_lines(std::string_view bytes, std::vector<std::string>& lines);

    std::string path_;
    std::uint64_t offset_;
    Unpack unpack_;
    std::string partial_;
    Link now_;
    Link next_;  // stands behind now_, which is read once more to its end before the change
};

}  // namespace cluster::capture
