// What a waiting verb says while it waits.
#pragma once

#include <cstddef>
#include <string>

#include "ctl/protocol.hpp"

namespace cluster::clusterctl {

/// "waiting for api.0 (SIGTERM was sent, SIGKILL in 8 s), api.1 (starting) and 3 more; 4 done", at
/// most `width` columns (0: any). Empty when nothing is pending.
[[nodiscard]] std::string progress_line(const ctl::OperationAnswer& operation, std::size_t width);

}  // namespace cluster::clusterctl
