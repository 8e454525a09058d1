// Packed archives, read by the program that packed them.
#pragma once

#include <string>

#include "base/result.hpp"
#include "sys/fd.hpp"

namespace cluster::clusterctl {

/// The bytes of a .gz file, as a file in memory. Errors: {clone, errno} gzip cannot be started;
/// {read, EIO} it says that the file is damaged.
[[nodiscard]] Result<sys::UniqueFd> unpack(const std::string& path);

}  // namespace cluster::clusterctl
