// Selectors: how an operator names instances. `api` (all its instances), `api.0`, `@site` (a
// group), `all`, and globs (`*`, `?`, `[a-z]`) over worker names, instance ids and groups.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace cluster::core {

/// A worker's name: [A-Za-z0-9_-]{1,64}, and not the reserved word "all".
[[nodiscard]] bool is_valid_worker_name(std::string_view name);

/// A group's name: as a worker's name.
[[nodiscard]] bool is_valid_group_name(std::string_view name);

/// "api" + 0 → "api.0".
[[nodiscard]] std::string instance_id(std::string_view worker, std::uint32_t number);

/// True when `selector` names instance `number` of `worker`, which is in `group` (empty: in none).
[[nodiscard]] bool selects(std::string_view selector, std::string_view worker, std::uint32_t number,
                           std::string_view group);

/// Shell-style match of a whole text: `*` any run, `?` one character, `[abc]` `[a-z]` `[!a]` a set.
/// No path rules.
[[nodiscard]] bool matches_glob(std::string_view pattern, std::string_view text);

}  // namespace cluster::core
