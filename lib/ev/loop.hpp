// The event loop that keeper and supervisor share: level-triggered readiness, one clock reading per
// turn, a deadline that is asked for and never armed.
//
// A turn is: wait until something is ready or the deadline has come; read the clock once; call the
// watcher of each ready descriptor; then call `after` once, where the owner acts on everything the
// turn brought. A watcher that was removed during the turn is not called any more, even if its
// descriptor number was given to another: tokens carry a generation. The loop owns no descriptor
// and knows none's meaning. One thread.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "ev/poller.hpp"

struct epoll_event;  // <sys/epoll.h>

namespace cluster::ev {

/// epoll(7). Errors of its creation are found by `is_open`.
class EpollPoller final : public Poller {
public:
    EpollPoller();
    ~EpollPoller() override;
    EpollPoller(const EpollPoller&) = delete;
    EpollPoller& operator=(const EpollPoller&) = delete;

    [[nodiscard]] bool is_open() const { return epoll_ >= 0; }
    Status add(int fd, Interest interest, std::uint64_t token) override;
    Status modify(int fd, Interest interest, std::uint64_t token) override;
    void remove(int fd) override;
    std::size_t wait(std::optional<Duration> timeout, std::span<Ready> ready) override;

private:
    [[nodiscard]] int wait_for(std::optional<Duration> timeout, std::span<epoll_event> events);

    int epoll_ = -1;
    bool is_fine_ = true;  // the kernel waits to the nanosecond (epoll_pwait2, Linux 5.11)
};

/// Names one watch. Comparing equal means the same watch, not the same descriptor.
struct Watch {
    std::uint32_t index = 0;
    std::uint32_t generation = 0;  // 0: no watch

    [[nodiscard]] bool is_set() const { return generation != 0; }
    friend bool operator==(const Watch&, const Watch&) = default;
};

class Loop {
public:
    using Handler = std::function<void(const Ready&)>;
    /// One turn's batch; what is left over is ready again at the next turn.
    static constexpr std::size_t kMaxReadyPerTurn = 512;

    explicit Loop(Poller& poller) : poller_(poller), ready_(kMaxReadyPerTurn) {}

    /// Calls `handler` whenever `fd` is ready. Requires: fd stays open until remove(). A
    /// handler that captures more than two words costs a block of the heap (std::function).
    Result<Watch> add(int fd, Interest interest, Handler handler);
    Status modify(Watch watch, Interest interest);
    void remove(Watch watch);  // an unset or stale watch is ignored

    /// Waits and dispatches once. `deadline`: when to come back at the latest; `now`: reads the
    /// clock. Returns the instant of this turn. Requires: no handler calls it.
    Instant turn(std::optional<Instant> deadline, Instant (*now)());

private:
    struct Entry {
        int fd = -1;
        std::uint32_t generation = 0;  // odd: in use
        Handler handler;  // empty while it runs: turn() has it then, so that it may remove itself
    };
    [[nodiscard]] Entry* find(Watch watch);

    Poller& poller_;
    std::vector<Ready> ready_;  // of this turn
    std::vector<Entry> entries_;
    std::vector<std::uint32_t> free_;
};

}  // namespace cluster::ev
