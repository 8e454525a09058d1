// All workers of the daemon and all their instances: what is wanted, what is, and which slot stands
// for which instance.
//
// Pure like instance.hpp: commands and events in, actions per slot out. The shell (supervisor)
// executes the actions, stores what `dirty` lists, and feeds back what the keeper reports.
// Iteration order is the order of creation, so the same input always gives the same output.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.hpp"
#include "base/prng.hpp"
#include "base/time.hpp"
#include "core/deadlines.hpp"
#include "core/instance.hpp"
#include "core/reload.hpp"
#include "core/spec.hpp"

namespace cluster::core {

/// What a place is to its instance. The value is stored in the state memfd: append, never reorder.
enum class Role : std::uint8_t {
    current,   // it is the instance
    retired,   // scaled away, replaced, or its worker was deleted: it is being stopped and
               // disappears when it has stopped
    incoming,  // the other slot of an instance that is reloaded: it becomes current, or goes
};

/// One place of a worker.
struct Place {
    std::uint32_t worker = 0;  // index into Fleet::workers()
    std::uint32_t number = 0;  // api.<number>
    Slot slot;
    Role role = Role::current;
    std::uint64_t revision = 0;  // of the spec that its runs are started with: Fleet::spec_of
    Reload reload;               // of a current one, and what an incoming one must know of it
    Instance instance;
};

struct Worker {
    WorkerSpec spec;
    std::uint32_t index = 0;
    std::uint64_t revision = 0;  // names this spec: no two specs of the fleet ever share one
    bool is_deleted = false;     // gone from `status`; kept until its last instance has stopped
    std::vector<Slot> slots;     // by instance number; dense: slots[i] is the slot of instance i
    /// Specs that the worker had before, by revision: those whose runs are still there.
    std::map<std::uint64_t, WorkerSpec> older{};
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

/// What keeps an instance from going on, as of now.
struct WaitsFor {
    /// To start: what it requires and is not ready, or wants and is on its way. To stop: who comes
    /// after it and has not left.
    std::vector<std::string> workers;
    std::string failed;     // one of them that will not be ready soon; empty: none
    bool for_room = false;  // parallel_starts others are starting
    [[nodiscard]] bool is_nothing() const { return workers.empty() && !for_room; }
};

/// Progress of one operation over the instances that it concerned and that no later operation took
/// over.
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
        std::uint32_t slots;  // slots 0 … slots-1 may be used
        std::uint32_t workers;
    };

    Fleet(Bounds bounds, std::uint64_t seed);

    // --- commands: they change what is wanted, and append actions ---

    /// Opens the next operation. Every command below belongs to the operation that was begun last.
    Epoch begin_operation();

    /// Adds a worker; starts it when spec.autostart or `start` says so. Generations of its slots go
    /// on from the highest that the slot ever had (see note_generation).
    Refusal add(WorkerSpec spec, bool start, Instant now);
    /// Adds a worker without starting anything of it, whatever its autostart says.
    Refusal add_stopped(WorkerSpec spec);
    /// Replaces the spec of the worker of that name. The instance count is adjusted: added
    /// instances start when others of the worker are wanted up, or, where there are none, when
    /// autostart says so. What is up is reloaded only where needs_new_run() says so, and keeps the
    /// spec that it was started with until then; everything else holds from now on for the runs
    /// that there are.
    Refusal update(WorkerSpec spec, Instant now);
    /// Adds instances and starts them, or stops those of the highest numbers and forgets them when
    /// they have stopped.
    Refusal scale(std::uint32_t worker, std::uint32_t instances, Instant now);
    /// Unknown slots are ignored here and below; so is a start or restart of a retired instance.
    /// Also starts what their workers require or want and is down; an instance whose requirements
    /// are not all ready waits for them.
    void start(const std::vector<Slot>& slots, Instant now);
    /// Also stops the workers that require one of which nothing stays wanted up. An instance goes
    /// on until those that require it have left.
    void stop(const std::vector<Slot>& slots, Instant now);
    /// As start; those of them that require others of them leave first and come back last.
    void restart(const std::vector<Slot>& slots, Instant now);
    /// Replaces the runs of what is wanted up by new ones, as the worker's `reload` says: a few at
    /// a time, and no further when one fails. What is being reloaded already is reloaded again
    /// after that; `force`: instead of that.
    void reload(const std::vector<Slot>& slots, bool force, Instant now);
    void start(Slot slot, Instant now);
    void stop(Slot slot, Instant now);
    void restart(Slot slot, Instant now);
    /// Forgets the failures of an instance: its automatic restarts, its backoff, and that it was
    /// given up. What is wanted up and waits or has given up is started at once. False: neither.
    bool reset(Slot slot, Instant now);
    /// Stops all its instances and forgets the worker when they have stopped. Of several, those
    /// that require others leave first. The caller has made sure that nobody else requires it.
    void remove(std::uint32_t worker, Instant now);
    void remove(const std::vector<std::uint32_t>& workers, Instant now);

