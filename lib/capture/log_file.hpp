// A log: the file that a worker's output goes to, shared by all pumps of that worker's stream, and
// made an archive when it is large enough.
//
// There is one writing process. The file is opened without O_APPEND (splice refuses that); its size
// is where writing goes on, and is asked for anew each time: an operator may have emptied it. A
// rotation is one rename; killed right behind it, a successor begins the new file itself. Nothing
// is written to an archive any more.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "sys/fd.hpp"

namespace cluster::capture {

class LogFile {
public:
    static constexpr std::uint64_t kNoLimit = std::numeric_limits<std::uint64_t>::max();

    /// Opens or creates it (mode 0640). Errors: those of open and stat.
    [[nodiscard]] static Result<LogFile> open(std::string path);

    [[nodiscard]] int descriptor() const { return file_.get(); }
    [[nodiscard]] const std::string& path() const { return path_; }
    [[nodiscard]] std::uint64_t inode() const { return inode_; }
    [[nodiscard]] Result<std::uint64_t> size() const;
    /// True when the next byte begins a line. `size`: as just asked for.
    [[nodiscard]] bool is_at_line_start(std::uint64_t size) const;

    /// Writes a line of ours at the end, behind the end of the last line; all of it or nothing.
    [[nodiscard]] Status append_line(std::string_view line);

    /// A pump stops here, at the end of a line, and says so. Units: bytes.
    [[nodiscard]] std::uint64_t limit() const { return limit_; }
    void set_limit(std::uint64_t bytes) { limit_ = bytes; }

    enum class Rotated : std::uint8_t {
        archived,
        reopened,  // somebody had moved or removed it, or it is no regular file of that name:
                   // the name was only opened anew
    };
    /// Gives the file the name of its archive and begins a new one. Errors: {rename, EEXIST} there
    /// is such an archive already; those of stat, rename and open, and the old file goes on.
    [[nodiscard]] Result<Rotated> rotate(const std::string& archive_path);
    /// Opens the name anew when it stands for another file by now, or for none. Errors: those of
    /// open; the old file goes on.
    [[nodiscard]] Status reopen();
    /// True when the name still stands for this file.
    [[nodiscard]] bool has_its_name() const;

private:
    LogFile(sys::UniqueFd file, std::string path, std::uint64_t inode)
        : file_(std::move(file)), path_(std::move(path)), inode_(inode) {}

    sys::UniqueFd file_;
    std::string path_;
    std::uint64_t inode_;
    std::uint64_t limit_ = kNoLimit;
};

}  // namespace cluster::capture
