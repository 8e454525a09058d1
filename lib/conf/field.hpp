// One value of the config on its way to a typed one: each reader gives the value, or reports what
// was expected.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/time.hpp"
#include "conf/document.hpp"
#include "conf/report.hpp"

namespace cluster::conf {

/// No duration in a config may be longer; it keeps sums of deadlines far from the end of the clock.
inline constexpr Duration kMaxDuration = std::chrono::hours{24 * 365};

/// A key with its value, and with the dotted path that messages name it by. Borrows the document
/// and the report.
class Field {
public:
    Field(const Member& member, std::string path, Report& report)
        : member_(&member), path_(std::move(path)), report_(&report) {}

    [[nodiscard]] const std::string& key() const { return member_->key; }
    [[nodiscard]] Position key_at() const { return member_->at; }
    [[nodiscard]] const Node& value() const { return member_->value; }
    [[nodiscard]] const std::string& path() const { return path_; }
    [[nodiscard]] Report& report() const { return *report_; }
    [[nodiscard]] bool is(Node::Kind kind) const { return member_->value.kind == kind; }

    /// A member of this table.
    [[nodiscard]] Field inner(const Member& member) const;

    /// "path: message", at the value; tables of their own ([worker.x.env]) at the key.
    void refuse(const std::string& message) const;
    void refuse_at(Position at, const std::string& message) const;
    /// "path: expected WHAT; got VALUE".
    void refuse_type(std::string_view expected) const;

private:
    const Member* member_;
    std::string path_;
    Report* report_;
};

/// `table`: what the key stands in, "" for the top level of the file. `hint` ends the message.
void refuse_unknown(const Field& field, std::string_view table,
                    const std::vector<std::string_view>& names, const std::string& hint = "");

[[nodiscard]] bool require_table(const Field& field, std::string_view example);
/// Text without NUL bytes and not empty.
[[nodiscard]] std::optional<std::string> read_text(const Field& field, std::string_view expected);
[[nodiscard]] std::optional<bool> read_flag(const Field& field);
/// Bounds: low … high, both included.
[[nodiscard]] std::optional<std::int64_t> read_integer(const Field& field, std::int64_t low,
                                                       std::int64_t high);
/// An octal number in quotes, "0" to "0777"; `example` stands in the message.
[[nodiscard]] std::optional<std::uint32_t> read_octal(const Field& field, std::string_view example);
/// An integer or a float; never NaN or infinity.
[[nodiscard]] std::optional<double> read_number(const Field& field, double low, double high);
/// Bounds: low … kMaxDuration.
[[nodiscard]] std::optional<Duration> read_duration(const Field& field, Duration low = Duration{0});

template <class Enum>
struct Choice {
    std::string_view name;
    Enum value;
};

/// Index into names, or nothing after a report.
[[nodiscard]] std::optional<std::size_t> read_name(const Field& field,
                                                   const std::vector<std::string_view>& names);

template <class Enum, std::size_t N>
[[nodiscard]] std::optional<Enum> read_choice(const Field& field,
                                              const Choice<Enum> (&choices)[N]) {
    std::vector<std::string_view> names;
    for (const Choice<Enum>& choice : choices) names.push_back(choice.name);
    const std::optional<std::size_t> index = read_name(field, names);
    if (!index) return std::nullopt;
    return choices[*index].value;
}

}  // namespace cluster::conf
