// How a worker finds the store that clusterd gave to it. The protocol is ATTACH.md of the store.
#pragma once

#include "store/segment.hpp"

namespace cluster::worker {

/// By CLUSTER_STORE, else by CLUSTER_SOCKET. Errors: those of cluster_store_open, in cluster.h.
[[nodiscard]] Result<store::Segment> find_segment(store::Access access);

}  // namespace cluster::worker
