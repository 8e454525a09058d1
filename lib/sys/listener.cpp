#include "sys/listener.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>

#include "sys/file.hpp"

namespace cluster::sys {
namespace {

using Family = ListenAddress::Family;
using Type = ListenAddress::Type;

struct Address {
    sockaddr_storage storage{};
    socklen_t size = 0;

    [[nodiscard]] const sockaddr* get() const {
        return reinterpret_cast<const sockaddr*>(&storage);
    }
    [[nodiscard]] int family() const { return storage.ss_family; }
};

int kernel_type(Type type) {
    switch (type) {
        case Type::stream:
            return SOCK_STREAM;
        case Type::datagram:
            return SOCK_DGRAM;
        case Type::seqpacket:
            break;
    }
    return SOCK_SEQPACKET;
}

/// Interfaces may be named ("fe80::1%eth0"), which inet_pton does not know; no name is looked up.
Result<Address> internet_address(const std::string& host, std::uint16_t port) {
    addrinfo wanted{};
    wanted.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
    wanted.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    const std::string service = std::to_string(port);
    if (::getaddrinfo(host.c_str(), service.c_str(), &wanted, &found) != 0) {
        return fail(Op::bind, EINVAL);
    }
    Address address;
    std::memcpy(&address.storage, found->ai_addr, found->ai_addrlen);
    address.size = found->ai_addrlen;
    ::freeaddrinfo(found);
    return address;
}

Result<Address> unix_address(const ListenAddress& wanted) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string& path = wanted.path;
    if (path.empty() || path.size() >= sizeof(address.sun_path))
        return fail(Op::bind, ENAMETOOLONG);
    const bool is_abstract = wanted.family == Family::abstract;
    std::memcpy(address.sun_path + (is_abstract ? 1 : 0), path.data(), path.size());
    Address result;
    std::memcpy(&result.storage, &address, sizeof(address));
    // An abstract name ends where the address does (unix(7)).
    const std::size_t size = offsetof(sockaddr_un, sun_path) + path.size() + 1;
    result.size = static_cast<socklen_t>(size);
    return result;
}

Status set_flag(int fd, int level, int option, bool value) {
    const int number = value ? 1 : 0;
    if (::setsockopt(fd, level, option, &number, sizeof(number)) != 0) {
        return fail(Op::bind, errno);
    }
    return {};
}

/// What has to be said before bind.
Status prepare(int fd, const ListenAddress& wanted, int family, const ListenOptions& options) {
    if (family == AF_UNIX) return {};
    if (family == AF_INET6) {
        if (auto set = set_flag(fd, IPPROTO_IPV6, IPV6_V6ONLY, wanted.ipv6_only); !set) return set;
    }
    // Connections of an earlier process that linger must not keep the port from us; for UDP it
    // would mean that others may take datagrams away.
    if (wanted.type == Type::stream || options.reuse_address) {
        if (auto set = set_flag(fd, SOL_SOCKET, SO_REUSEADDR, true); !set) return set;
    }
    return options.reuse_port ? set_flag(fd, SOL_SOCKET, SO_REUSEPORT, true) : Status{};
}

Result<UniqueFd> open_at(const Address& address, const ListenAddress& wanted,
                         const ListenOptions& options) {
    const int flags = SOCK_CLOEXEC | (options.nonblocking ? SOCK_NONBLOCK : 0);
    UniqueFd fd{::socket(address.family(), kernel_type(wanted.type) | flags, 0)};
    if (!fd.is_open()) return fail(Op::socket, errno);
    if (auto set = prepare(fd.get(), wanted, address.family(), options); !set) {
        return tl::unexpected(set.error());
    }
    if (::bind(fd.get(), address.get(), address.size) != 0) return fail(Op::bind, errno);
    if (wanted.type != Type::datagram && ::listen(fd.get(), options.backlog) != 0) {
        return fail(Op::listen, errno);
    }
    return fd;
}

std::string bracketed(const sockaddr_in6& six) {
    std::array<char, NI_MAXHOST> host{};
    const auto* address = reinterpret_cast<const sockaddr*>(&six);
    if (::getnameinfo(address, sizeof(six), host.data(), host.size(), nullptr, 0, NI_NUMERICHOST) !=
        0) {
        return "[?]";
    }
    return "[" + std::string(host.data()) + "]";
}

std::string unix_text(const sockaddr_un& address, socklen_t size) {
    const std::size_t start = offsetof(sockaddr_un, sun_path);
    if (size <= start) return "";
    const std::string_view bytes{address.sun_path, size - start};
    if (bytes.front() == '\0') return "@" + std::string(bytes.substr(1));
    return std::string(bytes.substr(0, bytes.find('\0')));
}

/// Without waiting. Errors: {connect, ECONNREFUSED} nobody listens …
Status try_connect(const std::string& path, Type type) {
    ListenAddress wanted;
    wanted.family = Family::path;
    wanted.path = path;
    const auto address = unix_address(wanted);
    if (!address) return tl::unexpected(address.error());
    const UniqueFd fd{::socket(AF_UNIX, kernel_type(type) | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
    if (!fd.is_open()) return fail(Op::socket, errno);
    if (::connect(fd.get(), address->get(), address->size) != 0) return fail(Op::connect, errno);
    return {};
}

/// A socket of one type refuses to be connected to as another type with EPROTOTYPE, listened to or
/// not.
bool is_listened_to(const std::string& path, Type type) {
    std::array<Type, 4> types{type, Type::stream, Type::datagram, Type::seqpacket};
    for (const Type each : types) {
        const Status connected = try_connect(path, each);
        if (connected) return true;
        const int code = connected.error().code;
        if (code == ECONNREFUSED || code == ENOENT) return false;
        // EAGAIN: its backlog is full. Whatever else: we cannot tell that it is stale.
        if (code != EPROTOTYPE) return true;
    }
    return true;
}

}  // namespace

Result<UniqueFd> open_listener(const ListenAddress& wanted, const ListenOptions& options) {
    if (wanted.family != Family::internet) {
        const auto address = unix_address(wanted);
        if (!address) return tl::unexpected(address.error());
        return open_at(*address, wanted, options);
    }
    const auto address = internet_address(wanted.host.empty() ? "::" : wanted.host, wanted.port);
    if (!address) return tl::unexpected(address.error());
    auto opened = open_at(*address, wanted, options);
    const bool lacks_ipv6 = !opened && (opened.error().code == EAFNOSUPPORT ||
                                        opened.error().code == EADDRNOTAVAIL);
    if (!lacks_ipv6 || !wanted.host.empty() || wanted.ipv6_only) return opened;
    const auto four = internet_address("0.0.0.0", wanted.port);
    if (!four) return tl::unexpected(four.error());
    return open_at(*four, wanted, options);
}

Status adjust_listener(int fd, const ListenAddress& address, const ListenOptions& options) {
    const int flags = ::fcntl(fd, F_GETFL);
    if (flags < 0) return fail(Op::listen, errno);
    const int wanted = options.nonblocking ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
    if (wanted != flags && ::fcntl(fd, F_SETFL, wanted) != 0) return fail(Op::listen, errno);
    if (address.family == Family::internet) {
        if (auto set = set_flag(fd, SOL_SOCKET, SO_REUSEPORT, options.reuse_port); !set) return set;
    }
    if (address.type != Type::datagram && ::listen(fd, options.backlog) != 0) {
        return fail(Op::listen, errno);
    }
    return {};
}

Result<std::string> bound_address(int fd) {
    sockaddr_storage storage{};
    socklen_t size = sizeof(storage);
    if (::getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &size) != 0) {
        return fail(Op::stat, errno);
    }
    if (storage.ss_family == AF_INET) {
        sockaddr_in four{};
        std::memcpy(&four, &storage, sizeof(four));
        std::array<char, INET_ADDRSTRLEN> host{};
        static_cast<void>(::inet_ntop(AF_INET, &four.sin_addr, host.data(), host.size()));
        return std::string(host.data()) + ":" + std::to_string(ntohs(four.sin_port));
    }
    if (storage.ss_family == AF_INET6) {
        sockaddr_in6 six{};
        std::memcpy(&six, &storage, sizeof(six));
        return bracketed(six) + ":" + std::to_string(ntohs(six.sin6_port));
    }
    sockaddr_un local{};
    std::memcpy(&local, &storage, std::min<std::size_t>(size, sizeof(local)));
    return unix_text(local, size);
}

std::optional<std::uint32_t> waiting_in(int fd) {
    int type = 0;
    int domain = 0;
    socklen_t size = sizeof(type);
    if (::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) != 0) return std::nullopt;
    size = sizeof(domain);
    if (::getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) != 0) return std::nullopt;
    if (type == SOCK_DGRAM) {
        int bytes = 0;
        if (::ioctl(fd, FIONREAD, &bytes) != 0 || bytes < 0) return std::nullopt;
        return static_cast<std::uint32_t>(bytes);
    }
    if (domain == AF_UNIX) return std::nullopt;
    // Of a listening socket: tcpi_unacked is the length of its accept queue (tcp_get_info).
    tcp_info info{};
    size = sizeof(info);
    if (::getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return std::nullopt;
    return info.tcpi_unacked;
}

