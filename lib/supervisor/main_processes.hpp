// Runs whose main process is another one than the keeper has spawned: who says MAINPID=, be it
// because the program puts itself into the background, or because a new master took over.
//
// The keeper goes on to spawn and to reap, and its record of the slot stays what it is. When the
// spawned process ends and the main one lives, the run goes on: the exit is not told before the
// main process has ended, and what is sent to the run is sent to the main process, too. The keeper
// holds the pidfds, so a successor knows as much. Whose process it is was judged by whoever calls
// set(). How it ended the kernel tells from Linux 6.15 on; before that it reads "unknown".
#pragma once

#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

#include "base/ids.hpp"
#include "base/time.hpp"
#include "core/instance.hpp"
#include "ev/loop.hpp"
#include "supervisor/keeper_link.hpp"
#include "sys/fd.hpp"

namespace cluster::supervisor {

/// Index of the pidfd among what is held of a run under the kind `notify`.
inline constexpr std::uint16_t kHeldMainProcess = 3;

class MainProcesses {
public:
    /// So long after its end a main process is waited for to be reaped, which is when the kernel
    /// knows how it ended.
    static constexpr Duration kReapPatience = std::chrono::milliseconds{100};

    MainProcesses(ev::Loop& loop, KeeperLink& keeper) : loop_(loop), keeper_(keeper) {}

    /// `leader`: the process that was spawned; as main process it is the usual case.
    /// `pidfd`: of the process `pid`.
    void set(Run run, std::int32_t pid, sys::UniqueFd pidfd, std::int32_t leader);
    /// The pidfd that a predecessor held.
    void resume(Run run, sys::UniqueFd pidfd);
    void close(Run run);
    void forget(Slot slot);
    void forget_others(Slot slot, Generation current);

    /// Nothing: it is the process that was spawned.
    [[nodiscard]] std::optional<std::int32_t> pid(Run run) const;
    /// True while it lives, or may not have been reaped yet.
    [[nodiscard]] bool is_alive(Run run) const;
    /// How it ended; nothing: there is none, or it lives.
    [[nodiscard]] std::optional<core::ExitStatus> exit_status(Run run) const;

    /// A signal to the run, of whose group the main process may be no member.
    void signal(Run run, int signal, bool then_continue);
    /// A signal to the main process alone, whichever that is. False: it does not run.
    bool signal_main(Run run, int signal);

    void on_time(Instant now);
    [[nodiscard]] std::optional<Instant> next_deadline() const;
    /// Runs whose main process has ended since the last call.
    [[nodiscard]] std::vector<Run> take_ended();

private:
    struct Entry {
        Run run;
        std::int32_t pid = 0;
        sys::UniqueFd pidfd;
        ev::Watch watch;                 // unset: it is dead
        std::optional<Instant> died_at;  // as far as was seen; set by the first turn after that
        std::optional<core::ExitStatus> status;
    };
    void add(Run run, std::int32_t pid, sys::UniqueFd pidfd);
    [[nodiscard]] const Entry* find(Run run) const;

    ev::Loop& loop_;
    KeeperLink& keeper_;
    std::unordered_map<Slot, Entry> entries_;
    std::vector<Run> ended_;
};

}  // namespace cluster::supervisor
