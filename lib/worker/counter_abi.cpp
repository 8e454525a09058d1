// Counters in C.
#include <cerrno>
#include <cstring>
#include <new>

#include "worker/handles.hpp"
#include "worker/membership.hpp"

namespace store = cluster::store;
namespace worker = cluster::worker;

static_assert(CLUSTER_ATOMIC == static_cast<unsigned>(store::CounterKind::atomic));
static_assert(CLUSTER_STRIPED == static_cast<unsigned>(store::CounterKind::striped));
static_assert(CLUSTER_MAX_COUNTER_NAME == store::kMaxCounterName);
static_assert(sizeof(store::Stripe) <= sizeof(cluster_stripe));
static_assert(alignof(store::Stripe) <= alignof(cluster_stripe));
static_assert(std::is_trivially_copyable_v<store::Stripe>);

namespace {

/// Only the making of a counter needs a participant, which a process may be unable to have.
template <class Found, class Open>
Found open_or_find(cluster_store& handle, const Found& found, Open open) {
    if (found || found.error().code != ENOENT) return found;
    const auto participant = worker::join(handle);
    if (!participant) return tl::unexpected<cluster::Error>(participant.error());
    return open(**participant);
}

int open_atomic(cluster_store& handle, std::string_view name, cluster_counter& counter) {
    const auto opened =
        open_or_find(handle, handle.counters.find(name),
                     [&](store::Participant& me) { return handle.counters.open(me, name); });
    if (!opened) return worker::code_of(opened.error());
    counter.atomic = *opened;
    return 0;
}

int open_striped(cluster_store& handle, std::string_view name, cluster_counter& counter) {
    const auto opened = open_or_find(
        handle, handle.counters.find_striped(name),
        [&](store::Participant& me) { return handle.counters.open_striped(me, name); });
    if (!opened) return worker::code_of(opened.error());
    counter.striped = *opened;
    return 0;
}

/// The first addition of a thread, or of a forked child.
int join_and_add(cluster_counter& counter, std::int64_t amount) {
    const auto participant = worker::join(*counter.store);
    if (!participant) return worker::code_of(participant.error());
    const auto added = counter.striped->add(**participant, amount);
    return added ? 0 : worker::code_of(added.error());
}

int check_atomic(const cluster_counter* counter) {
    if (!counter->atomic) return -EOPNOTSUPP;
    return counter->atomic->is_writable() ? 0 : -EROFS;
}

}  // namespace

extern "C" {

int cluster_counter_open(cluster_store* store, const char* name, unsigned kind,
                         cluster_counter** counter) {
    if (store == nullptr || name == nullptr || counter == nullptr) return -EINVAL;
    if (kind != CLUSTER_ATOMIC && kind != CLUSTER_STRIPED) return -EINVAL;
    cluster_counter opened{.store = store, .atomic = {}, .striped = {}};
    const int code = kind == CLUSTER_ATOMIC ? open_atomic(*store, name, opened)
                                            : open_striped(*store, name, opened);
    if (code != 0) return code;
    std::atomic<cluster_counter*>& place = store->handles[cluster_counter_index(&opened)];
    cluster_counter* known = place.load(std::memory_order_acquire);
    if (known == nullptr) {
        auto* made = new (std::nothrow) cluster_counter{opened};
        if (made == nullptr) return -ENOMEM;
        if (place.compare_exchange_strong(known, made, std::memory_order_acq_rel)) {
            known = made;
        } else {
            delete made;
        }
    }
    *counter = known;
    return 0;
}

int cluster_counter_add(cluster_counter* counter, int64_t amount, int64_t* value) {
    if (counter->atomic) [[likely]] {
        if (!counter->atomic->is_writable()) return -EROFS;
        const std::int64_t sum = counter->atomic->add(amount);
        if (value != nullptr) *value = sum;
        return 0;
    }
    if (value != nullptr) return -EOPNOTSUPP;
    const store::Participant* known = worker::find_participant(*counter->store);
    if (known != nullptr && counter->striped->try_add(*known, amount)) [[likely]] {
        return 0;
    }
    return join_and_add(*counter, amount);
}

int64_t cluster_counter_get(const cluster_counter* counter) {
    return counter->atomic ? counter->atomic->get() : counter->striped->get();
}

int cluster_counter_set(cluster_counter* counter, int64_t value) {
    return cluster_counter_exchange(counter, value, nullptr);
}

int cluster_counter_exchange(cluster_counter* counter, int64_t value, int64_t* before) {
    if (const int code = check_atomic(counter); code != 0) return code;
    const std::int64_t seen = counter->atomic->exchange(value);
    if (before != nullptr) *before = seen;
    return 0;
}

int cluster_counter_compare_exchange(cluster_counter* counter, int64_t* expected, int64_t desired) {
    if (const int code = check_atomic(counter); code != 0) return code;
    return counter->atomic->compare_exchange(*expected, desired) ? 1 : 0;
}

int64_t* cluster_counter_address(const cluster_counter* counter) {
    if (!counter->atomic) return nullptr;
    return reinterpret_cast<int64_t*>(counter->store->segment.cell(counter->atomic->index()));
}

int64_t* cluster_counter_array(const cluster_store* store, size_t* bytes) {
    if (bytes != nullptr) {
        *bytes = store->segment.geometry().counters * static_cast<size_t>(store::kCellBytes);
    }
    return reinterpret_cast<int64_t*>(store->segment.cell(0));
}

uint32_t cluster_counter_index(const cluster_counter* counter) {
    return counter->atomic ? counter->atomic->index() : counter->striped->index();
}

int cluster_counter_stripe(cluster_counter* counter, cluster_stripe* stripe) {
    if (!counter->striped) return -EOPNOTSUPP;
    const auto participant = worker::join(*counter->store);
    if (!participant) return worker::code_of(participant.error());
    const auto taken = counter->striped->stripe_of(**participant);
    if (!taken) return worker::code_of(taken.error());
    new (static_cast<void*>(stripe)) store::Stripe{*taken};
    return 0;
}

int cluster_stripe_add(const cluster_stripe* stripe, int64_t amount) {
    return reinterpret_cast<const store::Stripe*>(stripe)->add(amount) ? 0 : -ESTALE;
}

int cluster_counter_next(const cluster_store* store, uint32_t* at, cluster_counter_item* item) {
    if (store == nullptr || at == nullptr || item == nullptr) return -EINVAL;
    const auto next = store->counters.next(at);
    if (!next) return 0;
    *item = {};
    std::memcpy(item->name, next->name.data(), next->name_size);
    item->kind = static_cast<unsigned>(next->kind);
    item->index = next->index;
    item->value = next->value;
    return 1;
}

}  // extern "C"