    /// [daemon] parallel_starts: so many instances may be between spawn and ready; 0: any number.
    void set_parallel_starts(std::uint32_t count);

    // --- the world ---

    /// An event of the slot's process. Unknown slots and older generations are ignored.
    void on_event(Slot slot, const Event& event, Instant now);
    /// Delivers one Tick to every instance whose deadline is due, in the order of deadlines; then
    /// lets everything go on whose wait is over. Call it last in each turn.
    void on_time(Instant now);

    // --- what comes out ---

    /// Actions since the last call, in order.
    [[nodiscard]] std::vector<SlotAction> take_actions();
    /// Slots whose Place changed (or vanished) since the last call, each once, in the order in which
    /// they have to be stored: a kill between any two of them never leaves two current places of
    /// one instance.
    [[nodiscard]] std::vector<Slot> take_dirty_slots();
    /// These, in the order of the changes, and they stay listed.
    [[nodiscard]] const std::vector<std::uint32_t>& dirty_slots() const {
        return dirty_slots_.list();
    }
    /// Indices of workers whose record changed (or vanished) since the last call, each once.
    [[nodiscard]] std::vector<std::uint32_t> take_dirty_workers();

    [[nodiscard]] std::optional<Instant> next_deadline() const;
    [[nodiscard]] Progress progress(Epoch epoch) const;
    /// What the operation is told about the place; nothing: it is not about it.
    [[nodiscard]] static std::optional<Outcome> outcome(const Place& place, Epoch epoch);
    [[nodiscard]] Epoch last_epoch() const;

    [[nodiscard]] const Place* find(Slot slot) const {
        return slot.value < places_.size() ? places_[slot.value].get() : nullptr;
    }
    /// The place that this run is the present one of, and not over; null: there is none.
    [[nodiscard]] const Place* find(Run run) const;
    /// The spec that the runs of a place are started with. Requires: a place of this fleet.
    [[nodiscard]] const WorkerSpec& spec_of(const Place& place) const;
    /// The incoming place of an instance; null: none.
    [[nodiscard]] const Place* incoming(const Place& current) const;
    /// True when it was started with a spec that its worker no longer has.
    [[nodiscard]] bool is_behind(const Place& place) const;
    /// True while something of the worker waits to be replaced, or is being.
    [[nodiscard]] bool is_reloading(const Worker& worker) const;
    /// How the instance would be reloaded now.
    [[nodiscard]] ReloadMode reload_mode_of(const Place& place) const;
    [[nodiscard]] const Worker* find_worker(std::string_view name) const;  // never a deleted one
    /// Also a deleted one; null: none.
    [[nodiscard]] const Worker* worker(std::uint32_t index) const;
    /// Live (not deleted) workers in order of creation.
    [[nodiscard]] std::vector<const Worker*> workers() const;
    /// Every place, ordered by worker's creation, instance number and role: of several of one
    /// number the current one comes first.
    [[nodiscard]] std::vector<const Place*> places() const;
    /// Nothing, for an instance that waits for nobody.
    [[nodiscard]] WaitsFor waits_for(const Place& place) const;
    /// Workers whose specs require the worker of that name, deleted ones that are still leaving
    /// included.
    [[nodiscard]] std::vector<const Worker*> dependents_of(std::string_view name) const;
    /// These, and those that want it or come after it.
    [[nodiscard]] std::vector<const Worker*> followers_of(std::string_view name) const;
    /// How many more instances and workers there is room for now.
    [[nodiscard]] Bounds room() const { return room_without({}); }
    /// The same at the moment at which these workers (each once) have been removed: what runs keeps
    /// its place until it has stopped, what does not is gone at once.
    [[nodiscard]] Bounds room_without(const std::vector<std::uint32_t>& removed) const;
    /// True when nothing is starting, running or stopping.
    [[nodiscard]] bool is_idle() const;

    // --- recovery: a successor of the supervisor puts back what its predecessor stored ---

