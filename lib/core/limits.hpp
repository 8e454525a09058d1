// The sliding window over automatic restarts, kept in History so that it survives the supervisor.
#pragma once

#include "base/time.hpp"
#include "core/instance.hpp"
#include "core/spec.hpp"

namespace cluster::core {

/// True when an automatic restart at `at` would be more than `limit.count` within `limit.window`.
/// Requires: `at` is not before the newest noted restart.
[[nodiscard]] bool would_exceed(const RestartLimit& limit, const History& history, Instant at);

/// Counts an automatic restart, in the window and in what `status` shows.
void note_restart(History& history, Instant at);

/// Somebody starts it by hand: its past restarts no longer count against it. What is left is
/// `last_exit`.
void forget_restarts(History& history);

}  // namespace cluster::core
