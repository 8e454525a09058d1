#include "sys/datagram.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "sys/failpoint.hpp"

namespace cluster::sys {
namespace {

union ControlBuffer {
    cmsghdr align;
    std::array<char, CMSG_SPACE(sizeof(int) * kMaxDatagramFds) + CMSG_SPACE(sizeof(ucred))> bytes;
};

void take_control(const msghdr& message, Datagram& datagram) {
    auto* const writable = const_cast<msghdr*>(&message);  // CMSG_NXTHDR wants it so
    for (cmsghdr* header = CMSG_FIRSTHDR(writable); header != nullptr;
         header = CMSG_NXTHDR(writable, header)) {
        if (header->cmsg_level != SOL_SOCKET) continue;
        const std::size_t bytes = header->cmsg_len - CMSG_LEN(0);
        if (header->cmsg_type == SCM_CREDENTIALS && bytes >= sizeof(ucred)) {
            ucred credentials{};
            std::memcpy(&credentials, CMSG_DATA(header), sizeof(credentials));
            datagram.pid = credentials.pid;
            datagram.uid = credentials.uid;
        } else if (header->cmsg_type == SCM_RIGHTS) {
            for (std::size_t i = 0; i < bytes / sizeof(int); ++i) {
                int fd = -1;
                std::memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof(int));
                UniqueFd owned{fd};
                if (datagram.fd_count < datagram.fds.size()) {
                    datagram.fds[datagram.fd_count++] = std::move(owned);
                } else {
                    datagram.is_truncated = true;
                }
            }
        }
    }
}

struct InternetAddress {
    sockaddr_storage storage{};
    socklen_t size = 0;
};

Result<InternetAddress> internet_address(const std::string& host, std::uint16_t port) {
    InternetAddress address;
    sockaddr_in four{};
    sockaddr_in6 six{};
    if (::inet_pton(AF_INET, host.c_str(), &four.sin_addr) == 1) {
        four.sin_family = AF_INET;
        four.sin_port = htons(port);
        std::memcpy(&address.storage, &four, sizeof(four));
        address.size = sizeof(four);
    } else if (::inet_pton(AF_INET6, host.c_str(), &six.sin6_addr) == 1) {
        six.sin6_family = AF_INET6;
        six.sin6_port = htons(port);
        std::memcpy(&address.storage, &six, sizeof(six));
        address.size = sizeof(six);
    } else {
        return fail(Op::connect, EINVAL);
    }
    return address;
}

}  // namespace

Result<UniqueFd> bind_datagrams(const std::string& path, std::uint32_t uid, std::uint32_t gid) {
    if (const int code = injected_error(Failpoint::sys_socket)) return fail(Op::socket, code);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.empty() || path.size() >= sizeof(address.sun_path)) {
        return fail(Op::bind, ENAMETOOLONG);
    }
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    UniqueFd socket{::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
    if (!socket.is_open()) return fail(Op::socket, errno);
    const int on = 1;
    if (::setsockopt(socket.get(), SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) != 0) {
        return fail(Op::socket, errno);
    }
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) return fail(Op::bind, errno);
    // Before bind, so that the file is born with this mode (unix(7)).
    if (::fchmod(socket.get(), 0600) != 0) return fail(Op::bind, errno);
    if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
        return fail(Op::bind, errno);
    }
    const bool is_own = uid == ::geteuid() && gid == ::getegid();
    if (!is_own && ::lchown(path.c_str(), uid, gid) != 0) return fail(Op::bind, errno);
    return socket;
}

Status receive_datagram(int fd, std::span<std::byte> buffer, bool is_peek, Datagram& datagram) {
    for (std::size_t i = 0; i < datagram.fd_count; ++i) datagram.fds[i].reset();
    datagram.fd_count = 0;
    datagram.pid = 0;
    iovec part{buffer.data(), buffer.size()};
    ControlBuffer control{};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.bytes.data();
    message.msg_controllen = control.bytes.size();
    const int flags = MSG_DONTWAIT | MSG_CMSG_CLOEXEC | MSG_TRUNC | (is_peek ? MSG_PEEK : 0);
    ssize_t count = 0;
    do {
        count = ::recvmsg(fd, &message, flags);
    } while (count < 0 && errno == EINTR);
    if (count < 0) return fail(Op::receive, errno);
    datagram.is_truncated = (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0;
    datagram.bytes = std::min(static_cast<std::size_t>(count), buffer.size());
    take_control(message, datagram);
    return {};
}

Result<UniqueFd> begin_connect(const std::string& host, std::uint16_t port) {
    const auto address = internet_address(host, port);
    if (!address) return tl::unexpected(address.error());
    UniqueFd socket{
        ::socket(address->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
    if (!socket.is_open()) return fail(Op::socket, errno);
    const auto* const target = reinterpret_cast<const sockaddr*>(&address->storage);
    if (::connect(socket.get(), target, address->size) != 0 && errno != EINPROGRESS) {
        return fail(Op::connect, errno);
    }
    return socket;
}

bool is_connected(int fd) {
    int error = 0;
    socklen_t size = sizeof(error);
    if (::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0 || error != 0) return false;
    sockaddr_storage own{};
    sockaddr_storage peer{};
    socklen_t own_size = sizeof(own);
    socklen_t peer_size = sizeof(peer);
    if (::getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &peer_size) != 0) return false;
    if (::getsockname(fd, reinterpret_cast<sockaddr*>(&own), &own_size) != 0) return false;
    return own_size != peer_size || std::memcmp(&own, &peer, own_size) != 0;
}

}  // namespace cluster::sys
