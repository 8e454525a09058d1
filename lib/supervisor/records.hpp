// What the supervisor stores for its successor, and how the successor reads it: the state memfd
// (records of fixed size) and the specs (sealed memfds of any size), both in the keeper's custody.
// STATE.md has the layouts and the order of writes.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/fleet.hpp"
#include "supervisor/keeper_link.hpp"
#include "supervisor/state_file.hpp"

namespace cluster::supervisor {

/// Of the daemon itself: what `[daemon]` said, and where the first config came from.
struct DaemonRecord {
    core::DaemonSpec spec;
    std::string log_dir;  // absolute; the one in force
    std::optional<std::string> config;
};

class Records {
public:
    /// A first start: an empty state memfd goes into custody. Errors: those of memfd and mmap.
    [[nodiscard]] static Result<Records> create(KeeperLink& keeper);
    /// A later start. `held`: the descriptors of kinds state and spec are taken out of it.
    /// Errors: {not_held, ENOENT} when there is no state memfd: a first start; {map, EPROTO} of
    /// another version.
    [[nodiscard]] static Result<Records> attach(KeeperLink& keeper,
                                                std::vector<HeldDescriptor>& held);

    /// Puts workers and places back into an empty fleet. Returns what could not be used, in words.
    [[nodiscard]] std::vector<std::string> restore(core::Fleet& fleet);
    [[nodiscard]] const DaemonRecord& daemon() const { return daemon_; }
    [[nodiscard]] bool is_shutting_down() const { return fleet_.is_shutting_down != 0; }

    /// The link was moved to its final place.
    void rebind(KeeperLink& keeper) { keeper_ = &keeper; }

    void store_daemon(DaemonRecord record);
    void store_shutdown();
    struct Changes {
        std::vector<Slot> slots;   // whose places changed or vanished
        bool has_workers = false;  // a worker came, went or has another spec
        [[nodiscard]] bool is_empty() const { return slots.empty() && !has_workers; }
    };
    /// Stores everything that changed in the fleet since the last call.
    Changes store_changes(core::Fleet& fleet);

private:
    Records(KeeperLink& keeper, StateFile file) : keeper_(&keeper), file_(std::move(file)) {}
    void store_worker(const core::Fleet& fleet, std::uint32_t index);
    void store_place(const core::Fleet& fleet, Slot slot);
    void hold_text(std::uint16_t index, std::uint64_t revision, const std::string& text);
    void restore_daemon();

    KeeperLink* keeper_;
    StateFile file_;
    FleetRecord fleet_{};
    DaemonRecord daemon_;
    std::map<std::uint32_t, WorkerRecord> workers_;  // as stored, by index
    std::map<std::uint32_t, std::map<std::uint64_t, std::string>>
        texts_;  // restored specs: index, revision
};

}  // namespace cluster::supervisor
