// Reloads in words: for the answers of operations, status and describe; and what workers.reload
// says before it begins.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/fleet.hpp"
#include "ctl/protocol.hpp"

namespace cluster::supervisor {

/// The operation is told about the place by its reload, not by its run.
[[nodiscard]] bool is_of_reload(const core::Place& place, Epoch epoch);

/// Fills in what became, or has become so far, of the reload of an instance.
void describe_reload(const core::Fleet& fleet, const core::Place& place, core::Outcome outcome,
                     const std::string& error_log, Instant now, ctl::InstanceOutcome& result);

/// "queued", "old", "new", "restarting", "signalled"; none for a place that no reload is about.
[[nodiscard]] std::optional<std::string_view> reload_word(const core::Fleet& fleet,
                                                          const core::Place& place);

/// Why the last reload of the instance failed; none when it did not.
[[nodiscard]] std::optional<std::string> reload_failure_text(const core::Fleet& fleet,
                                                             const core::Place& place);

/// Workers of these places that will serve less, or not at all, while they are reloaded; one
/// sentence each.
[[nodiscard]] std::vector<std::string> reload_warnings(
    const core::Fleet& fleet, const std::vector<const core::Place*>& places);

}  // namespace cluster::supervisor
