// Texts of JSON: read with suspicion, and written.
//
// Bounds of a parse: nesting (walks over a document recurse), the number of values (a line of four
// million brackets would become a hundred times as much memory), keys per object (lookups are
// linear). A key that stands twice in one object is refused, unless it is asked for otherwise:
// which one counts would depend on the reader.
//
// Bytes that are not UTF-8 are refused where a text is read, and become U+FFFD where one is
// written.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include <tl/expected.hpp>

#include "json/json.hpp"

namespace cluster::json {

struct ParseBounds {
    std::size_t depth = 32;
    std::size_t values = std::size_t{1} << 16U;
    std::size_t keys_per_object = 256;
    bool last_key_counts = false;  // of those that stand twice, and the others go
};

/// Exactly one value. The error says what is wrong, and at which byte.
[[nodiscard]] tl::expected<Json, std::string> parse(std::string_view text,
                                                    const ParseBounds& bounds = {});

/// Whether it is one value of JSON, of any depth and size: nothing is made of it.
[[nodiscard]] bool is_json(std::string_view text);

/// One line of compact JSON without a newline.
[[nodiscard]] std::string dump_line(const Json& json);
/// The same, for people: two spaces a level, newline at the end.
[[nodiscard]] std::string dump_pretty(const Json& json);

/// `text` as a JSON string, quotes included.
[[nodiscard]] std::string quote(std::string_view text);

// --- pieces of a line that is written without a document (json/line_writer.hpp)

void append_quoted(std::string& line, std::string_view text);
/// 1.0 remains 1.0: a reader takes it for the same kind of number again.
void append_real(std::string& line, double value);

/// Whether a JSON string can hold these bytes as they are.
[[nodiscard]] bool is_utf8(std::string_view bytes);

/// A stranger's name as it may stand in a message: cut to 64 bytes, so that an answer never grows
/// with a request.
[[nodiscard]] std::string clip(std::string_view name);

}  // namespace cluster::json
