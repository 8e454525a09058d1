#include "conf/dotenv.hpp"

#include <algorithm>

namespace cluster::conf {
namespace {

constexpr std::string_view kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_";
constexpr std::string_view kLettersAndDigits =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789";
constexpr std::string_view kBlanks = " \t\r";
/// ${A:-${B:-${C}}} … deeper is a mistake, and it bounds the recursion.
constexpr int kMaxDepth = 8;

using Variables = std::vector<std::pair<std::string, std::string>>;

/// Thrown within this file only.
struct Mistake {
    std::string message;
};

class Parser {
public:
    Parser(std::string_view text, const DotenvLookup& lookup) : text_(text), lookup_(lookup) {}

    void parse() {
        if (text_.substr(0, 3) == "\xEF\xBB\xBF") at_ = 3;
        if (text_.find('\0') != std::string_view::npos) throw Mistake{"a NUL byte"};
        while (at_ < text_.size()) parse_line();
    }

    [[nodiscard]] Variables take() { return std::move(variables_); }

    /// The line that was being read.
    [[nodiscard]] std::uint32_t line() const {
        const auto end = text_.begin() + static_cast<std::ptrdiff_t>(start_);
        return 1 + static_cast<std::uint32_t>(std::count(text_.begin(), end, '\n'));
    }

private:
    [[nodiscard]] bool is_at_end() const { return at_ >= text_.size() || text_[at_] == '\n'; }

    void skip_blanks() {
        while (!is_at_end() && kBlanks.find(text_[at_]) != std::string_view::npos) ++at_;
    }

    void parse_line() {
        start_ = at_;
        skip_blanks();
        if (is_at_end() || text_[at_] == '#') return finish_line();
        std::string name = parse_name();
        if (name == "export" && !is_at_end() && text_[at_] != '=') {
            skip_blanks();
            name = parse_name();
        }
        skip_blanks();
        if (is_at_end() || text_[at_] != '=') {
            throw Mistake{"expected NAME=value; there is no = behind " + name};
        }
        ++at_;
        skip_blanks();
        variables_.emplace_back(name, parse_value());
        finish_line();
    }

    void finish_line() {
        const std::size_t newline = text_.find('\n', at_);
        at_ = newline == std::string_view::npos ? text_.size() : newline + 1;
    }

    std::string parse_name() {
        const std::size_t end =
            std::min(text_.find_first_not_of(kLettersAndDigits, at_), text_.size());
        const std::string_view name = text_.substr(at_, end - at_);
        if (!is_environment_name(name)) {
            throw Mistake{
                "expected NAME=value, where NAME has letters, digits and '_' and does "
                "not start with a digit"};
        }
        at_ = end;
        return std::string(name);
    }

    std::string parse_value() {
        if (is_at_end()) return {};
        const char quote = text_[at_];
        if (quote != '\'' && quote != '"') return parse_unquoted();
        ++at_;
        std::string value = quote == '"' ? parse_double_quoted() : parse_single_quoted();
        skip_blanks();
        const bool is_comment =
            !is_at_end() && text_[at_] == '#' && kBlanks.find(text_[at_ - 1]) != std::string::npos;
        if (!is_at_end() && !is_comment) throw Mistake{"something stands behind the closing quote"};
        return value;
    }

    std::string parse_unquoted() {
        const std::size_t end = std::min(text_.find('\n', at_), text_.size());
        std::string_view raw = text_.substr(at_, end - at_);
        at_ = end;
        for (std::size_t i = 0; i < raw.size(); ++i) {
            const bool is_first = i == 0 || kBlanks.find(raw[i - 1]) != std::string_view::npos;
            if (raw[i] == '#' && is_first) raw = raw.substr(0, i);
        }
        const std::size_t last = raw.find_last_not_of(kBlanks);
        return expand(last == std::string_view::npos ? "" : raw.substr(0, last + 1), false, 0);
    }

    std::string parse_single_quoted() {
        const std::size_t end = text_.find('\'', at_);
        if (end == std::string_view::npos) throw Mistake{"the ' is never closed"};
        const std::string_view raw = text_.substr(at_, end - at_);
        at_ = end + 1;
        return std::string(raw);
    }

    std::string parse_double_quoted() {
        std::size_t end = at_;
        while (end < text_.size() && text_[end] != '"') end += text_[end] == '\\' ? 2 : 1;
        if (end >= text_.size()) throw Mistake{"the \" is never closed"};
        const std::string_view raw = text_.substr(at_, end - at_);
        at_ = end + 1;
        return expand(raw, true, 0);
    }

