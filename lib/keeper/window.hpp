// The window: descriptor numbers that the keeper keeps free of everything else, and through which a
// child gets what its plan attaches.
//
// A child that gets a copy of the keeper's table of descriptors pays for each of its thousands,
// once when it is copied and once when it is closed. So it shares the table instead, and makes a
// copy of its own of the numbers below kEnd only (close_range(2), CLOSE_RANGE_UNSHARE). What is
// attached has to lie there: it is put into the window before, and taken out of it after the spawn.
// In between every number of the window is taken by /dev/null, so that nothing else gets it.
#pragma once

#include <span>

#include "base/result.hpp"
#include "wire/message.hpp"
#include "wire/plan.hpp"

namespace cluster::keeper::window {

/// Behind the targets of a plan.
inline constexpr int kBegin = wire::kMaxTargetFd;
inline constexpr int kEnd = kBegin + static_cast<int>(wire::kMaxFdsPerMessage);

/// Takes the numbers that are free. Before anything is opened; what was inherited there is moved by
/// move_out(). Errors: {open, errno}, {dup, errno} the limit of open files is too low.
[[nodiscard]] Status reserve();

/// The descriptor, or, when it lies in the window, a close-on-exec duplicate behind it in its
/// place. Errors: {dup, errno}.
[[nodiscard]] Result<int> move_out(int fd);

/// Puts duplicates into the window, the first one at kBegin. Requires: reserve(), room for all.
/// Errors: {dup, errno}.
[[nodiscard]] Status put(std::span<const int> fds);
/// Takes the first `count` out again.
void clear(std::size_t count);

}  // namespace cluster::keeper::window
