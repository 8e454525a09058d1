// A lexer that knows strings, comments and brackets of TOML, and what can be said about a broken
// line with it.
#include "conf/syntax.hpp"

#include <algorithm>
#include <array>
#include <cctype>

namespace cluster::conf {
namespace {

bool is_blank(char c) {
    return c == ' ' || c == '\t';
}

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
    while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
    return text;
}

bool starts_with(std::string_view text, std::string_view start) {
    return text.substr(0, start.size()) == start;
}

/// Width of a text in characters; broken bytes count as one each.
std::uint32_t count_columns(std::string_view text) {
    std::uint32_t columns = 0;
    for (; !text.empty(); ++columns) {
        text.remove_prefix(std::max<std::size_t>(utf8_length(text), 1));
    }
    return columns;
}

/// Walks over a text and skips strings and comments, by the rules of TOML.
class Lexer {
public:
    explicit Lexer(std::string_view text) : text_(text) {}

    /// The next character outside strings and comments; nothing at the end.
    std::optional<char> next() {
        while (at_ < text_.size()) {
            const char c = text_[at_];
            if (c == '#') {
                skip_to(text_.find('\n', at_));
            } else if (c == '"' || c == '\'') {
                skip_string(c);
            } else {
                ++at_;
                return c;
            }
        }
        return std::nullopt;
    }

    /// Offset behind the character that next() returned.
    [[nodiscard]] std::size_t offset() const { return at_; }
    /// True when the text ended inside a multi-line string.
    [[nodiscard]] bool is_in_string() const { return is_in_string_; }

private:
    void skip_to(std::size_t offset) { at_ = std::min(offset, text_.size()); }

    void skip_string(char quote) {
        const std::string fence(3, quote);
        if (starts_with(text_.substr(at_), fence)) {
            at_ += 3;
            while (at_ < text_.size() && !starts_with(text_.substr(at_), fence))
                skip_character(quote);
            is_in_string_ = at_ >= text_.size();
            skip_to(at_ + 3);
            // Up to two quotes may stand before the closing fence, and belong to the string.
            while (at_ < text_.size() && text_[at_] == quote) ++at_;
            return;
        }
        ++at_;
        while (at_ < text_.size() && text_[at_] != quote && text_[at_] != '\n')
            skip_character(quote);
        if (at_ < text_.size() && text_[at_] == quote) ++at_;
    }

    void skip_character(char quote) {
        const bool is_escape = quote == '"' && text_[at_] == '\\';
        const bool ends_line = at_ + 1 < text_.size() && text_[at_ + 1] == '\n';
        skip_to(at_ + (is_escape && !ends_line ? 2 : 1));
    }

