#include "keeper/custody.hpp"

#include <algorithm>
#include <cerrno>

#include "base/assert.hpp"

namespace cluster::keeper {

using wire::HeldKey;
using wire::HeldRecord;

namespace {

std::uint64_t hash_of_key(const HeldKey& key) {
    const std::uint64_t what = std::uint64_t{static_cast<std::uint16_t>(key.kind)} << 16U;
    // The odd constant is 2^64 divided by the golden ratio: it spreads the small numbers that keys
    // are made of.
    return (what | key.index) + (key.generation + key.slot) * 0x9E3779B97F4A7C15U;
}

bool has_key(const HeldRecord& record, const HeldKey& key) {
    return record.kind == static_cast<std::uint16_t>(key.kind) && record.index == key.index &&
           record.slot == key.slot && record.generation == key.generation;
}

}  // namespace

Custody::Custody(wire::Table& shared) : shared_(shared) {
    fds_.reserve(wire::kMaxHeld);
}

Status Custody::hold(const HeldKey& key, sys::UniqueFd fd) {
    CLUSTER_ASSERT(fd.is_open());
    if (key.kind == wire::HeldKind::none) return fail(Op::message, EINVAL);
    if (const auto held = index_of(key)) {
        fds_[*held] = std::move(fd);
        return {};
    }
    if (count() == wire::kMaxHeld) return fail(Op::limit_reached, ENOSPC);
    if (free_count_ == 0) {
        free_[free_count_++] = static_cast<std::uint32_t>(fds_.size());
        fds_.emplace_back();
    }
    const std::uint32_t position = free_[--free_count_];
    fds_[position] = std::move(fd);
    shared_.held[position] = {.kind = static_cast<std::uint16_t>(key.kind),
                              .index = key.index,
                              .slot = key.slot,
                              .generation = key.generation};
    shared_.header.held_used = std::max(shared_.header.held_used, position + 1);
    index_.insert(position, hash_of_key(key));
    return {};
}

Status Custody::drop(const HeldKey& key) {
    const auto held = index_of(key);
    if (!held) return fail(Op::not_held, ENOENT);
    index_.remove(*held, hash_of_key(key));
    shared_.held[*held] = HeldRecord{};
    fds_[*held].reset();
    free_[free_count_++] = *held;
    return {};
}

int Custody::find(const HeldKey& key) const {
    const auto held = index_of(key);
    return held ? fds_[*held].get() : -1;
}

Custody::Batch Custody::batch(std::uint32_t first) const {
    Batch batch;
    const std::uint32_t end = shared_.header.held_used;
    for (std::uint32_t i = first; i < end && batch.fd_count < batch.fds.size(); ++i) {
        if (!fds_[i].is_open()) continue;
        batch.fds[batch.fd_count++] = fds_[i].get();
        batch.count = i + 1 - first;
    }
    return batch;
}

std::optional<std::uint32_t> Custody::index_of(const HeldKey& key) const {
    return index_.find(hash_of_key(key), [&](std::uint32_t position) {
        return has_key(shared_.held[position], key);
    });
}

}  // namespace cluster::keeper
