#include "ctl/line_buffer.hpp"

namespace cluster::ctl {

bool LineBuffer::append(std::string_view bytes) {
    std::size_t unfinished = unfinished_;
    std::size_t at = 0;
    while (at < bytes.size()) {
        const std::size_t newline = bytes.find('\n', at);
        const std::size_t end = newline == std::string_view::npos ? bytes.size() : newline;
        unfinished += end - at;
        if (unfinished > max_) return false;
        if (newline == std::string_view::npos) break;
        unfinished = 0;
        at = newline + 1;
    }
    unfinished_ = unfinished;
    buffer_.append(bytes);
    return true;
}

std::optional<std::string> LineBuffer::take_line() {
    const std::size_t newline = buffer_.find('\n', scanned_);
    if (newline == std::string::npos) {
        // What was taken is given back here, once per burst, and not once per line.
        buffer_.erase(0, start_);
        start_ = 0;
        scanned_ = buffer_.size();
        return std::nullopt;
    }
    std::string line = buffer_.substr(start_, newline - start_);
    if (!line.empty() && line.back() == '\r') line.pop_back();
    start_ = newline + 1;
    scanned_ = start_;
    return line;
}

}  // namespace cluster::ctl
