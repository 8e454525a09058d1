// The worker's end of a channel: a UNIX stream that was inherited or received, in whatever mode its
// owner has left it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "base/result.hpp"
#include "base/time.hpp"

namespace cluster::sys {

/// Whether the descriptor is a connected UNIX stream socket without a name of its own, as those of
/// socketpair are.
[[nodiscard]] bool is_stream_of_pair(int fd);

/// No program that this one starts gets it. Errors: {socket, errno}.
[[nodiscard]] Status set_close_on_exec(int fd);

/// Whether a call waits for something to come, where the descriptor is in blocking mode.
enum class Receive : std::uint8_t { now, waiting };
/// How many bytes came; 0 at the end of the stream. Errors: {receive, EAGAIN} nothing there;
/// {receive, EINTR} a signal came …
[[nodiscard]] Result<std::size_t> receive_bytes(int fd, std::span<char> buffer, Receive how);

/// What a stream is waited for.
struct StreamWait {
    bool readable = false;
    bool writable = false;
    std::optional<Duration> patience;  // none: for ever
};
/// False: the patience has ended. Errors: {wait, EINTR} a signal came …
[[nodiscard]] Result<bool> wait_stream(int fd, const StreamWait& wait);

}  // namespace cluster::sys
