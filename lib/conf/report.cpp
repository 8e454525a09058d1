// Diagnostics as they are collected and as they are shown. Whatever comes from the file is made
// harmless here, once.
#include "conf/report.hpp"

#include <algorithm>
#include <utility>

namespace cluster::conf {
namespace {

/// A file that is not a config at all must not flood the terminal or the memory.
constexpr std::size_t kMaxDiagnostics = 1000;
constexpr std::size_t kMaxShown = 500;      // bytes
constexpr std::size_t kMaxQuotedText = 60;  // bytes

unsigned byte_at(std::string_view text, std::size_t index) {
    return static_cast<unsigned char>(text[index]);
}

bool is_control(std::string_view character) {
    const unsigned first = byte_at(character, 0);
    // U+0080 … U+009F are controls too: some terminals obey them.
    return first < 0x20 || first == 0x7F || (first == 0xC2 && byte_at(character, 1) < 0xA0);
}

std::string hex_escape(std::string_view bytes) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::string result;
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        result += "\\x";
        result += kDigits[byte_at(bytes, i) >> 4U];
        result += kDigits[byte_at(bytes, i) & 15U];
    }
    return result;
}

/// Harmless and of bounded length; one character per column of the original, so that a caret still
/// finds its place.
std::string displayable(std::string_view line) {
    std::string result;
    while (!line.empty()) {
        if (result.size() >= kMaxShown) return result + "…";
        const std::size_t length = std::max<std::size_t>(utf8_length(line), 1);
        const std::string_view character = line.substr(0, length);
        if (character == "\t") {
            result += '\t';
        } else if (utf8_length(line) == 0 || is_control(character)) {
            result += '?';
        } else {
            result += character;
        }
        line.remove_prefix(length);
    }
    return result;
}

/// Blanks as wide as the first `column - 1` characters of `line`. What is missing stands behind the
/// line's end.
std::string caret_padding(std::string_view line, std::uint32_t column) {
    std::string padding;
    for (std::uint32_t i = 1; i < column; ++i) {
        padding += !line.empty() && line.front() == '\t' ? '\t' : ' ';
        if (!line.empty()) line.remove_prefix(std::max<std::size_t>(utf8_length(line), 1));
    }
    return padding;
}

}  // namespace

std::size_t utf8_length(std::string_view text) {
    const unsigned first = byte_at(text, 0);
    if (first < 0x80) return 1;
    std::size_t length = 0;
    unsigned low = 0x80;  // bounds of the second byte
    unsigned high = 0xBF;
    if (first >= 0xC2 && first <= 0xDF) {
        length = 2;
    } else if (first >= 0xE0 && first <= 0xEF) {
        length = 3;
        if (first == 0xE0) low = 0xA0;
        if (first == 0xED) high = 0x9F;
    } else if (first >= 0xF0 && first <= 0xF4) {
        length = 4;
        if (first == 0xF0) low = 0x90;
        if (first == 0xF4) high = 0x8F;
    } else {
        return 0;
    }
    if (text.size() < length) return 0;
    if (byte_at(text, 1) < low || byte_at(text, 1) > high) return 0;
    for (std::size_t i = 2; i < length; ++i) {
        if ((byte_at(text, i) & 0xC0U) != 0x80U) return 0;
    }
    return length;
}

std::string in_quotes(std::string_view text) {
    std::string result = "\"";
    while (!text.empty()) {
        if (result.size() > kMaxQuotedText) return result + "…\"";
        const std::size_t length = utf8_length(text);
        const std::string_view character = text.substr(0, std::max<std::size_t>(length, 1));
        if (character == "\n") {
            result += "\\n";
        } else if (character == "\t") {
            result += "\\t";
        } else if (length == 0 || is_control(character)) {
            result += hex_escape(character);
        } else {
            result += character;
        }
        text.remove_prefix(character.size());
    }
    return result + "\"";
}

std::vector<std::string_view> split_lines(std::string_view text) {
    std::vector<std::string_view> lines;
    while (true) {
        const std::size_t end = text.find('\n');
        std::string_view line = text.substr(0, end);
        if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
        lines.push_back(line);
        if (end == std::string_view::npos) return lines;
        text.remove_prefix(end + 1);
    }
}

Report::Report(std::string_view text, std::string path)
    : path_(std::move(path)), lines_(split_lines(text)) {}

void Report::add(Position at, const std::string& message) {
    if (diagnostics_.size() >= kMaxDiagnostics) {
        ++dropped_;
        return;
    }
    // The parser quotes the text as it is.
    Diagnostic diagnostic{path_, at.line, at.column, displayable(message), {}};
    if (at.line >= 1 && at.line <= lines_.size()) {
        diagnostic.source_line = displayable(lines_[at.line - 1]);
    }
    diagnostics_.push_back(std::move(diagnostic));
}

void Report::note_table(std::string_view path, const std::vector<std::string_view>& keys) {
    tables_.push_back({std::string(path), {keys.begin(), keys.end()}});
}

std::vector<Diagnostic> Report::take_sorted() {
    std::stable_sort(diagnostics_.begin(), diagnostics_.end(),
                     [](const Diagnostic& a, const Diagnostic& b) {
                         return std::pair(a.line, a.column) < std::pair(b.line, b.column);
                     });
    if (dropped_ != 0) {
        const auto last = static_cast<std::uint32_t>(lines_.size());
        diagnostics_.push_back(
            {path_, last, 1, "and " + std::to_string(dropped_) + " more that are not shown", {}});
    }
    return std::move(diagnostics_);
}

std::string format(const Diagnostic& diagnostic) {
    const std::string number = std::to_string(diagnostic.line);
    std::string text = diagnostic.file + ":" + number + ":" + std::to_string(diagnostic.column) +
                       ": error: " + diagnostic.message + "\n";
    if (diagnostic.source_line.empty()) return text;
    const std::size_t gutter = std::max<std::size_t>(number.size(), 4);
    text += std::string(gutter - number.size() + 1, ' ') + number + " | " + diagnostic.source_line +
            "\n";
    // Behind the cut of an over-long line there is no place to point at.
    if (diagnostic.column > kMaxShown) return text;
    text += std::string(gutter + 1, ' ') + " | " +
            caret_padding(diagnostic.source_line, diagnostic.column) + "^\n";
    return text;
}

std::string format(const std::vector<Diagnostic>& diagnostics) {
    std::string text;
    for (const Diagnostic& diagnostic : diagnostics) text += format(diagnostic);
    text +=
        std::to_string(diagnostics.size()) + (diagnostics.size() == 1 ? " error\n" : " errors\n");
    return text;
}

}  // namespace cluster::conf
