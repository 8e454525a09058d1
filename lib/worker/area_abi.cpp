// Areas in C.
#include <cerrno>

#include "store/areas.hpp"
#include "worker/handles.hpp"
#include "worker/membership.hpp"

namespace store = cluster::store;
namespace worker = cluster::worker;

static_assert(CLUSTER_MAX_AREA_BYTES == store::kMaxAreaBytes);

extern "C" int cluster_area_open(cluster_store* handle, const char* name, size_t bytes,
                                 void** area) {
    if (handle == nullptr || name == nullptr || area == nullptr) return -EINVAL;
    const auto participant = worker::join(*handle);
    if (!participant) return worker::code_of(participant.error());
    const auto opened = store::open_area(handle->segment, **participant, name, bytes);
    if (!opened) return worker::code_of(opened.error());
    *area = opened->data();
    return 0;
}