Status remove_stale_socket(const std::string& path, Type type,
                           std::span<const std::uint32_t> owners) {
    const auto info = file_info(path);
    if (!info) {
        if (info.error().code == ENOENT) return {};
        return tl::unexpected(info.error());
    }
    if (!S_ISSOCK(info->mode)) return fail(Op::bind, ENOTSOCK);
    if (is_listened_to(path, type)) return fail(Op::bind, EADDRINUSE);
    if (std::find(owners.begin(), owners.end(), info->uid) == owners.end()) {
        return fail(Op::check_owner, EPERM);
    }
    return remove_file(path);
}

Status set_socket_file(const std::string& path, std::uint32_t mode, std::uint32_t uid,
                       std::uint32_t gid) {
    const auto file = open_file(path, O_PATH | O_NOFOLLOW);
    if (!file) return tl::unexpected(file.error());
    const auto info = file_info(file->get());
    if (!info) return tl::unexpected(info.error());
    // Whoever may write in the directory could have put a link there since.
    if (!S_ISSOCK(info->mode)) return fail(Op::stat, ENOTSOCK);
    if (uid != kKeepId || gid != kKeepId) {
        if (::fchownat(file->get(), "", uid, gid, AT_EMPTY_PATH) != 0) {
            return fail(Op::check_owner, errno);
        }
    }
    // fchmod refuses descriptors without access; the link below /proc is the way around.
    const std::string link = "/proc/self/fd/" + std::to_string(file->get());
    if (::chmod(link.c_str(), mode) != 0) return fail(Op::open, errno);
    return {};
}

}  // namespace cluster::sys
