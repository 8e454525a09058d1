#include "clusterctl/interrupt.hpp"

#include <sys/signalfd.h>
#include <unistd.h>

namespace cluster::clusterctl {

Interrupt::Interrupt() {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigprocmask(SIG_BLOCK, &signals, &before_);
    descriptor_ = sys::UniqueFd(::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!descriptor_.is_open()) sigprocmask(SIG_SETMASK, &before_, nullptr);
}

Interrupt::~Interrupt() {
    if (!descriptor_.is_open()) return;
    // A signal that was seen through the descriptor must not end us now, before the last words are
    // said.
    signalfd_siginfo seen{};
    while (::read(descriptor_.get(), &seen, sizeof seen) > 0) {
    }
    sigprocmask(SIG_SETMASK, &before_, nullptr);
}

}  // namespace cluster::clusterctl
