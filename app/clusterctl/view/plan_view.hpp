// What a config file does to the workers, for people.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "ctl/protocol.hpp"

namespace cluster::clusterctl {

/// One line per worker, and one per key that changes below it:
///
///     + web: add, 2 instances
///     ~ api: restart
///         env.PORT: 8000 → 8080
///     - old: stop and delete
///       2 unchanged: a, b
///
/// Unchanged workers, and many new ones, share one line. At most `width` columns (0: any). "nothing
/// to do" for an empty plan.
[[nodiscard]] std::string render_plan(const std::vector<ctl::PlannedWorker>& plan,
                                      std::size_t width, bool has_colour);

}  // namespace cluster::clusterctl
