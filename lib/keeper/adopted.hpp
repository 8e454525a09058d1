// Processes that are not our children, watched all the same: the runs of a keeper that is dead, and
// its supervisor. Nobody is told of their end by a reap, so their pidfds say it.
//
// A pidfd is readable from the death on, and hung up from the moment at which whoever became the
// parent has reaped. From then on the kernel says how it ended (Linux 6.15), and up to then /proc
// does. An end is told after the reap, which init makes at once; for a parent that takes its time
// nobody waits long. Owns: nothing; the caller's pidfds stay open while they are watched.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "base/result.hpp"
#include "base/time.hpp"
#include "ev/loop.hpp"
#include "sys/process.hpp"

namespace cluster::keeper {

class Adopted {
public:
    /// So long the parent has to reap before the end is told all the same.
    static constexpr Duration kBurialPatience = std::chrono::milliseconds(20);

    explicit Adopted(ev::Loop& loop) : loop_(loop) {}
    Adopted(const Adopted&) = delete;
    Adopted& operator=(const Adopted&) = delete;

    /// Errors: {epoll, errno}.
    [[nodiscard]] Status watch(std::int32_t pid, int pidfd, Duration patience = kBurialPatience);
    /// Those whose end is known by now; each is told once and not watched any more. The code is 0
    /// where nobody knows how it ended. Their pidfds may be closed.
    [[nodiscard]] std::vector<sys::Reaped> take_ended(Instant now);
    [[nodiscard]] std::optional<Instant> next_deadline() const;

private:
    struct Process {
        std::int32_t pid;
        int pidfd;
        ev::Watch watch;
        Duration patience;
        bool is_dead = false;    // seen in this turn or before
        bool is_buried = false;  // reaped
        std::optional<Instant> due;
    };
    void on_ready(std::int32_t pid, const ev::Ready& ready);
    [[nodiscard]] bool has_ended(Process& process, sys::Reaped& end, Instant now);

    ev::Loop& loop_;
    std::vector<Process> processes_;
    std::size_t dead_ = 0;
};

}  // namespace cluster::keeper
