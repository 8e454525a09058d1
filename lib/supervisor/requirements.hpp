// What `requires` means to requests and to people: which sets of workers cannot be, and in words
// what an instance waits for.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/time.hpp"
#include "core/fleet.hpp"

namespace cluster::supervisor {

/// Why these specs cannot join or replace those of the fleet: a worker that does not exist is
/// required, or a cycle would come to be. Nothing: they can.
[[nodiscard]] std::optional<std::string> requirement_mistake(
    const core::Fleet& fleet, const std::vector<core::WorkerSpec>& specs);

/// Why these workers cannot be deleted: one that stays requires one of them. Nothing: they can.
[[nodiscard]] std::optional<std::string> deletion_mistake(
    const core::Fleet& fleet, const std::vector<std::uint32_t>& workers);

/// The specs in an order in which those that require others come first.
[[nodiscard]] std::vector<const core::WorkerSpec*> dependents_first(
    const std::vector<core::WorkerSpec>& specs);

/// As failure_text and pending_text of wording.hpp, for an instance that may wait for others.
[[nodiscard]] std::string failure_text(const core::Fleet& fleet, const core::Place& place);
[[nodiscard]] std::string pending_text(const core::Fleet& fleet, const core::Place& place,
                                       Instant now);

/// "db to be ready", "api to stop", "others to be ready (parallel_starts)"; nothing for an instance
/// that waits for nobody.
[[nodiscard]] std::optional<std::string> waits_for_text(const core::Fleet& fleet,
                                                        const core::Place& place);

}  // namespace cluster::supervisor
