#include "sys/stream.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <climits>

namespace cluster::sys {
namespace {

bool has_option(int fd, int option, int wanted) {
    int value = 0;
    socklen_t size = sizeof value;
    return ::getsockopt(fd, SOL_SOCKET, option, &value, &size) == 0 && value == wanted;
}

}  // namespace

bool is_stream_of_pair(int fd) {
    if (!has_option(fd, SO_DOMAIN, AF_UNIX) || !has_option(fd, SO_TYPE, SOCK_STREAM)) return false;
    sockaddr_un own{};
    socklen_t own_size = sizeof own;
    sockaddr_un peer{};
    socklen_t peer_size = sizeof peer;
    constexpr socklen_t kNoName = sizeof(sa_family_t);
    if (::getsockname(fd, reinterpret_cast<sockaddr*>(&own), &own_size) != 0) return false;
    if (own_size > kNoName) return false;
    // Whose other end is closed has no peer any more, and is a channel all the same.
    const bool has_peer =
        ::getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &peer_size) == 0;
    return has_peer ? peer_size <= kNoName : errno == ENOTCONN;
}

Status set_close_on_exec(int fd) {
    if (::fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) return fail(Op::socket, errno);
    return {};
}

Result<std::size_t> receive_bytes(int fd, std::span<char> buffer, Receive how) {
    const int flags = how == Receive::now ? MSG_DONTWAIT : 0;
    const auto count = ::recv(fd, buffer.data(), buffer.size(), flags);
    if (count < 0) return fail(Op::receive, errno);
    return static_cast<std::size_t>(count);
}

Result<bool> wait_stream(int fd, const StreamWait& wait) {
    const int events = (wait.readable ? POLLIN : 0) | (wait.writable ? POLLOUT : 0);
    pollfd entry{.fd = fd, .events = static_cast<short>(events), .revents = 0};
    int limit = -1;
    if (wait.patience) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(*wait.patience).count();
        limit = static_cast<int>(std::clamp<std::int64_t>(left, 0, INT_MAX));
    }
    const int ready = ::poll(&entry, 1, limit);
    if (ready < 0) return fail(Op::wait, errno);
    return ready > 0;
}

}  // namespace cluster::sys
