// Whether this process may use what the kernel has learnt since the oldest one that is supported
// (Linux 6.1). Each such call is probed as well.
#pragma once

#include <cstdlib>
#include <cstring>

namespace cluster::sys {

/// CLUSTER_KERNEL_FEATURES=none makes a new kernel look like the oldest one, for tests.
[[nodiscard]] inline bool has_newer_features() {
    const char* chosen = std::getenv("CLUSTER_KERNEL_FEATURES");
    return chosen == nullptr || std::strcmp(chosen, "none") != 0;
}

}  // namespace cluster::sys
