// The calling thread's place in a store.
//
// A participant belongs to one thread, so that no operation needs a lock. It is taken when the
// thread first changes something, and given back when the thread ends.
#pragma once

#include "store/participant.hpp"
#include "worker/handles.hpp"

namespace cluster::worker {

/// The participant of this thread, joined when there is none. It may have lost its slot by a fork;
/// every operation of the store sees to that. Errors: as Participant::join; {store, ENOMEM}.
[[nodiscard]] Result<store::Participant*> join(cluster_store& store);

/// The same for who wants to try no more than a look.
[[nodiscard]] store::Participant* find_participant(const cluster_store& store);

/// Gives the place back. Without one, nothing.
void leave(const cluster_store& store);

}  // namespace cluster::worker
