#include "channel/rules.hpp"

#include <algorithm>
#include <variant>

#include "base/overloaded.hpp"

namespace cluster::channel {
namespace {

bool is_equal(const core::ChannelRule::Scalar& wanted, const JsonValue& value) {
    return std::visit(
        Overloaded{[&](const std::string& text) {
                       if (!value.is_string() || value.text.size() < text.size() + 2) return false;
                       const std::string_view inside = value.text.substr(1, value.text.size() - 2);
                       return inside == text || (inside.find('\\') != std::string_view::npos &&
                                                 string_of(value) == text);
                   },
                   [&](std::int64_t number) {
                       if (const auto integer = integer_of(value)) return *integer == number;
                       return number_of(value) == static_cast<double>(number);
                   },
                   [&](double number) { return number_of(value) == number; },
                   [&](bool flag) { return boolean_of(value) == flag; }},
        wanted);
}

}  // namespace

bool matches(const core::ChannelRule& rule, const Json& message) {
    if (message.root().type != JsonType::object) return false;
    return std::all_of(rule.match.begin(), rule.match.end(), [&](const auto& field) {
        const JsonValue* value = message.find(field.first);
        return value != nullptr && is_equal(field.second, *value);
    });
}

std::optional<std::int64_t> amount_of(const core::ChannelRule& rule, const Json& message) {
    if (rule.by.empty()) return 1;
    const JsonValue* value = message.find(rule.by);
    return value == nullptr ? std::nullopt : integer_of(*value);
}

std::optional<Addition> addition_by(const std::vector<core::ChannelRule>& rules,
                                    const Json& message) {
    const core::ChannelRule* only = nullptr;
    for (const core::ChannelRule& rule : rules) {
        if (!matches(rule, message)) continue;
        if (only != nullptr || rule.incr.empty() || !rule.broadcast.empty()) return std::nullopt;
        only = &rule;
    }
    const auto amount = only == nullptr ? std::nullopt : amount_of(*only, message);
    if (!amount) return std::nullopt;
    return Addition{.key = only->incr, .by = *amount};
}

bool Addition::add(const Addition& more) {
    if (key != more.key || (by < 0) != (more.by < 0)) return false;
    std::int64_t sum = 0;
    if (__builtin_add_overflow(by, more.by, &sum)) return false;
    by = sum;
    return true;
}

std::string_view missing_field(const core::ChannelRule& rule, const Json& message) {
    if (!rule.incr.empty() && !amount_of(rule, message)) return rule.by;
    if (!rule.set.empty() && message.find(rule.value) == nullptr) return rule.value;
    return {};
}

}  // namespace cluster::channel
