// What the daemon tells the service manager that started it (systemd, Type=notify), by the protocol
// of sd_notify(3). Without NOTIFY_SOCKET in the environment nobody is told anything.
//
// We are not the main process of the service, the keeper is: the unit needs NotifyAccess=all.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/time.hpp"

namespace cluster::supervisor {

/// READY=1 with the keeper as the main process, and a line of status. Said by every supervisor as
/// soon as it serves: a second time is no news, and the status is.
void tell_manager_ready(std::int32_t keeper_pid, std::size_t workers);
void tell_manager_stopping();
/// The config is being read again; READY=1 must follow.
void tell_manager_reloading(Instant now);

}  // namespace cluster::supervisor
