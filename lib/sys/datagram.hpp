// Datagrams whose sender the kernel names (the notify sockets), and TCP connections that are only
// made to see whether somebody answers.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "base/result.hpp"
#include "sys/fd.hpp"

namespace cluster::sys {

/// UNIX datagram socket at `path`, mode 0600, owned by the given user, non-blocking, with the
/// sender's credentials on every datagram. What lies at the path is removed first.
/// Errors: {bind, ENAMETOOLONG} when the path does not fit sun_path (107 bytes); {socket|bind, …}.
[[nodiscard]] Result<UniqueFd> bind_datagrams(const std::string& path, std::uint32_t uid,
                                              std::uint32_t gid);

/// More descriptors than that are closed by the kernel, and the datagram counts as truncated.
inline constexpr std::size_t kMaxDatagramFds = 16;

struct Datagram {
    std::size_t bytes = 0;
    bool is_truncated = false;  // of data or of descriptors
    std::int32_t pid = 0;       // the sender, by the kernel; 0: in another pid namespace
    std::uint32_t uid = 0;
    std::array<UniqueFd, kMaxDatagramFds> fds;
    std::size_t fd_count = 0;
};
/// The next datagram; with `is_peek` it stays where it is. Errors: {receive, EAGAIN} …
[[nodiscard]] Status receive_datagram(int fd, std::span<std::byte> buffer, bool is_peek,
                                      Datagram& datagram);

/// Begins a TCP connection to a numeric address. It is decided when the descriptor is writable.
/// Errors: {connect, EINVAL} no address; {connect, errno} when it fails at once.
[[nodiscard]] Result<UniqueFd> begin_connect(const std::string& host, std::uint16_t port);
/// True when the connection stands. One to itself, which a port of the ephemeral range allows when
/// nobody listens there, is none.
[[nodiscard]] bool is_connected(int fd);

}  // namespace cluster::sys
