// Collects what is wrong with one text, and shows pieces of it safely.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "conf/load.hpp"

namespace cluster::conf {

/// A place in the text. Both from 1; columns count code points.
struct Position {
    std::uint32_t line = 1;
    std::uint32_t column = 1;

    friend bool operator==(const Position&, const Position&) = default;
};

/// The text in double quotes, control characters and broken UTF-8 as \xNN, cut to about 60 bytes.
[[nodiscard]] std::string in_quotes(std::string_view text);

/// Bytes of the UTF-8 sequence at the start of `text`, or 0 when there is no valid one. Requires:
/// not empty. Source: RFC 3629, section 4 (overlong forms and surrogates are invalid).
[[nodiscard]] std::size_t utf8_length(std::string_view text);

/// The lines of a text without their ends (LF or CRLF). Borrows the text.
[[nodiscard]] std::vector<std::string_view> split_lines(std::string_view text);

class Report {
public:
    /// Borrows `text` until take_sorted.
    Report(std::string_view text, std::string path);

    /// Control characters in the message are replaced; it is cut after 500 bytes.
    void add(Position at, const std::string& message);
    [[nodiscard]] bool is_empty() const { return diagnostics_.empty(); }
    /// By line and column; of two at the same place the one added first comes first.
    [[nodiscard]] std::vector<Diagnostic> take_sorted();

    /// A table in which an unknown key stood, by its dotted path, with the keys that it may have.
    struct Table {
        std::string path;
        std::vector<std::string> keys;
    };
    void note_table(std::string_view path, const std::vector<std::string_view>& keys);
    [[nodiscard]] const std::vector<Table>& tables() const { return tables_; }

private:
    std::string path_;
    std::vector<std::string_view> lines_;
    std::vector<Diagnostic> diagnostics_;
    std::vector<Table> tables_;
    std::size_t dropped_ = 0;
};

}  // namespace cluster::conf
