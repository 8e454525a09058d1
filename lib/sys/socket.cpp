#include "sys/socket.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>

#include "sys/failpoint.hpp"

namespace cluster::sys {
namespace {

/// The address of a path. Errors: {bind, ENAMETOOLONG}.
Result<sockaddr_un> unix_address(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.empty() || path.size() >= sizeof(address.sun_path))
        return fail(Op::bind, ENAMETOOLONG);
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    return address;
}

/// Room for the descriptors of one datagram, aligned as the kernel wants it.
union ControlBuffer {
    cmsghdr align;
    std::array<char, CMSG_SPACE(sizeof(int) * kMaxFdsInFlight)> bytes;
};

void add_descriptors(msghdr& message, ControlBuffer& control, std::span<const int> fds) {
    message.msg_control = control.bytes.data();
    message.msg_controllen = CMSG_SPACE(fds.size_bytes());
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(fds.size_bytes());
    std::memcpy(CMSG_DATA(header), fds.data(), fds.size_bytes());
}

}  // namespace

Result<std::pair<UniqueFd, UniqueFd>> open_seqpacket_pair() {
    if (const int code = injected_error(Failpoint::sys_socket)) return fail(Op::socket, code);
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()) != 0) {
        return fail(Op::socket, errno);
    }
    return std::pair{UniqueFd{ends[0]}, UniqueFd{ends[1]}};
}

Result<UniqueFd> listen_unix(const std::string& path, int backlog) {
    if (const int code = injected_error(Failpoint::sys_socket)) return fail(Op::socket, code);
    const auto address = unix_address(path);
    if (!address) return tl::unexpected(address.error());
    UniqueFd socket{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
    if (!socket.is_open()) return fail(Op::socket, errno);
    // fchmod before bind is what gives the file its mode from birth (unix(7)); no moment with a
    // wider one.
    if (::fchmod(socket.get(), 0600) != 0) return fail(Op::bind, errno);
    if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof(*address)) != 0) {
        return fail(Op::bind, errno);
    }
    if (::chmod(path.c_str(), 0600) != 0) return fail(Op::bind, errno);
    if (::listen(socket.get(), backlog) != 0) return fail(Op::listen, errno);
    return socket;
}

Result<UniqueFd> connect_unix(const std::string& path, bool non_blocking) {
    const auto address = unix_address(path);
    if (!address) return fail(Op::connect, address.error().code);
    const int type = SOCK_STREAM | SOCK_CLOEXEC | (non_blocking ? SOCK_NONBLOCK : 0);
    UniqueFd socket{::socket(AF_UNIX, type, 0)};
    if (!socket.is_open()) return fail(Op::socket, errno);
    if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof(*address)) !=
        0) {
        return fail(Op::connect, errno);
    }
    return socket;
}

Status send_datagram(const std::string& address, std::string_view bytes, int descriptor) {
    auto target = unix_address(address);
    if (!target) return tl::unexpected(target.error());
    auto length = static_cast<socklen_t>(sizeof(*target));
    if (address.front() == '@') {
        target->sun_path[0] = '\0';
        // An abstract name ends where the address does (unix(7)).
        length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address.size());
    }
    const UniqueFd socket{::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
    if (!socket.is_open()) return fail(Op::socket, errno);
    iovec part{const_cast<char*>(bytes.data()), bytes.size()};
    ControlBuffer control{};
    msghdr message{};
    message.msg_name = &*target;
    message.msg_namelen = length;
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    const std::span<const int> descriptors{&descriptor, 1};
    if (descriptor >= 0) add_descriptors(message, control, descriptors);
    if (::sendmsg(socket.get(), &message, MSG_NOSIGNAL) < 0) return fail(Op::send, errno);
    return {};
}

Status listen_again(int listener, int backlog) {
    if (::listen(listener, backlog) != 0) return fail(Op::listen, errno);
    return {};
}

Result<UniqueFd> accept_connection(int listener) {
    if (const int code = injected_error(Failpoint::sys_accept)) return fail(Op::accept, code);
    const int fd = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) return fail(Op::accept, errno);
    return UniqueFd{fd};
}

Result<PeerCredentials> peer_credentials(int fd) {
    ucred credentials{};
    socklen_t size = sizeof(credentials);
    if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) {
        return fail(Op::credentials, errno);
    }
    return PeerCredentials{credentials.pid, credentials.uid, credentials.gid};
}

Result<std::size_t> send_some(int fd, std::string_view bytes) {
    const auto count = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count < 0) return fail(Op::send, errno);
    return static_cast<std::size_t>(count);
}

Result<std::size_t> send_with_descriptor(int fd, std::string_view bytes, int descriptor) {
    iovec part{const_cast<char*>(bytes.data()), bytes.size()};
    ControlBuffer control{};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    add_descriptors(message, control, std::span<const int>{&descriptor, 1});
    const auto count = ::sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count < 0) return fail(Op::send, errno);
    return static_cast<std::size_t>(count);
}

Result<std::size_t> receive_some(int fd, std::span<std::byte> buffer, UniqueFd& descriptor) {
    Packet packet;
    if (auto received = receive_packet(fd, buffer, packet); !received) {
        return tl::unexpected(received.error());
    }
    if (packet.fd_count != 0) descriptor = std::move(packet.fds[packet.fd_count - 1]);
    return packet.bytes;
}

Status send_packet(int fd, std::span<const std::byte> bytes, std::span<const int> fds) {
    if (fds.size() > kMaxFdsInFlight) return fail(Op::send, EINVAL);
    iovec part{const_cast<std::byte*>(bytes.data()), bytes.size()};
    ControlBuffer control{};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    if (!fds.empty()) add_descriptors(message, control, fds);
    if (::sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) return fail(Op::send, errno);
    return {};
}

Status receive_packet(int fd, std::span<std::byte> buffer, Packet& packet) {
    packet = Packet{};
    iovec part{buffer.data(), buffer.size()};
    ControlBuffer control{};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.bytes.data();
    message.msg_controllen = control.bytes.size();
    const auto count = ::recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (count < 0) return fail(Op::receive, errno);
    packet.bytes = static_cast<std::size_t>(count);
    packet.is_truncated = (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0;
    for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;
         header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
        const std::size_t fds = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (std::size_t i = 0; i < fds; ++i) {
            int received = -1;
            std::memcpy(&received, CMSG_DATA(header) + i * sizeof(int), sizeof(int));
            UniqueFd owned{received};
            if (packet.fd_count < packet.fds.size())
                packet.fds[packet.fd_count++] = std::move(owned);
        }
    }
    return {};
}

Status wait_ready(int fd, bool readable, bool writable) {
    const int events = (readable ? POLLIN : 0) | (writable ? POLLOUT : 0);
    pollfd entry{.fd = fd, .events = static_cast<short>(events), .revents = 0};
    while (::poll(&entry, 1, -1) < 0) {
        if (errno != EINTR) return fail(Op::wait, errno);
    }
    return {};
}

}  // namespace cluster::sys
