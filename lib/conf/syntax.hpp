// What a line of broken TOML was meant to be: enough lexing to explain a parser's error and to go
// on behind it.
#pragma once

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

/// True when nothing that the line opens (array, inline table, multi-line string) goes on in the
/// next one.
[[nodiscard]] bool is_closed(std::string_view line);

/// The first dotted key with more than `limit` parts. toml++ builds, and destroys by recursion, one
/// table per part without a bound of its own.
[[nodiscard]] std::optional<Position> find_long_key(std::string_view text, std::size_t limit);

}  // namespace cluster::conf
