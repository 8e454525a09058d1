// What a config file will do to the fleet, worker by worker and key by key, before anything is
// done: the one answer that `start FILE`, `apply` and `apply --dry-run` share. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/time.hpp"
#include "core/fleet.hpp"
#include "ctl/protocol.hpp"

namespace cluster::supervisor {

enum class Scope : std::uint8_t {
    /// The workers of the file are added and updated, and those that are down are started where
    /// autostart says so. No other worker is touched.
    add,
    /// As add, by somebody who has just started the daemon: what that brought back from its
    /// remembered state and has ended since is not run a second time.
    add_after_restore,
    /// As add; besides, workers that came from the file and are gone from it are stopped and
    /// deleted. What
    /// somebody stopped stays stopped; what had given up or ended starts again if its table was
    /// changed.
    exact,
};

struct LoadPlan {
    std::vector<ctl::PlannedWorker> workers;  // in the order of the file, then the deleted ones
    core::Config config;                      // what to load
    std::vector<std::uint32_t> removed;       // indices of workers
    std::vector<Slot> started;                // instances that there are, down, and to be started
};

/// `path`: the file. A worker that differs in nothing but the PATH of whoever loads the file keeps
/// the one that it has, so that the same file from another shell changes nothing.
[[nodiscard]] LoadPlan plan_load(const core::Fleet& fleet, core::Config config,
                                 const std::string& path, Scope scope);

/// Why the plan cannot be carried out as a whole: too many workers or instances, a worker that
/// would be required and is not there, a cycle. Nothing: it can.
[[nodiscard]] std::optional<ctl::RpcError> check_plan(const core::Fleet& fleet,
                                                      const LoadPlan& plan);

/// Does what the plan says, as a new operation. Requires: check_plan found nothing. Returns the
/// name of a worker that the fleet refused all the same, which cannot be.
[[nodiscard]] std::optional<std::string> carry_out(core::Fleet& fleet, const LoadPlan& plan,
                                                   Instant now);

}  // namespace cluster::supervisor
