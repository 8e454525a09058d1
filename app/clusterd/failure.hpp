// Why clusterd cannot start, in words: what, where, and what to do about it.
#pragma once

#include "base/result.hpp"
#include "place/directories.hpp"

namespace clusterd {

/// Prints one message for a failure to take the runtime directory or the control socket.
void print_failure(const cluster::place::Directories& directories, cluster::Error error);

}  // namespace clusterd
