#include "clusterctl/view/style.hpp"

#include <array>

namespace cluster::clusterctl {
namespace {

/// Source: ECMA-48, 8.3.117 (SGR).
const char* sgr(Style style) {
    switch (style) {
        case Style::plain:
            return "";
        case Style::bold:
            return "\x1b[1m";
        case Style::dim:
            return "\x1b[2m";
        case Style::red:
            return "\x1b[31m";
        case Style::green:
            return "\x1b[32m";
        case Style::yellow:
            return "\x1b[33m";
        case Style::blue:
            return "\x1b[34m";
        case Style::magenta:
            return "\x1b[35m";
        case Style::cyan:
            return "\x1b[36m";
    }
    return "";
}

}  // namespace

std::string paint(std::string_view text, Style style, bool has_colour) {
    if (!has_colour || style == Style::plain || text.empty()) return std::string(text);
    return sgr(style) + std::string(text) + "\x1b[0m";
}

Style style_of_id(std::string_view id) {
    // Red is left out: it marks stderr.
    constexpr std::array kStyles = {Style::cyan, Style::green,   Style::yellow,
                                    Style::blue, Style::magenta, Style::bold};
    std::uint32_t hash = 2166136261U;  // FNV-1a: neighbours such as api.0 and api.1 differ
    for (const char c : id) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619U;
    return kStyles[hash % kStyles.size()];
}

}  // namespace cluster::clusterctl
