// The calling thread's place in a store.
//
// A participant belongs to one thread, so that no operation needs a lock. It is taken when the
// thread first changes something, and given back when the thread ends.
#pragma once

#include "store/participant.hpp"
#include "worker/handles.hpp"

namespace cluster::worker {

struct Membership {
    cluster_store* store;
    store::Participant participant;
    Membership* next;
};

// One for each store that this thread has changed: nearly always one. Initial-exec, so that finding
// it is no call; eight bytes fit what the loader keeps in reserve for libraries loaded later.
[[gnu::tls_model("initial-exec")]] extern constinit thread_local Membership* memberships;

/// The participant that this thread has, if it has one.
[[nodiscard]] inline store::Participant* find_participant(const cluster_store& store) {
    for (Membership* each = memberships; each != nullptr; each = each->next) {
        if (each->store == &store) [[likely]] {
            return &each->participant;
        }
    }
    return nullptr;
}

/// The participant of this thread, joined when there is none. It may have lost its slot by a fork;
/// every operation of the store sees to that. Errors: as Participant::join; {store, ENOMEM}.
[[nodiscard]] Result<store::Participant*> join(cluster_store& store);

/// Gives the place back. Without one, nothing.
void leave(const cluster_store& store);

}  // namespace cluster::worker
