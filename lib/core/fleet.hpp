// All workers of the daemon and all their instances: what is wanted, what is, and which slot stands for which instance.
//
// Pure like instance.hpp: commands and events in, actions per slot out. The shell (supervisor) executes the actions,
// stores what `dirty` lists, and feeds back what the keeper reports. Iteration order is the order of creation, so the
// same input always gives the same output.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/instance.hpp"
#include "core/spec.hpp"

namespace cluster::core {

/// One place of a worker. A *retired* instance was scaled away or its worker was deleted: it is being stopped and
/// disappears when it has stopped.
struct Place {
    std::uint32_t worker = 0;  // index into Fleet::workers()
    std::uint32_t number = 0;  // api.<number>
    Slot slot;
    bool is_retired = false;
    Instance instance;
};

struct Worker {
    WorkerSpec spec;
    std::uint32_t index = 0;
    std::uint64_t revision = 0;  // grows with each change of the spec
    bool is_deleted = false;     // gone from `status`; kept until its last instance has stopped
    std::vector<Slot> slots;     // by instance number; dense: slots[i] is the slot of instance i
};

struct SlotAction {
    Slot slot;
    Action action;
};

/// What a command did. `epoch` names the operation; `touched` counts the instances it concerns.
struct Accepted {
    Epoch epoch;
    std::uint32_t touched = 0;
};

enum class Refusal : std::uint8_t {
    none,
    no_such_worker,
    name_taken,
    too_many_instances,  // more than the slots that are left, or than kMaxInstancesPerWorker
    too_many_workers,
};

/// Progress of one operation over the instances that it concerned and that no later operation took over.
struct Progress {
    std::uint32_t pending = 0;
    std::uint32_t done = 0;
    std::uint32_t failed = 0;
    std::vector<Slot> pending_slots;
    std::vector<Slot> failed_slots;
    [[nodiscard]] bool is_settled() const { return pending == 0; }
};

class Fleet {
public:
    struct Bounds {
        std::uint32_t slots;    // slots 0 … slots-1 may be used
        std::uint32_t workers;
    };

    Fleet(Bounds bounds, std::uint64_t seed);

    // --- commands: each takes the next epoch, changes what is wanted, and appends actions -----------------------

    /// Opens the next operation. Every command below belongs to the operation that was begun last.
    Epoch begin_operation();

    /// Adds a worker; starts it when spec.autostart or `start` says so. Generations of its slots go on from
    /// `last_generation(slot)`, which the caller set by `note_generation`.
    Refusal add(WorkerSpec spec, bool start, Instant now);
    /// Replaces the spec: instance count is adjusted; running instances restart if anything but `instances`,
    /// `autostart`, `group` or `source` differs.
    Refusal update(WorkerSpec spec, Instant now);
    Refusal scale(std::uint32_t worker, std::uint32_t instances, Instant now);
    void start(Slot slot, Instant now);
    void stop(Slot slot, Instant now);
    void restart(Slot slot, Instant now);
    /// Stops all its instances and forgets the worker when they have stopped.
    void remove(std::uint32_t worker, Instant now);

    // --- the world --------------------------------------------------------------------------------------------

    /// An event of the slot's process. Unknown slots and older generations are ignored.
    void on_event(Slot slot, const Event& event, Instant now);
    /// Delivers Tick to every instance whose deadline is due.
    void on_time(Instant now);

    // --- what comes out -----------------------------------------------------------------------------------------

    /// Actions since the last call, in order.
    [[nodiscard]] std::vector<SlotAction> take_actions();
    /// Slots whose Place changed (or vanished) since the last call, each once.
    [[nodiscard]] std::vector<Slot> take_dirty_slots();
    /// Indices of workers whose record changed (or vanished) since the last call, each once.
    [[nodiscard]] std::vector<std::uint32_t> take_dirty_workers();

    [[nodiscard]] std::optional<Instant> next_deadline() const;
    [[nodiscard]] Progress progress(Epoch epoch) const;
    [[nodiscard]] Epoch last_epoch() const;

    [[nodiscard]] const Place* find(Slot slot) const;
    [[nodiscard]] const Worker* find_worker(std::string_view name) const;  // never a deleted one
    [[nodiscard]] const Worker* worker(std::uint32_t index) const;         // also a deleted one; null: none
    /// Live (not deleted) workers in order of creation.
    [[nodiscard]] std::vector<const Worker*> workers() const;
    /// Every place, retired ones included, ordered by worker's creation and instance number.
    [[nodiscard]] std::vector<const Place*> places() const;
    /// True when nothing is starting, running or stopping.
    [[nodiscard]] bool is_idle() const;

    // --- recovery: a successor of the supervisor puts back what its predecessor stored ---------------------------

    void restore_epoch(Epoch epoch);
    void restore_worker(Worker worker);  // with slots empty
    void restore_place(Place place);
    /// The highest generation that the keeper's table shows for a slot.
    void note_generation(Slot slot, Generation generation);
    /// A busy slot is not given to another instance: output of an earlier run of it is still being written.
    void set_slot_busy(Slot slot, bool is_busy);

private:
    // The implementer fills this in.
};

}  // namespace cluster::core
