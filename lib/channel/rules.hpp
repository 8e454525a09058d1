// The rules of [[channel.rule]]: what an application message sets off without a change to the
// program that sends it. Pure: a message in, a decision out.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "channel/json.hpp"
#include "core/spec.hpp"

namespace cluster::channel {

/// True when all fields that the rule names are there and equal. Numbers are equal by value.
[[nodiscard]] bool matches(const core::ChannelRule& rule, const Json& message);

/// How much an incr adds. Nothing: the field that it names is not there, or no whole number.
[[nodiscard]] std::optional<std::int64_t> amount_of(const core::ChannelRule& rule,
                                                    const Json& message);

/// A field that a rule needs and a message does not have; empty: they are all there.
[[nodiscard]] std::string_view missing_field(const core::ChannelRule& rule, const Json& message);

/// A number that is added to a key of the store.
struct Addition {
    std::string_view key;
    std::int64_t by = 0;

    /// Makes two into one that does the same. False: they cannot be (another key, the other sign, a
    /// sum out of range), and nothing is changed. Why signs: so the sum is out of the store's range
    /// only where the last of them would be.
    [[nodiscard]] bool add(const Addition& more);
};

/// What the rules make of a message, where that is one number added to one key, and nobody hears of
/// the new one. The key is the rule's own.
[[nodiscard]] std::optional<Addition> addition_by(const std::vector<core::ChannelRule>& rules,
                                                  const Json& message);

}  // namespace cluster::channel