    std::string_view text_;
    std::size_t at_ = 0;
    bool is_in_string_ = false;
};

/// True when the text starts with a line like `[worker.api]`, which no item of an array looks like.
bool is_table_name(std::string_view text) {
    const std::string_view line = trimmed(text.substr(0, text.find_first_of("#\r\n")));
    if (line.size() < 3 || line.front() != '[' || line.back() != ']') return false;
    const std::string_view name = trimmed(line.substr(line[1] == '[' ? 2 : 1));
    const bool is_letter =
        !name.empty() && std::isalpha(static_cast<unsigned char>(name.front())) != 0;
    constexpr std::string_view kNeverInNames = ",=\"'{";
    return is_letter && name.find_first_of(kNeverInNames) == std::string_view::npos &&
           name != "true]" && name != "false]";
}

/// `key = value` taken apart; both trimmed. The value ends at a comment.
struct Statement {
    std::string_view key;
    std::string_view value;
    std::uint32_t value_column = 1;
};

std::optional<Statement> split_statement(std::string_view line) {
    Lexer lexer(line);
    std::optional<char> c = lexer.next();
    while (c && *c != '=') c = lexer.next();
    if (!c) return std::nullopt;
    Statement statement;
    statement.key = trimmed(line.substr(0, lexer.offset() - 1));
    std::size_t start = lexer.offset();
    while (start < line.size() && is_blank(line[start])) ++start;
    const std::string_view rest = line.substr(start);
    statement.value = trimmed(rest.substr(0, rest.find(" #")));
    statement.value_column = count_columns(line.substr(0, start)) + 1;
    return statement;
}

/// Part after "Error while parsing …: ".
std::string_view reason_of(std::string_view description) {
    constexpr std::string_view kStart = "Error while parsing ";
    if (!starts_with(description, kStart)) return description;
    const std::size_t colon = description.find(": ");
    return colon == std::string_view::npos ? description : description.substr(colon + 2);
}

/// A header without its blanks and comment: `[ worker.web ] # x` → `[worker.web]`.
std::string normal_header(std::string_view line) {
    std::string result;
    for (const char c : line.substr(0, line.find('#'))) {
        if (!is_blank(c)) result += c;
    }
    return result;
}

/// The line (from 1) on which the table or the key of line `number` stood first.
std::optional<std::size_t> first_definition(const std::vector<std::string_view>& lines,
                                            std::size_t number) {
    const std::string_view line = lines[number - 1];
    if (is_header(line)) {
        const std::string header = normal_header(line);
        for (std::size_t i = 1; i < number; ++i) {
            if (is_header(lines[i - 1]) && normal_header(lines[i - 1]) == header) return i;
        }
        return std::nullopt;
    }
    const std::optional<Statement> statement = split_statement(line);
    if (!statement) return std::nullopt;
    for (std::size_t i = number - 1; i >= 1 && !is_header(lines[i - 1]); --i) {
        const std::optional<Statement> other = split_statement(lines[i - 1]);
        if (other && other->key == statement->key) return i;
    }
    return std::nullopt;
}

SyntaxError explain_duplicate(const SyntaxError& error, std::string_view reason,
                              const std::vector<std::string_view>& lines) {
    const std::string_view line = lines[error.at.line - 1];
    const std::optional<std::size_t> first = first_definition(lines, error.at.line);
    if (!first) return {error.at, "this is a second definition: " + std::string(reason)};
    const std::optional<Statement> statement = split_statement(line);
    const bool is_key = !is_header(line) && statement;
    const std::string name = is_key ? in_quotes(statement->key) : normal_header(line);
    const auto indent =
        static_cast<std::uint32_t>(std::min(line.find_first_not_of(" \t"), line.size()));
    return {{error.at.line, indent + 1},
            name + " is defined twice; the first time on line " + std::to_string(*first)};
}

/// Errors of toml++ that mean: this is not a value of TOML at all.
bool is_about_value(std::string_view description) {
    constexpr std::array<std::string_view, 10> kKinds{"value:",
                                                      "boolean:",
                                                      "floating-point:",
                                                      "decimal integer:",
                                                      "hexadecimal integer:",
                                                      "octal integer:",
                                                      "binary integer:",
                                                      "date:",
                                                      "time:",
                                                      "date-time:"};
    constexpr std::string_view kStart = "Error while parsing ";
    if (!starts_with(description, kStart)) return false;
    const std::string_view rest = description.substr(kStart.size());
    return std::any_of(kKinds.begin(), kKinds.end(),
                       [&](std::string_view kind) { return starts_with(rest, kind); });
}

/// `restart = always`, `umask = 022`, `stop_timeout = 10s`: texts without their quotes.
std::optional<SyntaxError> explain_bare_text(const SyntaxError& error, std::string_view line) {
    if (!is_about_value(error.description)) return std::nullopt;
    const std::optional<Statement> statement = split_statement(line);
    if (!statement || statement->value.empty()) return std::nullopt;
    if (error.at.column < statement->value_column) return std::nullopt;
    constexpr std::string_view kNoBareText = "\"'[{";
    if (kNoBareText.find(statement->value.front()) != std::string_view::npos) return std::nullopt;
    if (statement->value.find('"') != std::string_view::npos) return std::nullopt;
    if (statement->value == "True" || statement->value == "False") {
        const bool value = statement->value == "True";
        return SyntaxError{{error.at.line, statement->value_column},
                           in_quotes(statement->value) + " is not a TOML value: write " +
                               (value ? "true" : "false")};
    }
    return SyntaxError{
        {error.at.line, statement->value_column},
        in_quotes(statement->value) + " is not a TOML value (" +
            std::string(reason_of(error.description)) + "); a text stands in quotes: " +
            std::string(statement->key.substr(0, 64)) + " = " + in_quotes(statement->value)};
}

}  // namespace

