#include "sys/packet_socket.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>

#include "sys/clock.hpp"
#include "sys/shared_memory.hpp"

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

/// Gives the socket an abstract address that begins so and that nobody else has.
Status bind_abstract(int fd, std::string_view prefix) {
    constexpr std::string_view kHex = "0123456789abcdef";
    std::array<unsigned char, 16> random{};
    if (auto filled = fill_random(random.data(), random.size()); !filled) return filled;
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::size_t size = 1 + prefix.size() + 2 * random.size();
    if (size > sizeof(address.sun_path)) return fail(Op::bind, ENAMETOOLONG);
    char* at = std::copy(prefix.begin(), prefix.end(), address.sun_path + 1);
    for (const unsigned char byte : random) {
        *at++ = kHex[byte >> 4U];
        *at++ = kHex[byte & 0xFU];
    }
    const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + size);
    if (::bind(fd, reinterpret_cast<const sockaddr*>(&address), length) != 0) {
        return fail(Op::bind, errno);
    }
    return {};
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

Result<UniqueFd> connect_packets(const std::string& path, Duration patience,
                                 std::string_view own_prefix) {
    const auto address = address_of(path);
    if (!address) return fail(Op::connect, address.error().code);
    UniqueFd socket{::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0)};
    if (!socket.is_open()) return fail(Op::socket, errno);
    // A full queue of connections makes connect wait as a full buffer makes send (unix(7)).
    const timeval limit = timeval_of(patience);
    if (::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) != 0) {
        return fail(Op::socket, errno);
    }
    if (!own_prefix.empty()) {
        if (auto bound = bind_abstract(socket.get(), own_prefix); !bound) {
            return tl::unexpected(bound.error());
        }
    }
    while (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&*address),
                     sizeof(*address)) != 0) {
        if (errno == EINTR) continue;
        return fail(Op::connect, errno == EAGAIN ? ETIMEDOUT : errno);
    }
    return socket;
}

std::string abstract_peer_name(int fd) {
    sockaddr_un address{};
    socklen_t size = sizeof address;
    if (::getpeername(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) return "";
    constexpr std::size_t kBegin = offsetof(sockaddr_un, sun_path) + 1;
    // Of a name that begins with a zero byte the kernel says the length (unix(7)).
    if (size <= kBegin || size > sizeof address || address.sun_path[0] != '\0') return "";
    return {address.sun_path + 1, size - kBegin};
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