    void restore_epoch(Epoch epoch);
    /// Workers come back in the order of their indices, which is that of their creation; their
    /// slots come with restore_place. What does not fit (an index or slot out of bounds or taken, a
    /// place of no worker) is left out.
    void restore_worker(Worker worker);
    void restore_place(Place place);
    /// After the last restore_place: makes up for a command that a predecessor could store only in
    /// part before it died. Missing instances are added (and started as an update of the worker
    /// would), surplus ones and those of deleted workers are stopped.
    void complete_restored(Instant now);
    /// The highest generation that the keeper's table shows for a slot; before or after
    /// restore_place.
    void note_generation(Slot slot, Generation generation);
    /// A busy slot is not given to another instance: output of an earlier run of it is still being
    /// written.
    void set_slot_busy(Slot slot, bool is_busy);

private:
    /// What a worker is called or a spec mentions, for as long as one of them does: whoever comes
    /// after another worker need not search for it, whether there is one of that name or not.
    struct Name {
        std::optional<std::uint32_t> worker;   // the live one
        std::vector<std::uint32_t> followers;  // who comes after it, deleted ones included; once
                                               // for each mention
        std::uint32_t bearers = 0;             // workers of that name, deleted ones included
    };
    enum class Requirement : std::uint8_t { met, not_yet, failed };
    /// What a worker is to those who come after it.
    struct Standing {
        Requirement requirement = Requirement::failed;
        /// Something of it is wanted up, and it is not decided yet whether it gets there.
        bool is_on_its_way = false;
    };
    struct Entry {
        Worker worker;
        std::vector<Slot> retired{};   // scaled away, replaced or deleted, still being stopped
        std::vector<Slot> incoming{};  // each beside a current one
        const Name* name = nullptr;
        std::vector<const Name*> required{};  // as spec.requirements
        std::vector<const Name*> awaited{};   // as spec.wants and spec.after
        std::uint32_t held_back = 0;          // places that wait, or are held
        std::uint32_t reloading = 0;          // places in a phase of reload
        /// As it was found out when somebody asked; none: something has changed since.
        mutable std::optional<Standing> standing{};
    };
    /// A list in which each index stands once, in the order in which it was first marked.
    class MarkedOnce {
    public:
        explicit MarkedOnce(std::uint32_t bound) : is_marked_(bound, false) {}
        void mark(std::uint32_t index);
        [[nodiscard]] const std::vector<std::uint32_t>& list() const { return order_; }
        void clear();

    private:
        std::vector<bool> is_marked_;
        std::vector<std::uint32_t> order_;
    };

    Refusal insert(WorkerSpec spec);
    [[nodiscard]] bool is_free(Slot slot) const;
    [[nodiscard]] Generation known_generation(Slot slot) const;
    void raise_known_generation(Slot slot, Generation generation);
    [[nodiscard]] std::vector<Slot> lowest_free_slots(std::uint32_t count) const;
    [[nodiscard]] Refusal check_growth(std::uint32_t now_used, std::uint32_t wanted) const;
    [[nodiscard]] std::optional<std::uint32_t> free_worker_index() const;
    [[nodiscard]] bool is_wanted_up(const Worker& worker) const;
    [[nodiscard]] Place* place(Slot slot) {
        return slot.value < places_.size() ? places_[slot.value].get() : nullptr;
    }
    void insert_place(Place place);
    std::vector<Slot> grow(Entry& entry, std::uint32_t instances);
    void shrink(Entry& entry, std::uint32_t instances, Instant now);
    void resize(Entry& entry, std::uint32_t instances, bool start, Instant now);
    void retire(Entry& entry, Slot slot, Instant now);
    void apply(Place& place, const Event& event, Instant now);
    void start_place(Place& place, Instant now);
    void refresh_deadline(const Place& place);
    void forget_place(Place& place);
    void forget_worker_if_gone(std::uint32_t index);
    void count(Entry& entry, const Instance& instance, bool is_added);
    /// The record of the place, or of the worker, is another one now: it has to be stored, and what
    /// others make of the worker may have changed with it.
    void note_change(const Place& place);
    void note_change(Entry& entry);

    // --- who comes after whom (fleet_names.cpp) ---
    void link(Entry& entry);
    void unlink(Entry& entry);
    const Name* follow(const std::string& name, std::uint32_t follower);
    void unfollow(const std::string& name, std::uint32_t follower);
    void forget_name_if_unused(const std::string& name);

