#include "capture/relay.hpp"

#include <fcntl.h>

#include "sys/failpoint.hpp"
#include "sys/file.hpp"

namespace cluster::capture {

Result<Relay> Relay::create() {
    const auto ends = sys::open_pipe();
    if (!ends) return tl::unexpected(ends.error());
    // One descriptor for both ends: one to hold, and no end of its own ever comes.
    auto pipe = sys::reopen(ends->read_end.get(), O_RDWR | O_NONBLOCK);
    if (!pipe) return tl::unexpected(pipe.error());
    return Relay{std::move(*pipe), 0};
}

Result<Relay> Relay::attach(sys::UniqueFd pipe) {
    const auto waiting = sys::bytes_in_pipe(pipe.get());
    if (!waiting) return tl::unexpected(waiting.error());
    return Relay{std::move(pipe), *waiting};
}

Result<std::size_t> Relay::fill(int pipe, std::size_t limit) {
    auto moved = sys::splice_to_pipe(pipe, pipe_.get(), limit);
    if (moved) waiting_ += *moved;
    sys::pass(Failpoint::relay_filled);
    return moved;
}

}  // namespace cluster::capture