    /// Escapes (all of them only between double quotes) and variables.
    std::string expand(std::string_view raw, bool is_quoted, int depth) {
        if (depth > kMaxDepth) throw Mistake{"${…} is nested too deeply"};
        std::string value;
        for (std::size_t i = 0; i < raw.size();) {
            const char next = i + 1 < raw.size() ? raw[i + 1] : '\0';
            if (raw[i] == '\\' && lookup_ && next == '$') {
                value += '$';
                i += 2;
            } else if (raw[i] == '\\' && is_quoted && escaped(next)) {
                value += *escaped(next);
                i += 2;
            } else if (raw[i] == '$' && lookup_) {
                i += expand_variable(raw.substr(i), value, is_quoted, depth);
            } else {
                value += raw[i++];
            }
        }
        return value;
    }

    static std::optional<char> escaped(char letter) {
        switch (letter) {
            case 'n':
                return '\n';
            case 'r':
                return '\r';
            case 't':
                return '\t';
            case '\\':
            case '"':
                return letter;
            default:
                return std::nullopt;
        }
    }

    /// `raw` starts with '$'. Appends what it stands for and returns how many bytes that was.
    std::size_t expand_variable(std::string_view raw, std::string& value, bool is_quoted,
                                int depth) {
        const bool is_braced = raw.size() > 1 && raw[1] == '{';
        const std::size_t begin = is_braced ? 2 : 1;
        const std::size_t end =
            std::min(raw.find_first_not_of(kLettersAndDigits, begin), raw.size());
        const std::string_view name = raw.substr(begin, end - begin);
        if (!is_braced) {
            if (!is_environment_name(name)) {
                value += '$';
                return 1;
            }
            value += value_of(name).value_or("");
            return end;
        }
        const std::size_t close = closing_brace(raw);
        if (!is_environment_name(name)) throw Mistake{"${ needs the name of a variable"};
        std::string_view rest = raw.substr(end, close - end);
        const std::optional<std::string> known = value_of(name);
        const bool counts_empty = rest.substr(0, 1) == ":";
        if (counts_empty) rest.remove_prefix(1);
        if (!rest.empty() && rest.front() != '-') {
            throw Mistake{"expected ${" + std::string(name) + "} or ${" + std::string(name) +
                          ":-default}"};
        }
        if (rest.empty() && counts_empty) throw Mistake{"expected a - behind the : in ${…}"};
        const bool takes_default = !known || (counts_empty && known->empty());
        value += !takes_default || rest.empty() ? known.value_or("")
                                                : expand(rest.substr(1), is_quoted, depth + 1);
        return close + 1;
    }

    static std::size_t closing_brace(std::string_view raw) {
        int open = 0;
        for (std::size_t i = 1; i < raw.size(); ++i) {
            if (raw[i] == '{') ++open;
            if (raw[i] == '}' && --open == 0) return i;
        }
        throw Mistake{"${ is never closed"};
    }

    [[nodiscard]] std::optional<std::string> value_of(std::string_view name) const {
        for (auto it = variables_.rbegin(); it != variables_.rend(); ++it) {
            if (it->first == name) return it->second;
        }
        return lookup_(name);
    }

    std::string_view text_;
    const DotenvLookup& lookup_;
    Variables variables_;
    std::size_t at_ = 0;
    std::size_t start_ = 0;  // of the line that is being read
};

}  // namespace

tl::expected<Variables, DotenvError> parse_dotenv(std::string_view text,
                                                  const DotenvLookup& lookup) {
    Parser parser(text, lookup);
    try {
        parser.parse();
    } catch (const Mistake& mistake) {
        return tl::make_unexpected(DotenvError{parser.line(), mistake.message});
    }
    return parser.take();
}

bool is_environment_name(std::string_view name) {
    return !name.empty() && kLetters.find(name.front()) != std::string_view::npos &&
           name.find_first_not_of(kLettersAndDigits) == std::string_view::npos;
}

bool is_reserved_environment_name(std::string_view name) {
    for (const std::string_view start : {"CLUSTER_", "LISTEN_", "NODE_CHANNEL_", "WATCHDOG_"}) {
        if (name.substr(0, start.size()) == start) return true;
    }
    return name == "NOTIFY_SOCKET" || name == "NODE_APP_INSTANCE" || name == "NODE_UNIQUE_ID";
}

}  // namespace cluster::conf
