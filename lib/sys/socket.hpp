// Sockets: the control socket, the link between keeper and supervisor, and descriptors in flight.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.hpp"
#include "sys/fd.hpp"

namespace cluster::sys {

/// SOCK_SEQPACKET pair, close-on-exec, non-blocking.
[[nodiscard]] Result<std::pair<UniqueFd, UniqueFd>> open_seqpacket_pair();

/// UNIX stream listener at `path` with mode 0600, non-blocking. The caller has made sure that the
/// path is free. Errors: {bind, ENAMETOOLONG} when the path does not fit sun_path (107 bytes).
[[nodiscard]] Result<UniqueFd> listen_unix(const std::string& path, int backlog);
/// The same listener once more: it goes on, and who connects from now on has us as its peer
/// (SO_PEERCRED). Errors: {listen, errno}.
[[nodiscard]] Status listen_again(int listener, int backlog);
/// UNIX stream connection, blocking mode unless `non_blocking`.
[[nodiscard]] Result<UniqueFd> connect_unix(const std::string& path, bool non_blocking = false);
/// Errors: {accept, EAGAIN}, {accept, EMFILE} …
[[nodiscard]] Result<UniqueFd> accept_connection(int listener);

struct PeerCredentials {
    std::int32_t pid;
    std::uint32_t uid;
    std::uint32_t gid;
};
[[nodiscard]] Result<PeerCredentials> peer_credentials(int fd);

/// Bytes of a stream. EAGAIN is an error like others; SIGPIPE is never raised.
[[nodiscard]] Result<std::size_t> send_some(int fd, std::string_view bytes);

/// The same with a descriptor beside the first byte. Requires: bytes. Errors: as above.
[[nodiscard]] Result<std::size_t> send_with_descriptor(int fd, std::string_view bytes,
                                                       int descriptor);
/// Bytes of a stream, and the descriptor that came beside them, if any: close-on-exec. More than
/// one are closed but for the last. Errors: {receive, EAGAIN} …
[[nodiscard]] Result<std::size_t> receive_some(int fd, std::span<std::byte> buffer,
                                               UniqueFd& descriptor);

/// One datagram to a UNIX socket: a path, or an abstract name written with '@' in front. Never
/// waits. A descriptor goes along unless it is negative. Errors: {send, errno}; {bind,
/// ENAMETOOLONG}.
[[nodiscard]] Status send_datagram(const std::string& address, std::string_view bytes,
                                   int descriptor = -1);

inline constexpr std::size_t kMaxFdsInFlight = 64;

/// One datagram with descriptors. Errors: {send, EAGAIN} (nothing was sent) …
[[nodiscard]] Status send_packet(int fd, std::span<const std::byte> bytes,
                                 std::span<const int> fds);

struct Packet {
    std::size_t bytes = 0;      // 0: the peer is gone
    bool is_truncated = false;  // of data or of descriptors
    std::array<UniqueFd, kMaxFdsInFlight> fds;
    std::size_t fd_count = 0;
};
/// One datagram into `buffer`; received descriptors are close-on-exec. Errors: {receive, EAGAIN} …
[[nodiscard]] Status receive_packet(int fd, std::span<std::byte> buffer, Packet& packet);

/// Waits until one descriptor is readable (or at its end) or writable. Interruptions by signals are
/// waited over.
[[nodiscard]] Status wait_ready(int fd, bool readable, bool writable);

}  // namespace cluster::sys
