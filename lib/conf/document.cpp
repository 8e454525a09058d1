#include "conf/document.hpp"

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
/// How far before an error the statement that it belongs to is looked for. Unit: lines.
constexpr std::size_t kMaxBackSteps = 200;
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

/// The longest readable text before the error; the message tells what was lost.
Node read_up_to(const Draft& draft, std::size_t error_line, SyntaxError& shown) {
    std::size_t count = std::min(error_line, draft.size() + 1) - 1;
    for (std::size_t step = 0; step < kMaxBackSteps && count > 0; ++step, --count) {
        Attempt attempt = try_parse(draft.first(count));
        if (!attempt.root) continue;
        if (shown.description == "encountered end-of-file") {
            shown = {{static_cast<std::uint32_t>(count + 1), 1},
                     "what begins on this line has no end before the end of the file"};
        }
        shown.description += "; nothing behind line " + std::to_string(count) + " was read";
        return std::move(*attempt.root);
    }
    shown.description += "; nothing else was read";
    return {};
}

}  // namespace

Document parse_document(std::string_view text, Report& report) {
    Draft draft(text);
    Document document;
    document.is_complete = !repair_encoding(draft, report);
    for (int errors = 1;; ++errors) {
        Attempt attempt = try_parse(draft.first(draft.size()));
        if (attempt.root) {
            document.root = std::move(*attempt.root);
            return document;
        }
        document.is_complete = false;
        SyntaxError shown = explain(attempt.error, draft.views());
        const std::size_t number = attempt.error.at.line;
        // Only a statement of one line can be taken out without changing what the others mean.
        const bool can_go_on = errors < kMaxSyntaxErrors && number >= 1 && number <= draft.size() &&
                               (is_header(draft.line(number)) || is_closed(draft.line(number))) &&
                               (number == 1 || try_parse(draft.first(number - 1)).root);
        if (!can_go_on) {
            document.root = read_up_to(draft, number, shown);
            report.add(shown.at, shown.description);
            return document;
        }
        if (is_header(draft.line(number))) {
            shown.description += "; the keys of this table were not checked";
            draft.replace(number,
                          "[\"" + std::string(kBrokenHeader) + std::to_string(number) + "\"]");
        } else {
            draft.replace(number, "");
        }
        report.add(shown.at, shown.description);
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
