// A keeper of processes that exist only as numbers: a table that survives the supervisor, processes
// that live and die by virtual time, and messages that come late, twice, or after a newer one.
//
// It also is the witness: it knows which processes are alive, so it sees when two runs share a
// slot, when a run is released alive, or when a stop is called ended while somebody of the group is
// left.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.hpp"
#include "base/prng.hpp"
#include "base/time.hpp"
#include "core/instance.hpp"
#include "sim/trace.hpp"

namespace cluster::sim {

/// Probabilities of what may go wrong; all zero: the world is calm and every run lives for ever.
struct Faults {
    double spawn_shortage = 0;
    double exec_failure = 0;
    double crash_at_once = 0;
    double mortality = 0;  // that a run ends by itself at all
    double ignore_stop = 0;
    double group_outlives = 0;
    double escape_kill = 0;  // a fork races with KILL
    double late = 0;
    double duplicate = 0;
    double never_ready = 0;
    double dies_of_reload = 0;
    double odd_words = 0;  // that a run says it leaves, asks for time, or is found too large

    static Faults all() {
        return {0.02, 0.03, 0.15, 0.9, 0.2, 0.2, 0.3, 0.01, 0.05, 0.1, 0.3, 0.1};
    }
    static Faults none() { return {}; }
};

struct Delivery {
    Slot slot;
    core::Event event;
};

class FakeKeeper {
public:
    enum class RecordState : std::uint8_t { free, running, exited };
    struct Record {
        RecordState state = RecordState::free;
        Generation generation;
        bool leader_alive = false;
        bool group_alive = false;
        bool ignores_stop = false;
        bool was_signalled = false;  // its end was asked for
        bool is_ready = false;       // for those whose spec waits for that
        core::ExitStatus status;     // kind spawn_failed: it never ran
    };
    struct Counts {
        std::uint64_t spawned = 0;
        std::uint64_t failed = 0;
        std::uint64_t reaped = 0;
        std::uint64_t released = 0;
    };

    FakeKeeper(std::uint32_t slots, std::uint64_t seed, Trace& trace);

    // --- what a supervisor does; each is idempotent by (slot, generation) ---
    void spawn(Slot slot, Generation generation, Instant now);
    void signal(Slot slot, Generation generation, int number, Instant now);
    /// Asks a run to reload itself: some die of it.
    void tell(Slot slot, Generation generation, Instant now);
    void release(Slot slot, Generation generation, Instant now);
    /// The supervisor died: what was on its way to it is lost, the table is not.
    void drop_messages();
    [[nodiscard]] const Record& record(Slot slot) const { return table_[slot.value]; }

    // --- the world ---
    void set_faults(const Faults& faults) { faults_ = faults; }
    /// Ends a run at this very moment, and its group; the message arrives with it.
    void strike(Slot slot, const core::ExitStatus& status, Instant now,
                std::vector<Delivery>& arrived);
    /// After a calm: runs that live become mortal again.
    void make_mortal(Instant now);
    [[nodiscard]] std::optional<Instant> next_time() const;
    /// Lets everything happen that is due, and appends the messages that arrive.
    void advance(Instant now, std::vector<Delivery>& arrived);

    [[nodiscard]] const Counts& counts() const { return counts_; }
    [[nodiscard]] const std::string& broken() const { return broken_; }

private:
    enum class What : std::uint8_t { leader_dies, group_dies, message, word };
    struct Item {
        Instant at;
        std::uint64_t order;
        What what;
        Slot slot;
        Generation generation;
        std::uint64_t link;  // message: supervisor's life it is for
        core::Event event;   // message; leader_dies: a ProcessExited that holds the status
    };
    static bool is_later(const Item& a, const Item& b);

    void push(Instant at, What what, Slot slot, Generation generation, const core::Event& event);
    void send(Slot slot, const core::Event& event, Instant now);
    void doom(Slot slot, Duration after, const core::ExitStatus& status, Instant now);
    void plan_words(Slot slot, Generation generation, Instant now);
    void say_word(const Item& item);
    void end_leader(const Item& item);
    void end_group(const Item& item);
    Duration up_to(Duration limit);
    core::ExitStatus random_status();
    void breaks(const char* rule, Slot slot);

    std::vector<Record> table_;
    std::vector<Instant> newest_exit_message_;  // by slot: what follows an exit never overtakes it
    std::vector<Item> items_;                   // a heap, the earliest on top
    std::uint64_t order_ = 0;
    std::uint64_t link_ = 0;
    Faults faults_;
    Prng prng_;
    Trace& trace_;
    Counts counts_;
    std::string broken_;
};

}  // namespace cluster::sim
