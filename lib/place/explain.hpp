// Why a daemon cannot have its runtime directory, in words: the same for clusterd and for
// clusterctl, which looks first.
#pragma once

#include <string>

#include "base/result.hpp"
#include "place/directories.hpp"

namespace cluster::place {

/// One sentence about an error of prepare_runtime, take_lock or the control socket, and what to do
/// about it.
[[nodiscard]] std::string explain(const Directories& directories, Error error);

}  // namespace cluster::place
