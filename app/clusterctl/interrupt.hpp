// While an object of this kind lives, SIGINT and SIGTERM end no process: they become readable on a
// descriptor.
//
// For the verbs that wait: the user who presses Ctrl-C must be told that the daemon goes on. Not
// nestable.
#pragma once

#include <csignal>

#include "sys/fd.hpp"

namespace cluster::clusterctl {

class Interrupt {
public:
    Interrupt();
    ~Interrupt();
    Interrupt(const Interrupt&) = delete;
    Interrupt& operator=(const Interrupt&) = delete;

    /// Readable as soon as a signal has come; -1 where the kernel gave none (then signals end us as
    /// usual).
    [[nodiscard]] int descriptor() const { return descriptor_.get(); }

private:
    sigset_t before_{};
    sys::UniqueFd descriptor_;
};

}  // namespace cluster::clusterctl
