// What code between clone3 and exec is compiled with, and needs of the kernel. It runs in the parent's
// memory while the parent waits: raw system calls only. The sanitizers' shadow of this memory belongs
// to the parent, and code that never returns would leave it poisoned.
#pragma once

#include <cstddef>

#define CLUSTER_CHILD_CODE __attribute__((noinline, no_sanitize("address", "undefined", "thread")))

namespace cluster::sys {

// sizeof(sigset_t) as the kernel has it.
inline constexpr std::size_t kKernelSignalSetBytes = 8;

}  // namespace cluster::sys
