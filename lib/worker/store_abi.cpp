// The store itself in C: opening, closing, a thread's place, statistics.
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>

#include "store/census.hpp"
#include "worker/discovery.hpp"
#include "worker/handles.hpp"
#include "worker/membership.hpp"

namespace store = cluster::store;
namespace worker = cluster::worker;

static_assert(CLUSTER_CLASSES == store::kClasses);

cluster_store::~cluster_store() {
    if (handles == nullptr) return;
    for (store::u32 i = 0; i < segment.geometry().counters; ++i) {
        delete handles[i].load(std::memory_order_relaxed);
    }
}

namespace cluster::worker {

void release(cluster_store* store) {
    if (store->holders.fetch_sub(1, std::memory_order_acq_rel) == 1) delete store;
}

}  // namespace cluster::worker

extern "C" {

const char* cluster_version(void) {
    return CLUSTER_VERSION;
}

int cluster_store_open(unsigned flags, cluster_store** store) {
    if (store == nullptr || (flags & ~CLUSTER_READ_ONLY) != 0) return -EINVAL;
    const auto access =
        (flags & CLUSTER_READ_ONLY) != 0 ? store::Access::read_only : store::Access::read_write;
    auto segment = worker::find_segment(access);
    if (!segment) return worker::code_of(segment.error());
    auto* opened = new (std::nothrow) cluster_store{std::move(*segment)};
    if (opened == nullptr) return -ENOMEM;
    opened->handles.reset(
        new (std::nothrow) std::atomic<cluster_counter*>[opened->segment.geometry().counters] {});
    if (opened->handles == nullptr) {
        delete opened;
        return -ENOMEM;
    }
    *store = opened;
    return 0;
}

void cluster_store_close(cluster_store* store) {
    if (store == nullptr) return;
    store->is_closed.store(true, std::memory_order_release);
    worker::leave(*store);
    worker::release(store);
}

int cluster_store_join(cluster_store* store) {
    if (store == nullptr) return -EINVAL;
    const auto participant = worker::join(*store);
    if (!participant) return worker::code_of(participant.error());
    // It may have been the parent's before a fork.
    const auto joined = (*participant)->ensure();
    return joined ? 0 : worker::code_of(joined.error());
}

void cluster_store_leave(cluster_store* store) {
    if (store != nullptr) worker::leave(*store);
}

int cluster_store_stats(const cluster_store* store, cluster_stats* stats, size_t size) {
    if (store == nullptr || stats == nullptr || size == 0) return -EINVAL;
    const store::Geometry& geometry = store->segment.geometry();
    const store::Census census = store::take_census(store->segment);
    cluster_stats all{};
    all.segment_bytes = geometry.bytes;
    all.generation = store->segment.generation();
    all.keys = census.keys;
    all.bytes = census.bytes;
    all.counters = census.counters;
    all.counters_limit = geometry.counters;
    all.participants = census.participants;
    all.participants_limit = geometry.participants_count;
    all.unassigned_bytes = census.free_chunks * store::kChunkBytes;
    all.settled_participants = census.settled_participants;
    all.settled_blocks = census.settled_blocks;
    for (std::size_t i = 0; i < census.classes.size(); ++i) {
        const store::ClassCensus& blocks = census.classes[i];
        all.classes[i] = {blocks.block_bytes, blocks.used_blocks, blocks.free_blocks};
    }
    std::memcpy(stats, &all, std::min(size, sizeof all));
    return 0;
}

}  // extern "C"
