#include "capture/transform.hpp"

#include <algorithm>

#include "capture/archive.hpp"

namespace cluster::capture {
namespace {

constexpr std::size_t kStampBytes = 25;  // "2024-05-17T09:30:00.123Z "

}  // namespace

Transformed transform(std::string_view bytes, const Batch& batch) {
    const std::uint64_t max_line = std::max<std::uint64_t>(batch.format.max_line, 1);
    const std::string stamp =
        batch.format.has_stamps ? format_time_ms(batch.stamp_ms) + " " : std::string();
    Transformed result{.text = batch.ends_foreign_line ? "\n" : "", .line_bytes = batch.line_bytes};
    result.text.reserve(bytes.size() + bytes.size() / 2);
    bool is_new = result.line_bytes == 0;
    while (!bytes.empty()) {
        if (result.line_bytes >= max_line && bytes.front() != '\n') {
            result.text += '\n';
            result.line_bytes = 0;
            is_new = true;
        }
        if (is_new) result.text += stamp;
        is_new = false;
        const std::size_t newline = std::min(bytes.find('\n'), bytes.size());
        const std::uint64_t room = max_line - std::min(max_line, result.line_bytes);
        const auto length = static_cast<std::size_t>(std::min<std::uint64_t>(newline, room));
        result.text += bytes.substr(0, length);
        result.line_bytes += length;
        bytes.remove_prefix(length);
        if (length < newline || bytes.empty()) continue;
        result.text += '\n';
        result.line_bytes = 0;
        is_new = true;
        bytes.remove_prefix(1);
    }
    return result;
}

std::size_t batch_size(std::string_view waiting, const LineFormat& format, bool takes_partial) {
    if (!format.is_shared || takes_partial) return waiting.size();
    const std::size_t newline = waiting.rfind('\n');
    const std::size_t whole = newline == std::string_view::npos ? 0 : newline + 1;
    return waiting.size() - whole > format.max_line ? waiting.size() : whole;
}

std::size_t size_until_full(std::string_view bytes, const LineFormat& format, std::uint64_t room) {
    const std::size_t stamp_bytes = format.has_stamps ? kStampBytes : 0;
    std::uint64_t written = 0;
    for (std::size_t at = 0; at < bytes.size();) {
        const std::size_t newline = bytes.find('\n', at);
        if (newline == std::string_view::npos) break;
        written += stamp_bytes + newline + 1 - at;
        at = newline + 1;
        if (written >= room) return at;
    }
    return bytes.size();
}

}  // namespace cluster::capture
