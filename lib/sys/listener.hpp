// Listening sockets of every kind that a server may inherit, and who else has an address.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "base/result.hpp"
#include "base/time.hpp"
#include "sys/fd.hpp"

namespace cluster::sys {

struct ListenAddress {
    enum class Family : std::uint8_t { internet, path, abstract };
    enum class Type : std::uint8_t { stream, datagram, seqpacket };
    Family family = Family::internet;
    Type type = Type::stream;
    std::string host;  // internet: a numeric address; empty: every one, IPv6 and IPv4
    std::uint16_t port = 0;
    std::string path;  // path; abstract: the name
    bool ipv6_only = false;
};

struct ListenOptions {
    int backlog = 4096;
    bool reuse_port = false;
    bool nonblocking = false;
    bool reuse_address = false;  // datagrams: others who say so may have the port, too
};

/// Bound and, unless it takes datagrams, listening; close-on-exec. The file of a path has the mode
/// that the umask leaves. Errors: {bind, EINVAL} no numeric address; {bind, ENAMETOOLONG};
/// {socket|bind|listen, errno}.
[[nodiscard]] Result<UniqueFd> open_listener(const ListenAddress& address,
                                             const ListenOptions& options);
/// Gives an open socket other options. They hold for all who have it.
[[nodiscard]] Status adjust_listener(int fd, const ListenAddress& address,
                                     const ListenOptions& options);

/// Where it is bound: "127.0.0.1:8000", "[::1]:8000", "/run/app.sock", "@name". Errors: {stat, …}.
[[nodiscard]] Result<std::string> bound_address(int fd);
/// Connections that wait to be accepted (TCP), or bytes of the datagram that is next (UDP, UNIX
/// datagrams). Nothing where the kernel does not tell.
[[nodiscard]] std::optional<std::uint32_t> waiting_in(int fd);

/// Makes way for a UNIX socket at `path`: removes a socket to which nobody listens and which
/// belongs to one of `owners`. Errors: {bind, EADDRINUSE} somebody listens; {bind, ENOTSOCK} it is
/// something else; {check_owner, EPERM} it is another's; {stat|unlink, errno}.
[[nodiscard]] Status remove_stale_socket(const std::string& path, ListenAddress::Type type,
                                         std::span<const std::uint32_t> owners);
/// Mode and owner of the socket's file, which is never followed if it is a link. `mode`: permission
/// bits. An id of kKeepId stays. Errors: {open|stat|check_owner, errno}.
inline constexpr std::uint32_t kKeepId = ~std::uint32_t{0};
[[nodiscard]] Status set_socket_file(const std::string& path, std::uint32_t mode, std::uint32_t uid,
                                     std::uint32_t gid);

/// Who has the address, as far as /proc shows it. `pid` 0: somebody has it whose descriptors we may
/// not see, or who was not found within `patience`.
struct Holder {
    std::int32_t pid = 0;
    std::string name;  // of the program, as the kernel has it
};
/// Nothing: nobody is seen to have it. Takes no longer than `patience`, about.
[[nodiscard]] std::optional<Holder> find_holder(const ListenAddress& address, Duration patience);

}  // namespace cluster::sys
