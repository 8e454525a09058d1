// Moves what a worker writes from its pipe into its log file, without losing or doubling a byte over a kill -9.
//
// splice(2) takes bytes from the pipe and puts them into the file in one step, so the file's size is the only truth: a
// successor opens the file, takes its size as the offset, and goes on. Where the file cannot be spliced to, bytes are
// copied through memory; a kill between read and write can then lose what was in flight (said once by `mode`).
// The file is opened without O_APPEND (splice refuses that); there is one writer. Nothing here knows why a worker writes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/result.hpp"
#include "sys/fd.hpp"

namespace cluster::capture {

/// What one call of pump() came to.
enum class Pumped : std::uint8_t {
    idle,     // the pipe is empty for now
    more,     // the budget is used up; there may be more
    ended,    // every writer is gone and the pipe is empty: close it
    blocked,  // the file takes nothing (disk full, I/O error): see `last_error`; the bytes stay in the pipe
};

class Pump {
public:
    /// Opens (creates, mode 0640) the log file; its present size is where writing goes on.
    /// Errors: those of open and stat. The pipe stays usable after an error.
    [[nodiscard]] static Result<Pump> open(sys::UniqueFd pipe, std::string path);

    Pump(Pump&&) noexcept = default;
    Pump& operator=(Pump&&) noexcept = default;

    /// Moves at most `budget` bytes.
    [[nodiscard]] Pumped pump(std::size_t budget);
    /// Moves everything that is in the pipe now: at most one pipe's capacity more than that.
    [[nodiscard]] Pumped drain();

    [[nodiscard]] int pipe() const { return pipe_.get(); }
    [[nodiscard]] const std::string& path() const { return path_; }
    [[nodiscard]] std::uint64_t bytes_written() const { return bytes_; }
    [[nodiscard]] Error last_error() const { return error_; }

private:
    Pump(sys::UniqueFd pipe, sys::UniqueFd file, std::string path, std::int64_t offset);
    sys::UniqueFd pipe_;
    sys::UniqueFd file_;
    std::string path_;
    std::int64_t offset_ = 0;
    std::uint64_t bytes_ = 0;
    bool can_splice_ = true;
    Error error_;
};

}  // namespace cluster::capture
