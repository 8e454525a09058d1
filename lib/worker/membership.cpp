#include "worker/membership.hpp"

#include <cerrno>
#include <new>

#include "sys/thread_end.hpp"

namespace cluster::worker {

[[gnu::tls_model("initial-exec")]] constinit thread_local Membership* memberships = nullptr;

namespace {

void drop(Membership** link) {
    Membership* membership = *link;
    *link = membership->next;
    cluster_store* store = membership->store;
    delete membership;
    release(store);
}

void leave_all(void* /*armed*/) {
    while (memberships != nullptr) drop(&memberships);
}

const sys::ThreadEnd thread_end{leave_all};

/// Stores that were closed while this thread had a place in them.
void leave_closed() {
    for (Membership** link = &memberships; *link != nullptr;) {
        if ((*link)->store->is_closed.load(std::memory_order_acquire)) {
            drop(link);
        } else {
            link = &(*link)->next;
        }
    }
}

}  // namespace

Result<store::Participant*> join(cluster_store& store) {
    if (store::Participant* found = find_participant(store)) [[likely]] {
        return found;
    }
    leave_closed();
    if (const auto armed = thread_end.arm(); !armed) return tl::unexpected<Error>(armed.error());
    auto joined = store::Participant::join(store.segment);
    if (!joined) return tl::unexpected<Error>(joined.error());
    auto* membership = new (std::nothrow) Membership{&store, std::move(*joined), memberships};
    if (membership == nullptr) return fail(Op::store, ENOMEM);
    store.holders.fetch_add(1, std::memory_order_relaxed);
    memberships = membership;
    return &membership->participant;
}

void leave(const cluster_store& store) {
    for (Membership** link = &memberships; *link != nullptr; link = &(*link)->next) {
        if ((*link)->store != &store) continue;
        drop(link);
        return;
    }
}

}  // namespace cluster::worker
