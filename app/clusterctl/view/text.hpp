// Text as a terminal shows it: how wide it is, where it may be cut, and what must not reach the
// terminal at all.
//
// Bytes that are not UTF-8 are shown as "?"; East Asian wide characters and emoji take two columns.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace cluster::clusterctl {

/// Columns that `text` takes. Requires: no control characters (see one_line).
[[nodiscard]] std::size_t display_width(std::string_view text);

/// `text` if it fits, else as much of it as fits with "…" at the end. Nothing for a width of 0.
[[nodiscard]] std::string cut_to_width(std::string_view text, std::size_t width);

/// Text for one line of ours: control characters and broken UTF-8 become "?".
[[nodiscard]] std::string one_line(std::string_view text);

/// A line of a worker's output, made harmless: tabs and colours (SGR sequences) pass; every other
/// control character is shown as ^X or \xNN, so that no log can move the cursor, set the title or
/// answer for the terminal. Colours that the line leaves on are reset at its end.
[[nodiscard]] std::string harmless_line(std::string_view line);

}  // namespace cluster::clusterctl
