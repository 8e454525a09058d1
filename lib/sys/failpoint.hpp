// Failpoints: where the tests make this process die, or one of its system calls fail.
//
// Only in builds with CLUSTER_FAILPOINTS; in any other a point is no code at all, which
// tests/crash/failpoints holds against the symbols. CLUSTER_FAILPOINTS in the environment names a
// directory; a point is armed while the file PROGRAM.POINT is in it, and the file says what
// happens:
//
//     ACTION [FIRST [COUNT]]     ACTION: crash, EMFILE, EAGAIN, ENOSPC or ENOMEM
//
// from the FIRST passing (1) since the file was seen, COUNT times (1; 0: until the file is
// removed). The point removes the file before it acts for the last time: a successor of a process
// that crashed lives, and a test sees that the point was reached.
#pragma once

#include "base/failpoint.hpp"

namespace cluster::sys {

#ifdef CLUSTER_FAILPOINTS

/// An errno that the caller is to fail with, or 0. Does not return when a crash is due.
[[nodiscard]] int injected_error(Failpoint point);
/// A crash point: nothing that could fail.
inline void pass(Failpoint point) {
    static_cast<void>(injected_error(point));
}

#else

[[nodiscard]] constexpr int injected_error(Failpoint) {
    return 0;
}
constexpr void pass(Failpoint) {}

#endif

}  // namespace cluster::sys
