// UNIX sockets of whole packets at a path: the attach sockets of instances.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.hpp"
#include "base/time.hpp"
#include "sys/fd.hpp"

namespace cluster::sys {

/// SOCK_SEQPACKET listener at `path`, mode 0600, owned by the given user, non-blocking. What lies
/// at the path is removed first. Errors: {bind, ENAMETOOLONG} when the path does not fit sun_path
/// (107 bytes); {socket|bind|listen, …}.
[[nodiscard]] Result<UniqueFd> listen_packets(const std::string& path, std::uint32_t uid,
                                              std::uint32_t gid, int backlog);

/// A connection to such a socket, in blocking mode. Waits for room in its queue of connections, for
/// `patience` at most. Errors: {connect, ETIMEDOUT}; {connect, ENOENT|ECONNREFUSED|EACCES …}.
[[nodiscard]] Result<UniqueFd> connect_packets(const std::string& path, Duration patience);

/// Waits until the descriptor is readable or at its end. Errors: {wait, ETIMEDOUT}.
[[nodiscard]] Status wait_readable(int fd, Duration patience);

}  // namespace cluster::sys
