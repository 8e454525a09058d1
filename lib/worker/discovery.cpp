#include "worker/discovery.hpp"

#include <cerrno>
#include <cstdlib>
#include <string>

#include "store/attach.hpp"
#include "sys/shared_memory.hpp"

namespace cluster::worker {
namespace {

/// How long a worker waits for the daemon, which answers within a turn of its loop, and within a
/// second while its supervisor is being replaced.
constexpr Duration kPatience = std::chrono::seconds{5};

/// As often as the daemon may be too short of descriptors to answer.
constexpr int kTries = 3;

/// A number alone proves nothing: a wrapper may have closed the descriptor, and another file may
/// have taken its place.
bool is_that_file(const store::StoreAddress& address) {
    const auto file = sys::inspect_memory_file(address.fd);
    return file && file->inode == address.inode && file->has_fixed_size;
}

Result<store::Segment> attach(int fd, std::uint64_t generation, store::Access access) {
    auto segment = store::Segment::attach(fd, access);
    if (segment && segment->generation() != generation) return fail(Op::store, EBADF);
    return segment;
}

Result<store::Segment> ask_socket(const std::string& path, store::Access access) {
    Error error;
    for (int attempt = 0; attempt < kTries; ++attempt) {
        auto fetched = store::fetch_store(path, kPatience);
        if (fetched) return attach(fetched->fd.get(), fetched->generation, access);
        error = fetched.error();
        if (error.code != ECONNRESET) break;
    }
    // The socket is there, and its daemon says that this worker has no store.
    if (error == Error{Op::store, ENOENT}) error.code = ENOTCONN;
    return tl::unexpected<Error>(error);
}

/// An empty variable counts as none.
const char* variable(const char* name) {
    const char* value = std::getenv(name);
    return value != nullptr && *value != '\0' ? value : nullptr;
}

}  // namespace

Result<store::Segment> find_segment(store::Access access) {
    const char* socket = variable("CLUSTER_SOCKET");
    const char* text = variable("CLUSTER_STORE");
    if (text == nullptr && socket == nullptr) return fail(Op::store, ENOTCONN);
    if (text != nullptr) {
        const auto address = store::parse_store_address(text);
        if (!address) return fail(Op::store, EINVAL);
        if (is_that_file(*address)) return attach(address->fd, address->generation, access);
        if (socket == nullptr) return fail(Op::store, EBADF);
    }
    return ask_socket(socket, access);
}

}  // namespace cluster::worker
