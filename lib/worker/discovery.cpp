#include "worker/discovery.hpp"

#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <string>
#include <string_view>

#include "store/attach.hpp"
#include "sys/shared_memory.hpp"
#include "sys/stream.hpp"

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

/// Asks again where the daemon gave no answer.
template <class Fetch>
auto ask(Fetch fetch) -> decltype(fetch()) {
    Error error;
    for (int attempt = 0; attempt < kTries; ++attempt) {
        auto fetched = fetch();
        if (fetched) return fetched;
        error = fetched.error();
        if (error.code != ECONNRESET) break;
    }
    // The socket is there, and its daemon says that this worker has no such thing.
    if (error == Error{Op::store, ENOENT}) error.code = ENOTCONN;
    return tl::unexpected<Error>(error);
}

Result<store::Segment> ask_socket(const std::string& path, store::Access access) {
    const auto fetched = ask([&] { return store::fetch_store(path, kPatience); });
    if (!fetched) return tl::unexpected<Error>(fetched.error());
    return attach(fetched->fd.get(), fetched->generation, access);
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

Result<sys::UniqueFd> find_channel(bool is_inherited) {
    const char* socket = variable("CLUSTER_SOCKET");
    const char* text = variable("CLUSTER_CHANNEL_FD");
    if (text == nullptr && socket == nullptr) return fail(Op::socket, ENOTCONN);
    if (text != nullptr && is_inherited) {
        const std::string_view digits{text};
        int number = -1;
        const auto [end, error] =
            std::from_chars(digits.data(), digits.data() + digits.size(), number);
        const bool is_number = error == std::errc{} && end == digits.data() + digits.size();
        if (!is_number || number < 0) return fail(Op::socket, EINVAL);
        if (sys::is_stream_of_pair(number) && sys::set_close_on_exec(number)) {
            return sys::UniqueFd{number};
        }
    }
    if (socket == nullptr) return fail(Op::socket, EBADF);
    return ask([&] { return store::fetch_channel(socket, kPatience); });
}

}  // namespace cluster::worker
