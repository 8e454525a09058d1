// What a line of broken TOML was meant to be: enough lexing to explain a parser's error and to go
// on behind it.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "conf/report.hpp"

namespace cluster::conf {

/// Where the parser stopped and what it said.
struct SyntaxError {
    Position at;
    std::string description;  // as toml++ words it
};

/// A message for the operator, and the place to show it at. `lines` is the whole text.
[[nodiscard]] SyntaxError explain(const SyntaxError& error,
                                  const std::vector<std::string_view>& lines);

/// True when the line is a table header: [name] or [[name]], finished or not.
[[nodiscard]] bool is_header(std::string_view line);

/// Lines from 1, both ends included.
struct LineRange {
    std::size_t first = 1;
    std::size_t last = 1;
    bool has_end = true;  // false: an array, a table or a text in it is never closed

    friend bool operator==(const LineRange&, const LineRange&) = default;
};

/// The statement that an error on line `number` belongs to: the one that the line is a part of, or
/// one before it that is not closed. Such a one ends before the next table header; a multi-line
/// text, whose lines may look like anything, at the end of the text.
[[nodiscard]] LineRange statement_at(std::string_view text, std::size_t number);

/// The first dotted key with more than `limit` parts. toml++ builds, and destroys by recursion, one
/// table per part without a bound of its own.
[[nodiscard]] std::optional<Position> find_long_key(std::string_view text, std::size_t limit);

}  // namespace cluster::conf
