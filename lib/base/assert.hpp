// CLUSTER_ASSERT checks our own invariants and stays on in release builds.
//
// Data from another process (a worker, a client, a config, the other half of the daemon) is never
// asserted: it is refused where it comes in.
#pragma once

#include <cstdio>
#include <cstdlib>

#define CLUSTER_ASSERT(condition)                                                       \
    do {                                                                                \
        if (!(condition)) [[unlikely]] {                                                \
            ::std::fprintf(stderr, "%s:%d: invariant broken: %s\n", __FILE__, __LINE__, \
                           #condition);                                                 \
            ::std::abort();                                                             \
        }                                                                               \
    } while (false)
