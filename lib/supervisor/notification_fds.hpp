// The descriptors on which runs say that they are ready by writing a line, as s6 has it: what the
// line says does not matter, and one that never comes is not made up for by the end of the pipe.
//
// The keeper holds our end until the run is over: neither a killed supervisor nor a worker that
// writes on is a SIGPIPE to it. The line is looked at and left in the pipe, so a successor finds
// it, too. Source: s6, "Service startup notifications".
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "base/ids.hpp"
#include "base/result.hpp"
#include "ev/loop.hpp"
#include "supervisor/inheritance.hpp"
#include "supervisor/keeper_link.hpp"
#include "sys/fd.hpp"

namespace cluster::supervisor {

/// Index of the pipe's read end among what is held of a run under the kind `notify`.
inline constexpr std::uint16_t kHeldNotification = 2;

class NotificationFds {
public:
    NotificationFds(ev::Loop& loop, KeeperLink& keeper) : loop_(loop), keeper_(keeper) {}

    /// A pipe for a run that is about to be spawned. Errors: {pipe, errno}.
    [[nodiscard]] Status open(Run run, int number, Inheritance& inheritance);
    /// Our end of the pipe of a run that a predecessor opened.
    void resume(Run run, sys::UniqueFd read_end);
    /// The run is over, or never came to be.
    void close(Run run);
    /// Reads now what the run has written so far, before its exit is told.
    void drain(Run run);
    /// Nothing is held any more of a run in this slot that is not `current`.
    void forget_others(Slot slot, Generation current);
    void forget(Slot slot);

    /// Runs that have written their line since the last call.
    [[nodiscard]] std::vector<Run> take_ready();
    /// Why it will not be ready; "": it still may be, or is.
    [[nodiscard]] std::string failure(Run run) const;

private:
    struct Entry {
        Run run;
        sys::UniqueFd read_end;
        ev::Watch watch;  // unset: nothing more is to be learned from it
        bool is_closed_unsaid = false;
    };
    void add(Run run, sys::UniqueFd read_end);
    void read(Entry& entry);

    ev::Loop& loop_;
    KeeperLink& keeper_;
    std::unordered_map<Slot, Entry> entries_;
    std::vector<Run> ready_;
};

}  // namespace cluster::supervisor
