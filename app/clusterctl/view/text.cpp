#include "clusterctl/view/text.hpp"

#include <algorithm>
#include <array>
#include <cstdint>

namespace cluster::clusterctl {
namespace {

struct Character {
    std::size_t bytes = 1;
    char32_t code = 0;
    bool is_valid = false;
};

struct LeadByte {
    unsigned char mask;
    unsigned char pattern;
    std::size_t bytes;
    char32_t least;  // anything below it is an overlong form
};
constexpr std::array kLeadBytes = {LeadByte{0xE0, 0xC0, 2, 0x80}, LeadByte{0xF0, 0xE0, 3, 0x800},
                                   LeadByte{0xF8, 0xF0, 4, 0x10000}};

/// The first character of `text`. Source: RFC 3629. Requires: not empty.
Character decode_first(std::string_view text) {
    const auto first = static_cast<unsigned char>(text[0]);
    if (first < 0x80) return {1, first, true};
    for (const LeadByte& lead : kLeadBytes) {
        if ((first & lead.mask) != lead.pattern) continue;
        if (text.size() < lead.bytes) return {};
        char32_t code = first & static_cast<unsigned char>(~lead.mask);
        for (std::size_t i = 1; i < lead.bytes; ++i) {
            const auto next = static_cast<unsigned char>(text[i]);
            if ((next & 0xC0U) != 0x80U) return {};
            code = (code << 6U) | (next & 0x3FU);
        }
        const bool is_surrogate = code >= 0xD800 && code <= 0xDFFF;
        if (code < lead.least || code > 0x10FFFF || is_surrogate) return {};
        return {lead.bytes, code, true};
    }
    return {};
}

struct Range {
    char32_t first;
    char32_t last;
};
/// Source: Unicode's EastAsianWidth.txt, its W and F ranges in coarse strokes: too wide is safe,
/// too narrow wraps.
constexpr std::array kWide = {
    Range{0x1100, 0x115F},   Range{0x2E80, 0xA4CF},  Range{0xA960, 0xA97C}, Range{0xAC00, 0xD7A3},
    Range{0xF900, 0xFAFF},   Range{0xFE30, 0xFE6F},  Range{0xFF00, 0xFF60}, Range{0xFFE0, 0xFFE6},
    Range{0x1F000, 0x1FAFF}, Range{0x20000, 0x3FFFD}};

std::size_t columns_of(const Character& character) {
    if (character.code < kWide.front().first) return 1;
    for (const Range& range : kWide) {
        if (character.is_valid && character.code >= range.first && character.code <= range.last) {
            return 2;
        }
    }
    return 1;
}

/// How much of the beginning is ASCII, each character of which takes one column.
std::size_t ascii_length(std::string_view text) {
    const auto* const end = std::find_if(
        text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) >= 0x80; });
    return static_cast<std::size_t>(end - text.begin());
}

bool is_control(char32_t code) {
    return code < 0x20 || (code >= 0x7F && code < 0xA0);
}

/// Length of an SGR sequence (ESC [ digits ; : … m) at the start of `text`; 0 when there is none.
std::size_t sgr_length(std::string_view text) {
    if (text.substr(0, 2) != "\x1b[") return 0;
    for (std::size_t i = 2; i < text.size() && i < 32; ++i) {
        const char c = text[i];
        if (c == 'm') return i + 1;
        if ((c < '0' || c > '9') && c != ';' && c != ':') return 0;
    }
    return 0;
}

void append_visible(std::string& result, char32_t code) {
    static constexpr std::string_view kDigits = "0123456789abcdef";
    if (code < 0x20) {
        result += '^';
        result += static_cast<char>(code + '@');
    } else {
        result += "\\x";
        result += kDigits[(code >> 4U) & 15U];
        result += kDigits[code & 15U];
    }
}

}  // namespace

std::size_t display_width(std::string_view text) {
    std::size_t width = 0;
    while (!text.empty()) {
        const std::size_t plain = ascii_length(text);
        width += plain;
        text.remove_prefix(plain);
        if (text.empty()) break;
        const Character character = decode_first(text);
        width += columns_of(character);
        text.remove_prefix(character.bytes);
    }
    return width;
}

std::string cut_to_width(std::string_view text, std::size_t width) {
    if (display_width(text) <= width) return std::string(text);
    if (width == 0) return {};
    std::string result;
    std::size_t used = 1;  // the ellipsis
    while (!text.empty()) {
        const Character character = decode_first(text);
        used += columns_of(character);
        if (used > width) break;
        result += text.substr(0, character.bytes);
        text.remove_prefix(character.bytes);
    }
    return result + "…";
}

std::string one_line(std::string_view text) {
    std::string result;
    while (!text.empty()) {
        const Character character = decode_first(text);
        if (!character.is_valid || is_control(character.code)) {
            result += '?';
        } else {
            result += text.substr(0, character.bytes);
        }
        text.remove_prefix(character.bytes);
    }
    return result;
}

std::string harmless_line(std::string_view line) {
    std::string result;
    bool has_colour = false;
    while (!line.empty()) {
        if (const std::size_t length = sgr_length(line); length > 0) {
            result += line.substr(0, length);
            line.remove_prefix(length);
            has_colour = true;
            continue;
        }
        const Character character = decode_first(line);
        if (!character.is_valid) {
            append_visible(result, static_cast<unsigned char>(line[0]) | 0x80U);
        } else if (is_control(character.code) && character.code != '\t') {
            append_visible(result, character.code);
        } else {
            result += line.substr(0, character.bytes);
        }
        line.remove_prefix(character.bytes);
    }
    if (has_colour) result += "\x1b[0m";
    return result;
}

}  // namespace cluster::clusterctl
