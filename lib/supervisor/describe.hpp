// Everything known about one instance, put together for `describe` and `env`.
#pragma once

#include "base/time.hpp"
#include "core/fleet.hpp"
#include "ctl/protocol.hpp"
#include "supervisor/keeper_link.hpp"
#include "supervisor/records.hpp"
#include "supervisor/sockets.hpp"

namespace cluster::supervisor {

/// So many instances are described by one request: each costs some reading below /proc.
inline constexpr std::size_t kMaxDescribed = 64;
/// Descriptors of a process that are listed; the others are counted.
inline constexpr std::size_t kMaxDescriptors = 256;

/// `status`: the instance's row, which the answer repeats.
[[nodiscard]] ctl::Description describe_instance(const core::Fleet& fleet, const Records& records,
                                                 const Sockets& sockets, const core::Place& place,
                                                 ctl::WorkerStatus status, Instant now);

}  // namespace cluster::supervisor
