// Moving bytes over a stream socket so that a kill at any instruction leaves known how many it was.
//
// The call's head lies in memory that outlives the process, and the kernel writes the number of
// bytes there before it returns (recvmmsg(2), sendmmsg(2): msg_len). A signal that kills takes
// effect only behind the call, which never waits. Source: net/socket.c; the test that looks at the
// number after a kill.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include "base/result.hpp"
#include "sys/fd.hpp"

namespace cluster::sys {

/// UNIX stream pair with room for `buffer` bytes in each direction, as far as the system allows.
/// Both are close-on-exec; the first one never waits.
[[nodiscard]] Result<std::pair<UniqueFd, UniqueFd>> open_stream_pair(std::size_t buffer);

/// mmsghdr of the kernel. Its number of bytes stands at kRecordedBytesAt.
inline constexpr std::size_t kRecordedCallBytes = 64;
inline constexpr std::size_t kRecordedBytesAt = 56;

/// What the next receive_recorded would say, without taking anything: true for bytes, false for the
/// end. Errors: {receive, EAGAIN} nothing there …
[[nodiscard]] Result<bool> peek_recorded(int fd);
/// Fills the pieces, the first one first. Descriptors that come along are closed and counted.
/// Returns true when bytes came, false at the end. Errors: {receive, EAGAIN} nothing there …
/// Requires: `call` has kRecordedCallBytes, aligned to 8, its number of bytes zero.
[[nodiscard]] Result<bool> receive_recorded(int fd, void* call, std::span<std::byte> first,
                                            std::span<std::byte> second,
                                            std::uint64_t& descriptors);
/// Sends of the pieces what fits, with a copy of `descriptor` unless it is negative. Errors: {send,
/// EAGAIN} nothing was sent, {send, EPIPE} …, {send, ETOOMANYREFS} too many copies are on their way.
[[nodiscard]] Status send_recorded(int fd, void* call, std::span<const std::byte> first,
                                   std::span<const std::byte> second, int descriptor = -1);

}  // namespace cluster::sys
