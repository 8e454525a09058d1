// What stands behind the opaque handles of cluster.h.
//
// A store is held by its handle and by every thread that has a place in it, and unmapped when the
// last of them lets go. There is no lock: a process may fork while any thread is anywhere, and the
// child must be able to go on.
#pragma once

#include <atomic>
#include <cerrno>
#include <memory>
#include <optional>

#include "cluster.h"
#include "store/counters.hpp"
#include "store/segment.hpp"
#include "store/table.hpp"

struct cluster_counter {
    cluster_store* store = nullptr;
    std::optional<cluster::store::Counter> atomic;
    std::optional<cluster::store::StripedCounter> striped;
};

struct cluster_store {
    explicit cluster_store(cluster::store::Segment opened) : segment(std::move(opened)) {}
    cluster_store(const cluster_store&) = delete;
    cluster_store& operator=(const cluster_store&) = delete;
    ~cluster_store();

    cluster::store::Segment segment;
    cluster::store::Table table{segment};
    cluster::store::Counters counters{segment};
    std::atomic<unsigned> holders{1};
    std::atomic<bool> is_closed{false};
    /// handles[counters], made when a counter is opened. The pages of those that never are cost
    /// nothing.
    std::unique_ptr<std::atomic<cluster_counter*>[]> handles;
};

namespace cluster::worker {

/// One holder less.
void release(cluster_store* store);

[[nodiscard]] inline int code_of(const Error& error) {
    return error.code > 0 ? -error.code : -EIO;
}

}  // namespace cluster::worker
