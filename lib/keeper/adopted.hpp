// Processes that are not our children, watched all the same: the runs of a keeper that is dead, and
// its supervisor. Nobody is told of their end by a reap, so their pidfds say it.
//
// A pidfd is readable from the death on, and on newer kernels hung up from the moment at which
// whoever became the parent has reaped. From then on the kernel says how it ended (Linux 6.15), and
// up to then /proc does. An end is told after the reap, which init makes at once; for a parent that
// takes its time, or a kernel that does not tell, nobody waits long. A process is named by what the
// caller calls it and never by its pid, which may be somebody else's by then. Owns: nothing; the
// caller's pidfds stay open while they are watched.
#pragma once

#include <cstdint>
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

    /// Requires: nothing else is watched under this name. Errors: {epoll, errno}.
    [[nodiscard]] Status watch(std::uint32_t name, std::int32_t pid, int pidfd,
                               Duration patience = kBurialPatience);
    struct Ended {
        std::uint32_t name;
        sys::Reaped exit;  // the code is 0 where nobody knows how it ended
    };
    /// Those whose end is known by now; each is told once and not watched any more. Their pidfds
    /// may be closed.
    [[nodiscard]] std::vector<Ended> take_ended(Instant now);
    [[nodiscard]] std::optional<Instant> next_deadline() const;

private:
    struct Process {
        std::uint32_t name;
        std::int32_t pid;
        int pidfd;
        ev::Watch watch;
        Duration patience;
        bool is_dead = false;    // seen in this turn or before
        bool is_buried = false;  // reaped
        std::optional<sys::ProcessEnd> end;
        std::optional<Instant> due;
    };
    void on_ready(std::uint32_t name, const ev::Ready& ready);
    [[nodiscard]] bool has_ended(Process& process, sys::Reaped& exit, Instant now);

    ev::Loop& loop_;
    std::vector<Process> processes_;
    std::size_t dead_ = 0;
};

}  // namespace cluster::keeper
