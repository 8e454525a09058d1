// The nearest valid name to a mistyped one, for messages that end in "did you mean …?".
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace cluster::ctl {

/// The candidate that takes the fewest single-character edits, provided that they are at most a
/// third of the longer name's length (and at least one); empty when none is that near. The first of
/// equals wins.
[[nodiscard]] std::string_view nearest(std::string_view name,
                                       std::span<const std::string_view> candidates);

/// `; did you mean "status"?`, or nothing.
[[nodiscard]] std::string suggestion(std::string_view name,
                                     std::span<const std::string_view> candidates);

}  // namespace cluster::ctl
