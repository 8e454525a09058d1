// Cuts a byte stream into lines with a bound on their length.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace cluster::ctl {

class LineBuffer {
public:
    explicit LineBuffer(std::size_t max_line_bytes) : max_(max_line_bytes) {}

    /// False when the line in progress exceeds the bound: the stream is of no use any more.
    [[nodiscard]] bool append(std::string_view bytes);
    /// The next complete line without its newline (and without a carriage return before it).
    [[nodiscard]] std::optional<std::string> take_line();

private:
    std::size_t max_;
    std::string buffer_;
    std::size_t scanned_ = 0;  // no newline in [0, scanned_)
};

}  // namespace cluster::ctl
