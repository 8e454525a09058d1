// The nearest valid name to a mistyped one.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace cluster::conf {

/// Edits (insert, delete, replace, swap of neighbours) that turn one text into the other, byte by
/// byte. Source: optimal string alignment; L. Boytsov, "Indexing methods for approximate dictionary
/// searching", 2011.
[[nodiscard]] std::size_t edit_distance(std::string_view a, std::string_view b);

/// The candidate that was most likely meant: upper and lower case, '-' and '_' count as equal, and
/// at most one edit per three characters is forgiven. The first of several equally near ones.
[[nodiscard]] std::optional<std::string_view> nearest(
    std::string_view name, const std::vector<std::string_view>& candidates);

/// " (did you mean "x"?)", or nothing when no candidate is near.
[[nodiscard]] std::string suggestion(std::string_view name,
                                     const std::vector<std::string_view>& candidates);

}  // namespace cluster::conf
