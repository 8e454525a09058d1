// What a line of the daemon says, as cluster.h hands it out.
#pragma once

#include <span>

#include "base/result.hpp"
#include "cluster.h"

namespace cluster::worker {

/// Writes over the line: texts lose their escapes and get a zero byte at their end, which for the
/// last one is where the newline was. Requires: a byte behind the line that may be written. Errors:
/// {message, EBADMSG} no message of CHANNEL.md.
[[nodiscard]] Result<cluster_message> read_message(std::span<char> line);

}  // namespace cluster::worker
