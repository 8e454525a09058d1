// The key-value table in C.
#include <algorithm>
#include <cerrno>
#include <cstring>

#include "sys/clock.hpp"
#include "worker/handles.hpp"
#include "worker/membership.hpp"

namespace store = cluster::store;
namespace worker = cluster::worker;

using cluster::Duration;
using cluster::Result;

static_assert(CLUSTER_MAX_KEY_BYTES == store::kMaxKeyBytes);
static_assert(CLUSTER_MAX_VALUE_BYTES == store::kMaxValueBytes);
static_assert(sizeof(store::Cursor) <= sizeof(cluster_cursor));
static_assert(std::is_trivially_copyable_v<store::Cursor>);

namespace {

constexpr std::int64_t kNsOfMs = 1'000'000;

store::Bytes bytes_of(const void* data, size_t size) {
    return {static_cast<const std::byte*>(data), data == nullptr ? 0 : size};
}

store::Buffer buffer_of(void* data, size_t capacity) {
    return {static_cast<std::byte*>(data), data == nullptr ? 0 : capacity};
}

/// Longer than the clock will ever run is for ever.
Duration duration_of(std::int64_t ms) {
    return ms > Duration::max().count() / kNsOfMs ? Duration::max() : Duration{ms * kNsOfMs};
}

std::int64_t remaining_ms(std::uint64_t deadline) {
    if (deadline == 0) return 0;
    const std::int64_t now = cluster::to_ns(cluster::sys::monotonic_coarse_now());
    const auto left = static_cast<std::int64_t>(deadline) - now;
    return std::max<std::int64_t>((left + kNsOfMs - 1) / kNsOfMs, 1);
}

cluster_value value_of(const store::Value& found) {
    return {found.size, found.token, remaining_ms(found.deadline)};
}

template <class Operation>
int read_value(const Operation& found, size_t capacity, cluster_value* value) {
    if (!found) return worker::code_of(found.error());
    if (value != nullptr) *value = value_of(*found);
    return found->fits(capacity) ? 0 : -ERANGE;
}

/// Runs one of the changes that end with a token.
template <class Operation>
int write_value(cluster_store* handle, std::int64_t ttl_ms, uint64_t* token, Operation operation) {
    if (handle == nullptr || ttl_ms < 0) return -EINVAL;
    const auto participant = worker::join(*handle);
    if (!participant) return worker::code_of(participant.error());
    const Result<store::u64> written = operation(**participant, duration_of(ttl_ms));
    if (!written) return worker::code_of(written.error());
    if (token != nullptr) *token = *written;
    return 0;
}

}  // namespace

extern "C" {

int cluster_table_get(const cluster_store* store, const void* key, size_t key_size, void* buffer,
                      size_t capacity, cluster_value* value) {
    if (store == nullptr || (buffer == nullptr && capacity != 0)) return -EINVAL;
    const auto found = store->table.get(bytes_of(key, key_size), buffer_of(buffer, capacity));
    const int code = read_value(found, capacity, value);
    return code == -ERANGE && capacity == 0 ? 0 : code;
}

int cluster_table_set(cluster_store* store, const void* key, size_t key_size, const void* value,
                      size_t value_size, int64_t ttl_ms, uint64_t* token) {
    return write_value(store, ttl_ms, token, [&](store::Participant& me, Duration ttl) {
        return store->table.set(me, bytes_of(key, key_size), bytes_of(value, value_size), ttl);
    });
}

int cluster_table_add(cluster_store* store, const void* key, size_t key_size, const void* value,
                      size_t value_size, int64_t ttl_ms, uint64_t* token) {
    return write_value(store, ttl_ms, token, [&](store::Participant& me, Duration ttl) {
        return store->table.add(me, bytes_of(key, key_size), bytes_of(value, value_size), ttl);
    });
}

int cluster_table_replace(cluster_store* store, const void* key, size_t key_size, const void* value,
                          size_t value_size, int64_t ttl_ms, uint64_t* token) {
    return write_value(store, ttl_ms, token, [&](store::Participant& me, Duration ttl) {
        return store->table.replace(me, bytes_of(key, key_size), bytes_of(value, value_size), ttl);
    });
}

int cluster_table_cas(cluster_store* store, const void* key, size_t key_size, const void* value,
                      size_t value_size, int64_t ttl_ms, uint64_t* token) {
    if (token == nullptr) return -EINVAL;
    return write_value(store, ttl_ms, token, [&](store::Participant& me, Duration ttl) {
        return store->table.compare_and_set(me, bytes_of(key, key_size), *token,
                                            bytes_of(value, value_size), ttl);
    });
}

int cluster_table_delete(cluster_store* store, const void* key, size_t key_size) {
    if (store == nullptr) return -EINVAL;
    const auto participant = worker::join(*store);
    if (!participant) return worker::code_of(participant.error());
    const auto removed = store->table.remove(**participant, bytes_of(key, key_size));
    return removed ? 0 : worker::code_of(removed.error());
}

int cluster_table_getdel(cluster_store* store, const void* key, size_t key_size, void* buffer,
                         size_t capacity, cluster_value* value) {
    if (store == nullptr || (buffer == nullptr && capacity != 0)) return -EINVAL;
    const auto participant = worker::join(*store);
    if (!participant) return worker::code_of(participant.error());
    const auto taken =
        store->table.take(**participant, bytes_of(key, key_size), buffer_of(buffer, capacity));
    return read_value(taken, capacity, value);
}

int cluster_table_incr(cluster_store* store, const void* key, size_t key_size, int64_t delta,
                       int64_t* number) {
    if (store == nullptr) return -EINVAL;
    const auto participant = worker::join(*store);
    if (!participant) return worker::code_of(participant.error());
    const auto sum = store->table.increment(**participant, bytes_of(key, key_size), delta);
    if (!sum) return worker::code_of(sum.error());
    if (number != nullptr) *number = *sum;
    return 0;
}

int cluster_table_next(const cluster_store* store, cluster_cursor* cursor, void* key,
                       size_t key_capacity, void* buffer, size_t capacity, cluster_item* item) {
    const bool is_sound = store != nullptr && cursor != nullptr && key != nullptr &&
                          item != nullptr && key_capacity >= CLUSTER_MAX_KEY_BYTES &&
                          (buffer != nullptr || capacity == 0);
    if (!is_sound) return -EINVAL;
    store::Cursor place;
    std::memcpy(static_cast<void*>(&place), cursor, sizeof place);
    const auto next =
        store->table.next(place, buffer_of(key, key_capacity), buffer_of(buffer, capacity));
    std::memcpy(static_cast<void*>(cursor), &place, sizeof place);
    if (!next) return worker::code_of(next.error());
    if (!*next) return 0;
    *item = {(*next)->key_size, value_of((*next)->value)};
    return 1;
}

}  // extern "C"
