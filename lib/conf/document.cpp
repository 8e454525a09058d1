// toml++ in, plain nodes out; and the loop that goes on behind broken statements.
#include "conf/document.hpp"

// Its assertions hold for documents, not for broken ones: "[#" trips one of them a line before it is
// reported as the error that it is. A builder's NDEBUG must not decide what a mistake does.
#define TOML_ASSERT(expr) static_assert(true)
#include <toml++/toml.h>

#include <algorithm>
#include <locale>
#include <optional>
#include <sstream>
#include <utility>

#include "conf/syntax.hpp"

namespace cluster::conf {
namespace {

constexpr int kMaxSyntaxErrors = 20;
constexpr std::size_t kMaxKeyParts = 32;
/// No valid key is deeper than five levels; a bound keeps the recursion below short.
constexpr int kMaxDepth = 32;
/// Stands for a table whose header could not be read. Its keys must not fall into the table before
/// it.
constexpr std::string_view kBrokenHeader = "clusterd: unreadable header ";

Position to_position(const toml::source_position& at) {
    return {at.line, at.column};
}

Node to_node(const toml::node& from, int depth);

void add_members(Node& node, const toml::table& table, int depth) {
    for (const auto& [key, value] : table) {
        if (key.str().substr(0, kBrokenHeader.size()) == kBrokenHeader) continue;
        node.members.push_back(
            {std::string(key.str()), to_position(key.source().begin), to_node(value, depth + 1)});
    }
    // toml++ keeps keys in alphabetical order.
    std::stable_sort(
        node.members.begin(), node.members.end(), [](const Member& a, const Member& b) {
            return std::pair(a.at.line, a.at.column) < std::pair(b.at.line, b.at.column);
        });
}

Node to_node(const toml::node& from, int depth) {
    Node node;
    node.at = to_position(from.source().begin);
    if (depth > kMaxDepth) return node;
    if (const auto* text = from.as_string()) {
        node.kind = Node::Kind::string;
        node.text = text->get();
    } else if (const auto* integer = from.as_integer()) {
        node.kind = Node::Kind::integer;
        node.integer = integer->get();
    } else if (const auto* real = from.as_floating_point()) {
        node.kind = Node::Kind::real;
        node.real = real->get();
    } else if (const auto* boolean = from.as_boolean()) {
        node.kind = Node::Kind::boolean;
        node.boolean = boolean->get();
    } else if (const auto* array = from.as_array()) {
        node.kind = Node::Kind::array;
        for (const toml::node& item : *array) node.items.push_back(to_node(item, depth + 1));
    } else if (const auto* table = from.as_table()) {
        add_members(node, *table, depth);
    } else {
        node.kind = Node::Kind::time;
        std::ostringstream written;
        from.visit([&](const auto& value) {
            if constexpr (toml::is_chronological<decltype(value)>) written << value.get();
        });
        node.text = written.str();
    }
    return node;
}

struct Attempt {
    std::optional<Node> root;
    SyntaxError error;
};

Attempt try_parse(std::string_view text) {
    if (const std::optional<Position> at = find_long_key(text, kMaxKeyParts)) {
        return {std::nullopt,
                {*at, "a key has more than " + std::to_string(kMaxKeyParts) + " dotted parts"}};
    }
    try {
        const toml::table table = toml::parse(text);
        return {to_node(table, 0), {}};
    } catch (const toml::parse_error& error) {
        return {std::nullopt,
                {to_position(error.source().begin), std::string(error.description())}};
    }
}

/// The text as lines that can be taken out one by one.
class Draft {
public:
    explicit Draft(std::string_view text) {
        for (const std::string_view line : split_lines(text)) lines_.emplace_back(line);
    }

    [[nodiscard]] std::size_t size() const { return lines_.size(); }
    [[nodiscard]] const std::string& line(std::size_t number) const { return lines_[number - 1]; }
    void replace(std::size_t number, std::string line) { lines_[number - 1] = std::move(line); }

    /// Lines 1 … count.
    [[nodiscard]] std::string first(std::size_t count) const {
        std::string text;
        for (std::size_t i = 0; i < count; ++i) text.append(lines_[i]).append("\n");
        return text;
    }

