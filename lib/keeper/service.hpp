// A service manager (systemd) starts clusterd again when the keeper that it knows is dead, although
// another one has taken over by then. That second clusterd tells it whom to look after, and is not
// needed any more.
#pragma once

#include "place/directories.hpp"

namespace cluster::keeper {

/// Requires: another keeper has the lock of these directories. True: there is a service manager
/// (NOTIFY_SOCKET), the other keeper belongs to the same service as we (its control group), and the
/// manager knows it as the main process now. Waits some seconds for a succession under way.
[[nodiscard]] bool leave_service_to_other(const place::Directories& directories);

}  // namespace cluster::keeper