bool is_header(std::string_view line) {
    return starts_with(trimmed(line), "[");
}

LineRange statement_at(std::string_view text, std::size_t number) {
    Lexer lexer(text);
    LineRange range;
    std::size_t line = 1;
    std::size_t counted = 0;  // offset up to which `line` has counted
    int open = 0;
    while (const std::optional<char> c = lexer.next()) {
        if (*c == '[' || *c == '{') ++open;
        if (*c == ']' || *c == '}') --open;
        if (*c != '\n') continue;
        const std::string_view passed = text.substr(counted, lexer.offset() - counted);
        line += static_cast<std::size_t>(std::count(passed.begin(), passed.end(), '\n'));
        counted = lexer.offset();
        if (open > 0 && !is_table_name(text.substr(counted))) continue;
        range.last = line - 1;
        range.has_end = true;
        if (open > 0 || number <= range.last) return range;
        range.first = line;
        open = 0;
    }
    const auto line_ends = std::count(text.begin(), text.end(), '\n');
    range.last = static_cast<std::size_t>(line_ends) + 1;
    range.has_end = open <= 0 && !lexer.is_in_string();
    return range;
}

std::optional<Position> find_long_key(std::string_view text, std::size_t limit) {
    Lexer lexer(text);
    std::size_t dots = 0;
    while (const std::optional<char> c = lexer.next()) {
        // Only blanks and key characters stand between two dots of one key.
        constexpr std::string_view kEnds = "\n=,[]{}";
        if (*c == '.') ++dots;
        if (kEnds.find(*c) != std::string_view::npos) dots = 0;
        if (dots >= limit) {
            const std::string_view before = text.substr(0, lexer.offset());
            const auto line = std::count(before.begin(), before.end(), '\n') + 1;
            return Position{static_cast<std::uint32_t>(line), 1};
        }
    }
    return std::nullopt;
}

SyntaxError explain(const SyntaxError& error, const std::vector<std::string_view>& lines) {
    const std::string reason(reason_of(error.description));
    if (error.at.line < 1 || error.at.line > lines.size()) return {error.at, reason};
    const std::string_view line = lines[error.at.line - 1];
    if (reason.find("cannot redefine") != std::string::npos ||
        reason.find("into existing inline table") != std::string::npos) {
        return explain_duplicate(error, reason, lines);
    }
    if (std::optional<SyntaxError> bare = explain_bare_text(error, line)) return *bare;
    if (starts_with(error.description, "Error while parsing string: unescaped control") ||
        starts_with(error.description, "Error while parsing literal string: control")) {
        if (error.at.column > count_columns(line))
            return {error.at, "the text has no closing quote"};
    }
    if (starts_with(error.description, "Error while parsing inline table: expected key or") &&
        error.at.column > count_columns(line)) {
        return {error.at,
                "an inline table { … } stands on one line; a longer one is written as a "
                "table of its own, below [worker.NAME.KEY]"};
    }
    std::string message = reason;
    constexpr std::string_view kLineEnd = ", saw '\\n'";  // toml++ writes it as two characters
    const std::size_t at = message.find(kLineEnd);
    if (at != std::string::npos) message.replace(at, kLineEnd.size(), ", but the line ends");
    return {error.at, message};
}

}  // namespace cluster::conf
