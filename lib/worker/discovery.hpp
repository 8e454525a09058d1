// How a worker finds the store and the channel that clusterd gave to it. The protocol is ATTACH.md
// of the store.
#pragma once

#include "store/segment.hpp"
#include "sys/fd.hpp"

namespace cluster::worker {

/// By CLUSTER_STORE, else by CLUSTER_SOCKET. Errors: those of cluster_store_open, in cluster.h.
[[nodiscard]] Result<store::Segment> find_segment(store::Access access);

/// By CLUSTER_CHANNEL_FD, unless the descriptor of that number was used up (`is_inherited` false),
/// else by CLUSTER_SOCKET. Errors: those of cluster_channel_open.
[[nodiscard]] Result<sys::UniqueFd> find_channel(bool is_inherited);

}  // namespace cluster::worker
