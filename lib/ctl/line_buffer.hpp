// Cuts a byte stream into lines with a bound on their length.
//
// Taking a line costs what that line costs, however many are waiting: a peer that sends millions of
// empty lines at once gets no more of our time than its bytes are worth.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace cluster::ctl {

class LineBuffer {
public:
    explicit LineBuffer(std::size_t max_line_bytes) : max_(max_line_bytes) {}

    /// False when a line, finished or in progress, exceeds the bound: the stream is of no use any
    /// more, and nothing of these bytes was kept.
    [[nodiscard]] bool append(std::string_view bytes);
    /// The next complete line without its newline (and without a carriage return before it).
    [[nodiscard]] std::optional<std::string> take_line();

private:
    std::size_t max_;
    std::string buffer_;
    std::size_t start_ = 0;       // bytes before it were taken
    std::size_t scanned_ = 0;     // no newline in [start_, scanned_)
    std::size_t unfinished_ = 0;  // length of the line in progress, at the end of buffer_
};

}  // namespace cluster::ctl
