// The rules of [[channel.rule]]: what an application message sets off without a change to the
// program that sends it. Pure: a message in, a decision out.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

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

}  // namespace cluster::channel
