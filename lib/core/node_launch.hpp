// What one sees of a Node.js program before it is started: mistakes that would keep it from being a
// worker of a cluster without a word.
//
// Source: NODE_UNIQUE_ID is looked at by node with a script only; whatever node process is executed
// first takes NODE_CHANNEL_FD and NODE_UNIQUE_ID out of its environment (lib/child_process.js,
// lib/internal/process/pre_execution.js of Node.js).
#pragma once

#include <optional>
#include <string>

#include "core/spec.hpp"

namespace cluster::core {

/// The program that the command names itself, as far as words tell: behind env(1) and what belongs
/// to it, and without its directory. A shell is not looked into.
[[nodiscard]] std::string program_name(const Launch& launch);

/// Why this command can be no worker of a cluster: node without a script. Nothing: it may be one.
[[nodiscard]] std::optional<std::string> node_mistake(const Launch& launch);

/// A program that is known to run Node.js and to start the worker's own as another process, such as
/// npm: its name. Nothing: it is none.
[[nodiscard]] std::optional<std::string> node_wrapper(const Launch& launch);

}  // namespace cluster::core
