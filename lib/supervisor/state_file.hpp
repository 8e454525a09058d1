// The state memfd: everything a successor of this supervisor has to know that the keeper's table
// does not say.
//
// Fixed records, each in two halves with a sequence number and a checksum. A change is written into
// the older half, so a kill at any instruction leaves the newer one whole; a reader takes the valid
// half with the higher sequence. What few instances have (restarts, a reload) lies apart from their
// places, in memory that the others never touch. The supervisor writes a record before it executes
// the actions that follow from it (write-ahead), and the keeper keeps the file. The specs
// themselves are sealed memfds in the keeper's custody; a WorkerRecord names its revision. Byte
// tables: STATE.md. The bytes come from our own predecessor, but perhaps a broken one: every field
// is checked.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <type_traits>
#include <vector>

#include "base/result.hpp"
#include "core/fleet.hpp"
#include "supervisor/exit_ring.hpp"
#include "sys/fd.hpp"
#include "sys/memory.hpp"
#include "wire/table.hpp"

namespace cluster::supervisor {

inline constexpr std::uint64_t kStateMagic = 0x3145544154534C43;  // "CLSTATE1" in memory
inline constexpr std::uint32_t kStateVersion = 2;
inline constexpr std::uint32_t kMaxWorkers = 4096;
/// Why kMaxSlots places: a slot stands for one instance.
inline constexpr std::uint32_t kMaxPlaces = wire::kMaxSlots;

/// The daemon as a whole.
struct FleetRecord {
    std::uint64_t last_epoch;
    std::uint64_t next_order;       // for WorkerRecord::order
    std::uint64_t daemon_revision;  // of the spec memfd that holds the [daemon] table and the paths
    std::uint32_t is_shutting_down;
    std::uint32_t is_populated;  // 0 until everything of the first start was stored
};
static_assert(sizeof(FleetRecord) == 32 && std::is_trivially_copyable_v<FleetRecord>);

/// One worker; index: Worker::index.
struct WorkerRecord {
    std::uint32_t is_used;
    std::uint32_t is_deleted;
    std::uint64_t revision;  // names the memfd with its spec
    std::uint64_t order;     // of creation
    std::uint64_t reserved;
};
static_assert(sizeof(WorkerRecord) == 32 && std::is_trivially_copyable_v<WorkerRecord>);

/// What a place knows of its reload.
struct ReloadRecord {
    std::uint64_t epoch;
    std::uint64_t next;
    std::uint64_t former;
    std::uint64_t generation;
    std::int64_t since_ns;
    std::int64_t exit_ns;
    std::int32_t exit_value;
    std::int32_t exit_op;
    std::uint8_t phase;
    std::uint8_t outcome;
    std::uint8_t former_outcome;
    std::uint8_t exit_is_known;
    std::uint8_t exit_kind;
    std::uint8_t exit_reason;
    std::uint8_t exit_dumped;
    std::uint8_t reserved[9];

    friend bool operator==(const ReloadRecord&, const ReloadRecord&) = default;
};
static_assert(sizeof(ReloadRecord) == 72 && std::is_trivially_copyable_v<ReloadRecord>);

/// One place of an instance; index: its slot.
struct PlaceRecord {
    std::uint32_t is_used;
    std::uint32_t worker;
    std::uint32_t number;
    std::uint8_t role;  // core::Role
    std::uint8_t desired;
    std::uint8_t outcome;
    std::uint8_t state;  // index of the alternative in core::State
    std::uint64_t epoch;
    std::uint64_t generation;
    std::int64_t since_ns;     // starting, running, stopping, waiting
    std::int64_t deadline_ns;  // backoff: until; stopping: kill_at; running: limit, 0: none
    std::int64_t ready_ns;     // running: ready_at; 0: not ready
    std::uint8_t flags[4];     // STATE.md: by state
    std::uint32_t restarts;
    std::uint32_t failures_in_row;
    std::uint32_t restart_count;
    std::uint8_t exit_is_known;
    std::uint8_t exit_kind;
    std::uint8_t exit_reason;
    std::uint8_t exit_dumped;
    std::int32_t exit_value;
    std::int32_t exit_op;
    std::uint8_t hold;
    std::uint8_t reserved[3];
    std::int64_t exit_ns;
    std::uint64_t revision;
    std::uint64_t history;  // sequence of the half of the HistoryRecord that belongs to it; 0: none
};
static_assert(sizeof(PlaceRecord) == 112 && std::is_trivially_copyable_v<PlaceRecord>);

/// What most instances never have; index: their slot. All zero is never stored.
struct HistoryRecord {
    std::int64_t restart_ns[core::kMaxRestartLimitCount];
    ReloadRecord reload;

