// Resource limits by the names of the config (those of getrlimit(2), in lower case).
#pragma once

#include <cstdint>
#include <string_view>

#include "base/result.hpp"

namespace cluster::sys {

/// "nofile" → RLIMIT_NOFILE. Errors: {limit, EINVAL} for another name.
[[nodiscard]] Result<std::uint32_t> limit_resource(std::string_view name);

}  // namespace cluster::sys