    [[nodiscard]] std::vector<std::string_view> views() const {
        return {lines_.begin(), lines_.end()};
    }

private:
    std::vector<std::string> lines_;
};

/// Replaces what is not UTF-8 and says so: toml++ decodes in blocks and would name a place before
/// the byte.
bool repair_encoding(Draft& draft, Report& report) {
    int errors = 0;
    for (std::size_t number = 1; number <= draft.size(); ++number) {
        std::string line = draft.line(number);
        std::uint32_t column = 1;
        bool is_broken = false;
        for (std::size_t i = 0; i < line.size(); ++column) {
            const std::size_t length = utf8_length(std::string_view(line).substr(i));
            if (length == 0) {
                if (!is_broken && errors++ < kMaxSyntaxErrors) {
                    report.add({static_cast<std::uint32_t>(number), column},
                               "this byte, " + in_quotes(line.substr(i, 1)) +
                                   ", is not UTF-8 text; save the file as UTF-8");
                }
                is_broken = true;
                line[i] = '?';
            }
            i += std::max<std::size_t>(length, 1);
        }
        if (is_broken) draft.replace(number, std::move(line));
    }
    return errors != 0;
}

/// An error that shows only behind the statement, or at the end of the text, is shown where the
/// statement begins.
SyntaxError at_its_begin(const SyntaxError& shown, const LineRange& statement) {
    const bool is_behind = shown.at.line > (statement.has_end ? statement.last : statement.first);
    if (!is_behind && shown.description != "encountered end-of-file") return shown;
    return {{static_cast<std::uint32_t>(statement.first), 1},
            "what begins on this line is never closed"};
}

/// The lines before a statement that has no end; the message tells what was lost.
Node read_before(const Draft& draft, const LineRange& statement, SyntaxError& shown) {
    const std::size_t count = statement.first - 1;
    Attempt attempt = try_parse(draft.first(count));
    if (!attempt.root || count == 0) {
        shown.description += "; nothing else was read";
        return {};
    }
    shown.description += "; nothing behind line " + std::to_string(count) + " was read";
    return std::move(*attempt.root);
}

/// Puts something in the place of the broken statement that leaves all other lines where they are.
void take_out(Draft& draft, const LineRange& statement, SyntaxError& shown) {
    if (is_header(draft.line(statement.first))) {
        shown.description += "; the keys of this table were not checked";
        draft.replace(statement.first,
                      "[\"" + std::string(kBrokenHeader) + std::to_string(statement.first) + "\"]");
        return;
    }
    for (std::size_t i = statement.first; i <= statement.last; ++i) draft.replace(i, "");
}

}  // namespace

Document parse_document(std::string_view text, Report& report) {
    Draft draft(text);
    Document document;
    document.is_complete = !repair_encoding(draft, report);
    for (int errors = 1;; ++errors) {
        const std::string current = draft.first(draft.size());
        Attempt attempt = try_parse(current);
        if (attempt.root) {
            document.root = std::move(*attempt.root);
            return document;
        }
        document.is_complete = false;
        SyntaxError shown = explain(attempt.error, draft.views());
        LineRange statement = statement_at(current, attempt.error.at.line);
        if (statement.first <= draft.size() && is_header(draft.line(statement.first))) {
            statement.last = statement.first;  // a header never goes on in the next line
            statement.has_end = true;
        }
        shown = at_its_begin(shown, statement);
        const bool can_go_on =
            errors < kMaxSyntaxErrors && statement.has_end && statement.last <= draft.size();
        if (can_go_on) {
            take_out(draft, statement, shown);
        } else {
            document.root = read_before(draft, statement, shown);
        }
        report.add(shown.at, shown.description);
        if (!can_go_on) return document;
    }
}

std::string describe(const Node& node) {
    switch (node.kind) {
        case Node::Kind::table:
            return "a table";
        case Node::Kind::array:
            return "an array";
        case Node::Kind::string:
            return in_quotes(node.text);
        case Node::Kind::integer:
            return std::to_string(node.integer);
        case Node::Kind::boolean:
            return node.boolean ? "true" : "false";
        case Node::Kind::time:
            return node.text;
        case Node::Kind::real:
            break;
    }
    std::ostringstream text;
    text.imbue(std::locale::classic());
    text << node.real;
    return text.str();
}

}  // namespace cluster::conf
