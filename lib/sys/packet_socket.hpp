// UNIX sockets of whole packets at a path: the attach sockets of instances.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

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
/// `patience` at most. With a prefix it has an abstract address of its own that begins so, which
/// abstract_peer_name shows to the other side. Errors: {connect, ETIMEDOUT}; {connect,
/// ENOENT|ECONNREFUSED|EACCES …}; {bind, errno}.
[[nodiscard]] Result<UniqueFd> connect_packets(const std::string& path, Duration patience,
                                               std::string_view own_prefix = {});

/// The abstract address of who has connected, without its zero byte; empty: it has none.
[[nodiscard]] std::string abstract_peer_name(int fd);

/// Waits until the descriptor is readable or at its end. Errors: {wait, ETIMEDOUT}.
[[nodiscard]] Status wait_readable(int fd, Duration patience);

}  // namespace cluster::sys
