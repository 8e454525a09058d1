// Readers of single values, and the words of their messages: path, what was expected, what stands
// there.
#include "conf/field.hpp"

#include "conf/nearest.hpp"
#include "conf/values.hpp"

namespace cluster::conf {
namespace {

/// Keys that need quotes in TOML are shown in quotes.
std::string shown_key(std::string_view key) {
    constexpr std::string_view kBare =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
    const bool is_bare =
        !key.empty() && key.size() <= 64 && key.find_first_not_of(kBare) == std::string_view::npos;
    return is_bare ? std::string(key) : in_quotes(key);
}

std::string shown_number(double number) {
    Node node;
    node.kind = Node::Kind::real;
    node.real = number;
    return describe(node);
}

std::string list_of(const std::vector<std::string_view>& names) {
    std::string list;
    for (std::size_t i = 0; i < names.size(); ++i) {
        if (i != 0) list += i + 1 == names.size() ? " or " : ", ";
        list += in_quotes(names[i]);
    }
    return list;
}

}  // namespace

Field Field::inner(const Member& member) const {
    const std::string key = shown_key(member.key);
    return {member, path_.empty() ? key : path_ + "." + key, *report_};
}

void Field::refuse(const std::string& message) const {
    const bool is_table = is(Node::Kind::table);
    refuse_at(is_table ? member_->at : member_->value.at, message);
}

void Field::refuse_at(Position at, const std::string& message) const {
    report_->add(at, path_ + ": " + message);
}

void Field::refuse_type(std::string_view expected) const {
    refuse("expected " + std::string(expected) + "; got " + describe(value()));
}

void refuse_unknown(const Field& field, std::string_view table,
                    const std::vector<std::string_view>& names, const std::string& hint) {
    std::string message = table.empty() ? "unknown name " : "unknown key ";
    message += in_quotes(field.key());
    if (!table.empty()) message += " in [" + std::string(table) + "]";
    message += suggestion(field.key(), names) + hint;
    field.report().add(field.key_at(), message);
    field.report().note_table(table, names);
}

bool require_table(const Field& field, std::string_view example) {
    if (field.is(Node::Kind::table)) return true;
    field.refuse("expected a table, as in " + std::string(example) + "; got " +
                 describe(field.value()));
    return false;
}

std::optional<std::string> read_text(const Field& field, std::string_view expected) {
    if (!field.is(Node::Kind::string)) {
        field.refuse_type(expected);
        return std::nullopt;
    }
    const std::string& text = field.value().text;
    if (text.find('\0') != std::string::npos) {
        field.refuse(in_quotes(text) + " has a NUL byte");
        return std::nullopt;
    }
    if (text.empty()) {
        field.refuse("is empty; expected " + std::string(expected));
        return std::nullopt;
    }
    return text;
}

std::optional<bool> read_flag(const Field& field) {
    if (field.is(Node::Kind::boolean)) return field.value().boolean;
    field.refuse_type("true or false, without quotes");
    return std::nullopt;
}

std::optional<std::int64_t> read_integer(const Field& field, std::int64_t low, std::int64_t high) {
    if (field.is(Node::Kind::integer) && field.value().integer >= low &&
        field.value().integer <= high) {
        return field.value().integer;
    }
    field.refuse_type("an integer from " + std::to_string(low) + " to " + std::to_string(high));
    return std::nullopt;
}

std::optional<std::uint32_t> read_octal(const Field& field, std::string_view example) {
    const std::string expected =
        "an octal number in quotes, \"0\" to \"0777\", such as " + in_quotes(example);
    const std::string& text = field.value().text;
    std::uint32_t number = 0;
    bool is_octal = field.is(Node::Kind::string) && !text.empty() && text.size() <= 4;
    for (const char c : text) {
        is_octal = is_octal && c >= '0' && c <= '7';
        if (is_octal) number = number * 8 + static_cast<std::uint32_t>(c - '0');
    }
    if (is_octal && number <= 0777) return number;
    field.refuse_type(expected);
    return std::nullopt;
}

std::optional<double> read_number(const Field& field, double low, double high) {
    std::optional<double> number;
    if (field.is(Node::Kind::integer)) number = static_cast<double>(field.value().integer);
    if (field.is(Node::Kind::real)) number = field.value().real;
    if (number && *number >= low && *number <= high) return number;  // false for NaN
    field.refuse_type("a number from " + shown_number(low) + " to " + shown_number(high));
    return std::nullopt;
}

std::optional<Duration> read_duration(const Field& field, Duration low) {
    if (field.is(Node::Kind::integer) || field.is(Node::Kind::real)) {
        const std::string number = describe(field.value());
        field.refuse(number + " has no unit: write " + in_quotes(number + "s") +
                     ", or another of us, ms, s, m, h, d");
        return std::nullopt;
    }
    if (!field.is(Node::Kind::string)) {
        field.refuse_type("a duration such as \"10s\"");
        return std::nullopt;
    }
    const tl::expected<Duration, std::string> duration = parse_duration(field.value().text);
    if (!duration) {
        field.refuse(duration.error());
        return std::nullopt;
    }
    if (*duration < low || *duration > kMaxDuration) {
        field.refuse_type("a duration from " + in_quotes(format_duration(low)) + " to " +
                          in_quotes(format_duration(kMaxDuration)));
        return std::nullopt;
    }
    return *duration;
}

std::optional<std::size_t> read_name(const Field& field,
                                     const std::vector<std::string_view>& names) {
    const std::string expected = list_of(names);
    if (!field.is(Node::Kind::string)) {
        field.refuse_type(expected);
        return std::nullopt;
    }
    for (std::size_t i = 0; i < names.size(); ++i) {
        if (names[i] == field.value().text) return i;
    }
    field.refuse("expected " + expected + "; got " + in_quotes(field.value().text) +
                 suggestion(field.value().text, names));
    return std::nullopt;
}

}  // namespace cluster::conf
