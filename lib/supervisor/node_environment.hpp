// What a worker of a Node.js cluster finds in its environment beside its channel: its number, the
// preload that drains it, and the one that puts its SharedArrayBuffers into the store
// (packaging/node/preload).
#pragma once

#include <optional>
#include <string>

#include "base/ids.hpp"
#include "core/spec.hpp"
#include "supervisor/inheritance.hpp"

namespace cluster::supervisor {

/// The number of a run among all that there ever are on this keeper: cluster.worker.id.
[[nodiscard]] std::uint64_t node_worker_id(Run run);

/// The preload that was installed with this program; nothing: it was not.
[[nodiscard]] std::optional<std::string> find_node_preload();

/// What makes node a worker of a cluster, where the launch says that it is one.
void add_node_environment(const core::Launch& launch, Run run, Inheritance& inheritance);

}  // namespace cluster::supervisor
