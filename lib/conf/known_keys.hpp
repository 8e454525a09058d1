// Every key that a config may have, asked of the readers themselves.
//
// Each table of the config refuses an unknown key and names those that it has. known_keys puts an
// unknown key wherever a table may stand and notes the answers, so there is no second list that
// could fall behind. Whoever describes the config elsewhere (a schema, a manual) is held against
// this.
#pragma once

#include <string>
#include <vector>

namespace cluster::conf {

/// Dotted paths in the order of the readers' lists, tables before what stands in them: "daemon",
/// "daemon.log_dir", "worker", "worker.NAME", "worker.NAME.log.keep". NAME stands where an operator
/// chooses a name. Tables whose keys are all free (env) have none listed below them.
[[nodiscard]] std::vector<std::string> known_keys();

}  // namespace cluster::conf
