// Readiness behind four functions, so that tests and simulations can put their own in place of
// epoll.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "base/result.hpp"
#include "base/time.hpp"

namespace cluster::ev {

/// Which readiness is asked for. Hang-ups and errors are always reported, as readable.
struct Interest {
    bool readable = true;
    bool writable = false;

    friend bool operator==(const Interest&, const Interest&) = default;
};

struct Ready {
    std::uint64_t token = 0;
    bool readable = false;  // or at its end, or in error: a read will tell
    bool writable = false;
    bool hung_up = false;  // the other end is gone; what it wrote may still be there
    bool is_drained = false;  // hung up, and what it wrote was gone a moment before that
};

/// Level-triggered.
class Poller {
public:
    virtual ~Poller() = default;
    virtual Status add(int fd, Interest interest, std::uint64_t token) = 0;
    virtual Status modify(int fd, Interest interest, std::uint64_t token) = 0;
    virtual void remove(int fd) = 0;
    /// Waits until something is ready or `timeout` has passed (none: for ever; zero: not at all).
    /// Returns how many entries of `ready` were filled; 0 also after an interrupting signal.
    virtual std::size_t wait(std::optional<Duration> timeout, std::span<Ready> ready) = 0;
};

}  // namespace cluster::ev
