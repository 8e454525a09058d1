// Colours by meaning, and the escape sequences that make them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace cluster::clusterctl {

enum class Style : std::uint8_t { plain, bold, dim, red, green, yellow, blue, magenta, cyan };

/// `text` in that style, ended by a reset; `text` itself for plain and where colour is off.
[[nodiscard]] std::string paint(std::string_view text, Style style, bool has_colour);

/// One of six colours, always the same for the same id.
[[nodiscard]] Style style_of_id(std::string_view id);

}  // namespace cluster::clusterctl
