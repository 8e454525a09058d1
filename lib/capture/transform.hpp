// What is made of a worker's bytes where lines are looked at: each line may get the time in front,
// and a line that is too long is split.
//
// Pure, and the same result for the same input, always: a batch that was cut off by a kill is
// transformed once more and written to the same place (staging.hpp). A worker's bytes are all kept,
// in their order; what is added is a stamp before a line, and a newline in a line that has
// `max_line` bytes and goes on, or behind an unfinished line of another stream.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace cluster::capture {

struct LineFormat {
    bool has_stamps = false;  // "2024-05-17T09:30:00.123Z " before each line
    bool is_shared = false;   // with another stream: whole lines only, where that is possible
    std::uint64_t max_line =
        0;  // bytes of a worker in a line, the newline not counted. Bounds: 1 …

    friend bool operator==(const LineFormat&, const LineFormat&) = default;
};

/// Bytes that are written to a log in one go.
struct Batch {
    LineFormat format;
    std::int64_t stamp_ms = 0;
    std::uint64_t line_bytes = 0;    // of the line that these bytes continue; 0: they begin one
    bool ends_foreign_line = false;  // a newline comes first
};

struct Transformed {
    std::string text;
    std::uint64_t line_bytes = 0;  // of the line that is open at the end
};
[[nodiscard]] Transformed transform(std::string_view bytes, const Batch& batch);

/// How many of the waiting bytes belong into the next batch: of a shared log whole lines, and the
/// beginning of one only when it is too long anyway, or `takes_partial`.
[[nodiscard]] std::size_t batch_size(std::string_view waiting, const LineFormat& format,
                                     bool takes_partial);

/// How many of these bytes (at least one, if there is one) fill a log in which `room` bytes are
/// left, up to the end of the line in which that happens; all of them when they do not fill it.
[[nodiscard]] std::size_t size_until_full(std::string_view bytes, const LineFormat& format,
                                          std::uint64_t room);

}  // namespace cluster::capture