    // --- order of starts and stops (fleet_order.cpp) ---
    [[nodiscard]] std::vector<Slot> live_places(const std::vector<Slot>& slots) const;
    void add_requirements(std::vector<Slot>& slots) const;
    void add_down_instances(const Worker& worker, std::vector<Slot>& slots) const;
    void add_dependents(std::vector<Slot>& slots, std::vector<bool>& is_named) const;
    void name_incoming(const std::vector<Slot>& slots, std::vector<bool>& is_named) const;
    [[nodiscard]] std::vector<std::uint32_t> requirement_depths() const;
    void sort_requirements_first(std::vector<Slot>& slots) const;
    [[nodiscard]] bool is_blocked(const Place& place, const std::vector<bool>& is_about_to) const;
    [[nodiscard]] bool has_to_leave(const Worker& dependent,
                                    const std::vector<bool>& is_about_to) const;
    [[nodiscard]] Standing standing_of(const Name& name) const;
    [[nodiscard]] Standing find_standing(const Worker& worker) const;
    [[nodiscard]] Requirement requirement_of(const Entry& entry) const;
    [[nodiscard]] bool has_room() const;
    [[nodiscard]] Gate gate_of(const Place& place) const;
    void let_proceed(Instant now);
    void consider(Place& place, Requirement requirement, Instant now);

    // --- specs of places (fleet_specs.cpp) ---
    void replace_spec(Entry& entry, WorkerSpec spec);
    void adopt_spec(Entry& entry);
    void take_newest_spec(Place& place);
    void forget_unused_specs(std::uint32_t worker);

    // --- reload (fleet_reload.cpp) ---
    void request_reload(Place& place, bool force, Instant now);
    void set_reload(Place& place, const Reload& reload);
    /// True when something was done that others may wait for.
    bool advance_reloads(Instant now);
    bool judge_reload(Entry& entry, Place& place, Instant now);
    bool begin_reload(Entry& entry, Place& place, Instant now);
    void begin_overlap(Entry& entry, Place& place, Instant now);
    void begin_restart(Place& place, Instant now);
    void remember_requests(Place& incoming, const Reload& reload);
    void promote(Entry& entry, Place& place, Instant now);
    void fail_reload(Entry& entry, Place& place, Instant now);
    void fail_untouched(Entry& entry, Epoch epoch, Instant now);
    void end_failed_reloads(Entry& entry, Instant now);
    void settle_reload(Place& place, Outcome outcome, const std::optional<LastExit>& exit);
    void drop_incoming(Entry& entry, const Place& place, Epoch epoch, Instant now);
    void forget_dropped();
    void cancel_reload(Place& place, Instant now);
    void restore_reloads(Entry& entry, bool is_deleted, Instant now);
    [[nodiscard]] ReloadStep reload_step_of(const Place& place, bool may_begin, Instant now) const;
    [[nodiscard]] bool has_room_in_batch(const Entry& entry) const;
    [[nodiscard]] bool awaits_reload_while_down(const Entry& entry) const;
    [[nodiscard]] bool may_begin_reload(const Entry& entry, const Place& place) const;

    Bounds bounds_;
    Prng prng_;
    Epoch last_epoch_;
    std::uint64_t last_revision_ = 0;
    // By slot, as far as slots were used: they are given out from the lowest on.
    std::vector<std::unique_ptr<Place>> places_;
    std::vector<Generation> generations_;          // the highest known
    std::vector<bool> is_busy_;                    // by slot
    std::vector<std::unique_ptr<Entry>> entries_;  // by worker index
    std::vector<std::uint32_t> order_;             // worker indices, in the order of creation
    std::map<std::string, Name, std::less<>> names_;
    Deadlines deadlines_;
    std::uint32_t occupied_ = 0;
    std::uint32_t coming_up_ = 0;  // between spawn and ready
    std::uint32_t held_back_ = 0;  // waiting, or held
    std::uint32_t requiring_ = 0;  // workers, deleted ones included, that come after others
    std::uint32_t reloading_ = 0;  // places in a phase of reload, of all workers
    std::uint32_t parallel_starts_ = 0;
    std::uint64_t changes_ = 0;    // of instances, ever
    bool has_more_to_do_ = false;  // at once, though no deadline is due
    bool may_proceed_ = false;     // something changed since everything that waits was looked at
    std::vector<Slot> to_forget_;  // at the next turn
    std::vector<SlotAction> actions_;
    MarkedOnce dirty_slots_;
    MarkedOnce dirty_workers_;
};

}  // namespace cluster::core
