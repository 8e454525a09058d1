// The replacement of one instance's run by a new one, as a pure state machine: what is to be done
// next, from what is known of the old run and of the new one.
//
//     reload_step(phase, mode, old, new, may_begin) → what to do
//
// tests/golden/reload_steps.txt has the whole table. The fleet (fleet_reload.cpp) finds out what is
// known, carries the step out, and stores the phase, so that a successor of the supervisor goes on
// where its predecessor was killed.
//
//   overlap     the new run gets a slot of its own. The old one is told to end when the new one has
//               been ready for min_uptime; if the new one fails before that, it is the new one that
//               goes.
//   stop_first  one run after the other in the same slot: nobody serves in between.
//   signal      the program does it itself; it has failed if its run ends within min_uptime, or if it
//               says RELOADING=1 and not READY=1 within start_timeout.
//
// What every mode keeps to: the first failure of a worker's reload ends it, and who has not been
// replaced by then keeps the run that it has. Those that nothing runs of have their turn first.
#pragma once

#include <cstdint>
#include <optional>

#include "core/instance.hpp"
#include "core/spec.hpp"

namespace cluster::core {

enum class ReloadMode : std::uint8_t { overlap, stop_first, signal };

/// The value is stored in the state memfd: append, never reorder.
enum class ReloadPhase : std::uint8_t {
    none,
    queued,       // its turn has not come
    overlapping,  // a new run is coming up in a slot of its own, beside the old one
    restarting,   // in the instance's own slot the old run ends and the new one begins
    signalled,    // the run was told to reload itself
};

/// Of the run that is to be replaced.
enum class OldRun : std::uint8_t {
    unwanted,  // somebody has stopped the instance meanwhile
    down,      // wanted up, but nothing runs
    up,        // alive and not ready, or on its way out
    serving,
};

/// Of the run that is to replace it. For `restarting` and `signalled` it is the instance's own.
enum class NewRun : std::uint8_t {
    none,
    coming,
    good,    // ready, and has been for min_uptime
    failed,  // it was not executed, was not ready in time, ended too soon, or is ending
};

enum class ReloadStep : std::uint8_t {
    wait,
    begin_overlap,
    begin_restart,
    begin_signal,
    promote,  // the new run takes the instance over; the old one is told to end
    finish,   // the instance has its new run
    fail,     // the reload ends here; a new run beside the old one goes
    requeue,  // the new run was lost before anybody heard of it
    abandon,  // there is nothing left to replace; the new run goes
};

/// `may_begin`: batch, surge and slots leave room for one more.
[[nodiscard]] ReloadStep reload_step(ReloadPhase phase, ReloadMode mode, OldRun old_run,
                                     NewRun new_run, bool may_begin);

/// What a place knows of its reload. It stays with the place that serves; the one that comes in for
/// it knows epoch, next, former and former_outcome.
struct Reload {
    ReloadPhase phase = ReloadPhase::none;
    Outcome outcome = Outcome::none;  // the answer to operation `epoch`
    Epoch epoch;
    Epoch next;    // a later request, which waits until this one is over; 0: none
    Epoch former;  // the one before; 0: none
    Outcome former_outcome = Outcome::none;
    Instant since;                 // signalled: when
    Generation generation;         // signalled: which run
    std::optional<LastExit> exit;  // the last failure: how the new run ended; none: another's

    friend bool operator==(const Reload&, const Reload&) = default;
};

/// The mode in which a run of `from` is replaced by one of `to`.
[[nodiscard]] ReloadMode reload_mode(const WorkerSpec& from, const WorkerSpec& to);

[[nodiscard]] OldRun old_run(const Instance& instance);
/// Of an instance that was started, or started anew, for the reload.
[[nodiscard]] NewRun new_run(const Instance& instance);
/// Of an instance whose run was told to reload itself.
[[nodiscard]] NewRun signalled_run(const Policy& policy, const Instance& instance,
                                   const Reload& reload, Instant now);
/// When time alone decides about it; none: only events do.
[[nodiscard]] std::optional<Instant> reload_deadline(const Policy& policy, const Instance& instance,
                                                     const Reload& reload);
/// It says RELOADING=1 of something that began before it was told to: no answer to the signal.
[[nodiscard]] bool is_of_earlier_reload(const Reload& reload, const event::Reloading& said);
/// It said that it reloads itself, and is not done with it.
[[nodiscard]] bool is_reloading(const Instance& instance);

[[nodiscard]] const char* phase_name(ReloadPhase phase);

}  // namespace cluster::core