    friend bool operator==(const HistoryRecord&, const HistoryRecord&) = default;
};
static_assert(sizeof(HistoryRecord) == 8 * core::kMaxRestartLimitCount + 72);
static_assert(std::is_trivially_copyable_v<HistoryRecord>);

template <class Payload>
struct Half {
    std::uint64_t sequence;  // 0: never written
    std::uint64_t checksum;  // of sequence and payload
    Payload payload;
};

template <class Payload>
struct Record {
    Half<Payload> halves[2];
};

struct StateHeader {
    std::uint64_t magic;
    std::uint32_t version;
    std::uint32_t header_bytes;
    std::uint32_t worker_record_bytes;
    std::uint32_t place_record_bytes;
    std::uint32_t max_workers;
    std::uint32_t max_places;
    std::uint32_t workers_used;  // records [0, workers_used) may be in use; never shrinks, so that
                                 // a reader leaves
    std::uint32_t places_used;   // the rest of the file alone: even a look would make the kernel
                                 // give it memory
    std::uint32_t exit_ring_bytes;
    std::uint32_t history_record_bytes;
    std::uint8_t reserved[4096 - 48];
};
static_assert(sizeof(StateHeader) == 4096);

struct StateLayout {
    StateHeader header;
    Record<FleetRecord> fleet;
    Record<WorkerRecord> workers[kMaxWorkers];
    Record<PlaceRecord> places[kMaxPlaces];
    ExitRing exits[kMaxPlaces];                   // index: slot
    Record<HistoryRecord> histories[kMaxPlaces];  // index: slot
};

/// A place as it is stored. `record.history` is the file's own.
struct StoredPlace {
    PlaceRecord record{};
    HistoryRecord history{};
};
[[nodiscard]] StoredPlace encode_place(const core::Place& place);
/// Errors: nothing, for records whose fields are out of range.
[[nodiscard]] std::optional<core::Place> decode_place(const StoredPlace& stored, Slot slot);

class StateFile {
public:
    /// A new, empty one.
    [[nodiscard]] static Result<StateFile> create();
    /// The predecessor's. Errors: {map, EPROTO} when it is of another version or size.
    [[nodiscard]] static Result<StateFile> attach(sys::UniqueFd file);

    [[nodiscard]] int descriptor() const { return file_.get(); }

    [[nodiscard]] FleetRecord fleet() const;
    void store_fleet(const FleetRecord& record);
    void store_worker(std::uint32_t index, const WorkerRecord& record);
    void store_place(Slot slot, const StoredPlace& place);

    /// The exits of the instance in a slot. What was never written is not looked at by these: the
    /// caller asks only where place records say that there was an exit.
    void append_exit(Slot slot, const ExitEntry& entry);
    void clear_exits(Slot slot);
    [[nodiscard]] std::vector<ExitEntry> exits(Slot slot) const;

    struct StoredWorker {
        std::uint32_t index;
        WorkerRecord record;
    };
    /// In order of creation.
    [[nodiscard]] std::vector<StoredWorker> workers() const;
    [[nodiscard]] std::vector<core::Place> places() const;

private:
    StateFile(sys::UniqueFd file, sys::Mapping mapping);
    [[nodiscard]] StateLayout& layout() const { return *mapping_.as<StateLayout>(); }
    sys::UniqueFd file_;
    sys::Mapping mapping_;
};

}  // namespace cluster::supervisor
