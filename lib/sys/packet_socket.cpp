#include "sys/packet_socket.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "sys/clock.hpp"

namespace cluster::sys {
namespace {

Result<sockaddr_un> address_of(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.empty() || path.size() >= sizeof(address.sun_path)) {
        return fail(Op::bind, ENAMETOOLONG);
    }
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    return address;
}

timeval timeval_of(Duration patience) {
    // Zero would mean for ever.
    const auto us = std::max<std::int64_t>(
        std::chrono::duration_cast<std::chrono::microseconds>(patience).count(), 1);
    return {.tv_sec = us / 1'000'000, .tv_usec = us % 1'000'000};
}

}  // namespace

Result<UniqueFd> listen_packets(const std::string& path, std::uint32_t uid, std::uint32_t gid,
                                int backlog) {
    const auto address = address_of(path);
    if (!address) return tl::unexpected(address.error());
    UniqueFd socket{::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
    if (!socket.is_open()) return fail(Op::socket, errno);
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) return fail(Op::bind, errno);
    // Before bind, so that the file is born with this mode (unix(7)).
    if (::fchmod(socket.get(), 0600) != 0) return fail(Op::bind, errno);
    if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof(*address)) != 0) {
        return fail(Op::bind, errno);
    }
    const bool is_own = uid == ::geteuid() && gid == ::getegid();
    if (!is_own && ::lchown(path.c_str(), uid, gid) != 0) return fail(Op::bind, errno);
    if (::listen(socket.get(), backlog) != 0) return fail(Op::listen, errno);
    return socket;
}

Result<UniqueFd> connect_packets(const std::string& path, Duration patience) {
    const auto address = address_of(path);
    if (!address) return fail(Op::connect, address.error().code);
    UniqueFd socket{::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0)};
    if (!socket.is_open()) return fail(Op::socket, errno);
    // A full queue of connections makes connect wait as a full buffer makes send (unix(7)).
    const timeval limit = timeval_of(patience);
    if (::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) != 0) {
        return fail(Op::socket, errno);
    }
    while (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&*address),
                     sizeof(*address)) != 0) {
        if (errno == EINTR) continue;
        return fail(Op::connect, errno == EAGAIN ? ETIMEDOUT : errno);
    }
    return socket;
}

Status wait_readable(int fd, Duration patience) {
    const Instant deadline = monotonic_now() + patience;
    pollfd entry{.fd = fd, .events = POLLIN, .revents = 0};
    while (true) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - monotonic_now());
        const auto wait = std::clamp<std::int64_t>(left.count(), 0, 1'000'000);
        const int ready = ::poll(&entry, 1, static_cast<int>(wait));
        if (ready > 0) return {};
        if (ready < 0 && errno != EINTR) return fail(Op::wait, errno);
        if (ready == 0 && monotonic_now() >= deadline) return fail(Op::wait, ETIMEDOUT);
    }
}

}  // namespace cluster::sys
