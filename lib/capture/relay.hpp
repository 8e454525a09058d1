// A second pipe, between a busy worker's own and its log.
//
// splice(2) into a file copies with the pipe's lock held, and a worker that writes meanwhile waits
// for it, or spins: the two take turns. Between two pipes it moves pages and copies nothing, so
// through a relay the worker writes its next bytes while we copy the last ones.
//
// Both pipes have the kernel's usual capacity. A wider one makes fewer and larger steps, which
// take more new pages at once: 0.36 s of CPU a GiB instead of 0.48 where memory is at hand, and up
// to 4 s in a virtual machine whose host takes free pages back.
//
// What is in the relay is older than what is in the worker's pipe. Both steps move bytes within
// one call of the kernel, so a kill at any instruction leaves each byte in one of the pipes or in
// the log. It must be in the keeper's custody before the first byte moves; a successor empties it
// first. Owns: its duplicate of the one descriptor that both reads and writes the pipe.
#pragma once

#include <cstddef>
#include <utility>

#include "base/result.hpp"
#include "sys/fd.hpp"

namespace cluster::capture {

class Relay {
public:
    /// Errors: those of pipe2(2) and open(2).
    [[nodiscard]] static Result<Relay> create();
    /// Out of custody, with what a predecessor has left in it. Errors: those of ioctl(2): no pipe.
    [[nodiscard]] static Result<Relay> attach(sys::UniqueFd pipe);

    [[nodiscard]] int descriptor() const { return pipe_.get(); }
    /// Bytes in it.
    [[nodiscard]] std::size_t waiting() const { return waiting_; }

    /// Takes at most `limit` bytes out of the worker's pipe. 0: that has ended. Requires: waiting()
    /// is 0. Errors: {splice, EAGAIN} that is empty.
    [[nodiscard]] Result<std::size_t> fill(int pipe, std::size_t limit);
    /// Somebody has read so many bytes out of it.
    void note_taken(std::size_t bytes) { waiting_ -= bytes; }

private:
    Relay(sys::UniqueFd pipe, std::size_t waiting) : pipe_(std::move(pipe)), waiting_(waiting) {}

    sys::UniqueFd pipe_;
    std::size_t waiting_;
};

}  // namespace cluster::capture
