// The last lines of a log file, and what is appended afterwards: what `clusterctl logs` shows and follows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "sys/fd.hpp"

namespace cluster::capture {

/// The last `count` lines of a file, without their newlines; a last line without a newline counts. `end_offset`: where
/// following begins. Reads backwards in blocks: a huge file costs what its tail costs. Lines longer than 64 KiB are cut.
struct LastLines {
    std::vector<std::string> lines;
    std::uint64_t end_offset = 0;
    bool ends_in_partial_line = false;
};
[[nodiscard]] Result<LastLines> read_last_lines(const std::string& path, std::size_t count);

/// Reads on from an offset; notices truncation and replacement (rename) of the file and goes on with the new one.
class Follower {
public:
    Follower(std::string path, std::uint64_t offset);
    /// Complete lines that have come since the last call. A partial line is kept until its newline comes.
    [[nodiscard]] Result<std::vector<std::string>> read_new_lines();
    [[nodiscard]] const std::string& path() const { return path_; }

private:
    std::string path_;
    std::uint64_t offset_;
    std::uint64_t inode_ = 0;
    std::string partial_;
    sys::UniqueFd file_;
};

}  // namespace cluster::capture
