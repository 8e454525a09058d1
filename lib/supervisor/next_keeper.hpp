// A new keeper in place of one that is dead: started by us with everything that the dead one held.
// It learns of the workers' ends from their pidfds and starts a supervisor of its own. When that one
// has everything in hand we are told, and end.
#pragma once

#include <string>
#include <vector>

#include "supervisor/keeper_link.hpp"

namespace cluster::supervisor {

/// Tries again, ever slower up to once a second, until one has taken over; meanwhile nobody
/// supervises, and the workers go on. `arguments`: of clusterd, as the dead one had them. False:
/// there is nothing to start it with (see Copies), and what happened is in the log.
[[nodiscard]] bool start_next_keeper(const KeeperLink& link,
                                     const std::vector<std::string>& arguments);

}  // namespace cluster::supervisor
