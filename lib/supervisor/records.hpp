// What the supervisor stores for its successor, and how the successor reads it: the state memfd
// (records of fixed size) and the specs (sealed memfds of any size), both in the keeper's custody.
// STATE.md has the layouts and the order of writes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/fleet.hpp"
#include "json/text.hpp"
#include "supervisor/keeper_link.hpp"
#include "supervisor/state_file.hpp"

namespace cluster::supervisor {

/// Of the daemon itself: what `[daemon]` said, and where the first config came from.
struct DaemonRecord {
    core::DaemonSpec spec;
    core::ChannelSpec channel;
    std::string log_dir;  // absolute; the one in force
    std::optional<std::string> config;
    std::vector<core::StoreSpec> stores{};  // in force; only grows, so that an index names one
    /// spec is that of an earlier daemon: the next file may say otherwise.
    bool is_remembered = false;
};

/// All of it as JSON.
[[nodiscard]] std::string render_daemon(const DaemonRecord& record);
/// What cannot be read is as by default.
[[nodiscard]] DaemonRecord parse_daemon(const std::string& text);
/// The same, where it is part of a document.
[[nodiscard]] DaemonRecord read_daemon(const json::Json& object);

/// For texts that a supervisor wrote: a bound on memory and on recursion, far above what it writes.
inline constexpr json::ParseBounds kRecordBounds{.depth = 64,
                                                 .values = std::size_t{1} << 23U,
                                                 .keys_per_object = std::size_t{1} << 12U,
                                                 .last_key_counts = true};

/// The text in a memfd of the keeper's custody. Errors: {read, EFBIG}, those of stat and read.
[[nodiscard]] Result<std::string> read_held_text(int fd);

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
    /// Grows with each store_daemon().
    [[nodiscard]] std::uint64_t daemon_revision() const { return fleet_.daemon_revision; }
    [[nodiscard]] bool is_shutting_down() const { return fleet_.is_shutting_down != 0; }

    /// The link was moved to its final place.
    void rebind(KeeperLink& keeper) { keeper_ = &keeper; }

    void store_daemon(DaemonRecord record);
    void store_shutdown();
    struct Exit {
        Slot slot;
        ExitEntry entry;
    };
    struct Changes {
        std::vector<Slot> slots;   // whose places changed or vanished
        bool has_workers = false;  // a worker came, went or has another spec
        std::vector<Exit> exits;   // that became known
        [[nodiscard]] bool is_empty() const { return slots.empty() && !has_workers; }
    };
    /// Stores everything that changed in the fleet since the last call.
    /// `before_forgotten(slot)`: the record of the slot's instance is cleared next.
    Changes store_changes(core::Fleet& fleet, const std::function<void(Slot)>& before_forgotten);
    /// The newest exits of the instance in the slot, oldest first.
    [[nodiscard]] std::vector<ExitEntry> exits(Slot slot) const;

private:
    Records(KeeperLink& keeper, StateFile file) : keeper_(&keeper), file_(std::move(file)) {}
    void store_worker(const core::Fleet& fleet, std::uint32_t index);
    void store_place(const core::Fleet& fleet, Slot slot, Changes& changes);
    [[nodiscard]] ExitEntry make_exit(const core::Place& place) const;
    void hold_text(std::uint16_t index, std::uint64_t revision, const std::string& text);
    void hold_file(std::uint16_t index, std::uint64_t revision, const std::string& text,
                   const sys::UniqueFd& file);
    void drop_texts();
    void drop_unnamed(const core::Worker& worker);
    [[nodiscard]] std::map<std::uint64_t, core::WorkerSpec> restore_older(
        const WorkerRecord& record, std::uint32_t index, const std::set<std::uint64_t>& named);
    void restore_daemon();

    KeeperLink* keeper_;
    StateFile file_;
    sys::UniqueFd spare_;  // given up when a spec must be stored and no other descriptor is left
    FleetRecord fleet_{};
    DaemonRecord daemon_;
    std::map<std::uint32_t, WorkerRecord> workers_;  // as stored, by index
    /// By index: the revisions whose specs the keeper holds.
    std::map<std::uint32_t, std::set<std::uint64_t>> held_;
    std::unordered_map<Slot, Instant> last_exits_;  // the newest in each ring; none: it is empty
    std::map<std::uint32_t, std::map<std::uint64_t, std::string>>
        texts_;  // restored specs: index, revision
};

}  // namespace cluster::supervisor
