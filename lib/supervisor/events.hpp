// Events about requests: who asked for what, and what a config file changed. Format: EVENTS.md.
#pragma once

#include <string>
#include <vector>

#include <tl/expected.hpp>

#include "ctl/protocol.hpp"
#include "supervisor/control_server.hpp"
#include "supervisor/journal.hpp"

namespace cluster::supervisor {

/// An event for a request that changes something, accepted or refused; none for any other.
void note_request(Journal& journal, const ClientRequest& request,
                  const tl::expected<ctl::Answer, ctl::RpcError>& reply);

/// What loading a file did to which workers. Names keys, never values: they may be secrets.
void note_config(Journal& journal, const std::string& path,
                 const std::vector<ctl::PlannedWorker>& plan);

}  // namespace cluster::supervisor
