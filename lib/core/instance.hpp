// One instance (a numbered place of a worker: api.0) as a pure state machine.
//
//     step(policy, instance, event, now, prng) → { instance', actions }
//
// States, in supervisord's words (tests/golden/worker_transitions.txt has the whole table):
//
//   stopped   nobody wants it up, nothing of it is alive
//   waiting   to be started as soon as the workers that it requires are ready and parallel_starts
//             leaves room; shown as "starting"
//   starting  a spawn was asked for; exec has not been confirmed
//   running   exec succeeded; `ready_at` says since when it is ready, `is_good` that it then
//             outlived min_uptime
//   backoff   it died or could not be started; the next attempt is at `until`
//   stopping  its end was asked for: signal sent, KILL follows at `kill_at`; it ends when leader
//             *and* group are gone
//   exited    it ended and its restart policy says to leave it at that
//   fatal     it was given up; somebody has to start it again
//
// Facts every state relies on:
//  * `desired` and `epoch` are one record: who wants what, and since which operation. A restart or
//    a timer that was decided under an older epoch changes nothing, because it is derived again
//    from the state at each step.
//  * `generation` names the run in question. An event of another generation is of the past and is
//    ignored.
//  * No timer is ever armed: next_deadline() is derived from the state, and `Tick` acts on what is
//    due.
//  * Actions are idempotent by generation: a successor of the supervisor may repeat them.
//  * `hold` is a stop or restart that waits until the workers that require this one have stopped:
//    the run goes on meanwhile, nothing is due, and if it ends by itself that is the end of the
//    wait.
//  * `outcome` answers the operation `epoch` and is latched at the first decision: later fates of
//    the instance do not change what the operator was told.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <variant>
#include <vector>

#include "base/ids.hpp"
#include "base/op.hpp"
#include "base/prng.hpp"
#include "base/time.hpp"
#include "core/spec.hpp"

namespace cluster::core {

enum class Desired : std::uint8_t { down, up };

/// How a run ended.
struct ExitStatus {
    enum class Kind : std::uint8_t {
        code,          // value: exit code 0 … 255
        signal,        // value: signal number
        spawn_failed,  // it never ran: step `op` failed with errno `value`
        unknown,       // it is gone and nobody learned how
    };
    Kind kind = Kind::unknown;
    int value = 0;
    Op op = Op::none;
    bool dumped_core = false;

    friend bool operator==(const ExitStatus&, const ExitStatus&) = default;
};

/// Why a run ended, from the daemon's view. Shown as last_exit.reason.
enum class ExitReason : std::uint8_t {
    exited,         // on its own
    stopped,        // on our stop signal
    killed,         // by our SIGKILL after stop_timeout
    start_timeout,  // it was not ready in time, so we ended it
    spawn_failed,
    max_memory,  // its processes together held more than max_memory, so we ended it
    watchdog,    // it did not say in time that it lives, or said that it hangs, so we ended it
    liveness,    // its liveness probe failed too often, so we ended it
    channel,     // we closed its channel, and it ended with that
};

struct LastExit {
    ExitStatus status;
    ExitReason reason = ExitReason::exited;
    Instant at;

    friend bool operator==(const LastExit&, const LastExit&) = default;
};

/// What an operation (start, stop, restart) is told about this instance.
enum class Outcome : std::uint8_t { none, pending, done, failed };

/// What outlives the single run.
struct History {
    std::uint32_t restarts = 0;         // automatic ones since somebody last started it by hand
    std::uint32_t failures_in_row = 0;  // exponent of the backoff
    std::optional<LastExit> last_exit;
    /// Instants of the newest automatic restarts: it grows with them up to kMaxRestartLimitCount,
    /// and is a ring from then on, written next at restart_count % kMaxRestartLimitCount. Most
    /// instances never restart, and have no memory for it.
    std::vector<Instant> restart_times;
    std::uint32_t restart_count = 0;

    friend bool operator==(const History&, const History&) = default;
};

/// A command that waits for others to leave first.
enum class Hold : std::uint8_t { none, stop, restart };

struct Stopped {
    friend bool operator==(const Stopped&, const Stopped&) = default;
};
struct Starting {
    Instant since;
    friend bool operator==(const Starting&, const Starting&) = default;
};
struct Running {
    Instant since;
    std::optional<Instant> ready_at;
    bool is_good = false;
    bool is_leaving = false;  // it said that it is going to end
    /// Not ready yet: it asked for more time to start, until then. Leaving: when we end it.
    std::optional<Instant> limit = std::nullopt;
    bool is_reloading = false;  // it said that it reloads itself, and not yet that it is ready again
    friend bool operator==(const Running&, const Running&) = default;
};
struct BackingOff {
    Instant until;
    bool is_limited = false;  // the restart limit was hit and its answer is `slow`
    friend bool operator==(const BackingOff&, const BackingOff&) = default;
};
struct Stopping {
    Instant since;
    Instant kill_at;                          // when KILL is sent, or sent again
    ExitReason reason = ExitReason::stopped;  // `stopped` becomes `killed` once KILL was sent
    bool leader_gone = false;
    bool kill_sent = false;
    /// We end the run because it failed (start_timeout), not because somebody asked: the restart
    /// policy, not an immediate spawn, decides what follows. Any command of an operator takes this
    /// back.
    bool is_failure = false;
    friend bool operator==(const Stopping&, const Stopping&) = default;
};
struct Exited {
    friend bool operator==(const Exited&, const Exited&) = default;
};
struct Fatal {
    friend bool operator==(const Fatal&, const Fatal&) = default;
};

struct Waiting {
    Instant since;
    bool is_automatic = false;  // a restart that nobody asked for: it waits for room only
    friend bool operator==(const Waiting&, const Waiting&) = default;
};

/// The index of an alternative is stored in the state memfd: append, never reorder.
using State =
    std::variant<Stopped, Starting, Running, BackingOff, Stopping, Exited, Fatal, Waiting>;

struct Instance {
    State state = Stopped{};
    Desired desired = Desired::down;
    Epoch epoch;            // the operation that last changed `desired` (or asked for a restart)
    Generation generation;  // of the current run, or of the last one
    Outcome outcome = Outcome::none;
    Hold hold = Hold::none;  // other than none only while starting or running
    History history;

    friend bool operator==(const Instance&, const Instance&) = default;
};

namespace event {
/// Wanted up. Starts it if it is not up; ends a backoff; takes back a stop that is under way (it
/// starts again after it).
struct Start {
    Epoch epoch;
};
/// Wanted down. Beats every queued restart. Held: a run goes on until Proceed.
struct Stop {
    Epoch epoch;
    bool is_held = false;
};
/// Wanted up with a new run, whatever runs now. Held: a run goes on until Proceed.
struct Restart {
    Epoch epoch;
    bool is_held = false;
};
/// What it waits for has come: ends a wait, and carries out what is held.
struct Proceed {};
/// What it waits for will not come soon, because it failed. It goes on waiting.
struct RequirementFailed {};
/// exec succeeded.
struct SpawnSucceeded {
    Generation generation;
};
struct SpawnFailed {
    Generation generation;
    Op op;
    int code;
};
/// The leader died and was reaped. `group_alive`: somebody of its process group is still there.
struct ProcessExited {
    Generation generation;
    ExitStatus status;
    bool group_alive;
};
/// The last of the process group of an exited leader is gone.
struct GroupEmptied {
    Generation generation;
};
/// By its readiness rule; never sent for ready = "exec", where exec itself is it.
struct BecameReady {
    Generation generation;
};
/// It said that it is going to end (STOPPING=1): it has stop_timeout for that.
struct Leaving {
    Generation generation;
};
/// It said that it reloads itself (RELOADING=1); BecameReady ends that. `at`: when it began, if it
/// said so (MONOTONIC_USEC).
struct Reloading {
    Generation generation;
    std::optional<Instant> at;
};
/// It asked for more time (EXTEND_TIMEOUT_USEC) for what it is doing: to start, or to end.
struct ExtendTimeout {
    Generation generation;
    Duration by;  // from now
};
/// Its processes together hold more than max_memory.
struct OverMemory {
    Generation generation;
};
/// It does not do its work any more. `reason`: watchdog, liveness or channel.
struct Hung {
    Generation generation;
    ExitReason reason;
};
/// Time has passed: act on every deadline that is due.
struct Tick {};
}  // namespace event

using Event =
    std::variant<event::Start, event::Stop, event::Restart, event::SpawnSucceeded,
                 event::SpawnFailed, event::ProcessExited, event::GroupEmptied, event::BecameReady,
                 event::Tick, event::Proceed, event::RequirementFailed, event::Leaving,
                 event::ExtendTimeout, event::OverMemory, event::Hung, event::Reloading>;

namespace action {
/// Start run `generation` of this instance's slot.
struct Spawn {
    Generation generation;
    friend bool operator==(const Spawn&, const Spawn&) = default;
};
/// To the process group of the run. A stop signal is followed by SIGCONT by whoever executes this,
/// so that a stopped process can obey.
struct Signal {
    Generation generation;
    int signal;
    friend bool operator==(const Signal&, const Signal&) = default;
};
/// To the leader of the run alone, and without SIGCONT: what it asks for is not an end.
struct SignalLeader {
    Generation generation;
    int signal;
    friend bool operator==(const SignalLeader&, const SignalLeader&) = default;
};
/// The run is over and done with: its slot may be used again.
struct Release {
    Generation generation;
    friend bool operator==(const Release&, const Release&) = default;
};
}  // namespace action

using Action = std::variant<action::Spawn, action::Signal, action::Release, action::SignalLeader>;

/// At most kCapacity actions of one step, in the order in which they must be executed.
class Actions {
public:
    static constexpr std::size_t kCapacity = 4;

    void add(Action action);  // Requires: size() < kCapacity
    [[nodiscard]] std::span<const Action> list() const { return {items_.data(), size_}; }
    [[nodiscard]] auto begin() const { return list().begin(); }
    [[nodiscard]] auto end() const { return list().end(); }
    [[nodiscard]] std::size_t size() const { return size_; }

private:
    std::array<Action, kCapacity> items_{};
    std::size_t size_ = 0;
};

struct Transition {
    Instance instance;
    Actions actions;
};

/// What the rest of the fleet lets an instance do now. Closed: it waits instead of being spawned.
struct Gate {
    bool requirements_met = true;  // counts for starts that somebody asked for
    bool has_room = true;          // counts for every start
    bool has_more_chances = true;  // false: a run that has to prove itself first is never restarted
};

[[nodiscard]] Transition step(const Policy& policy, const Instance& instance, const Event& event,
                              Instant now, Prng& prng, Gate gate = {});

/// When a Tick will do something; none while only an event can. Derived from the state alone.
[[nodiscard]] std::optional<Instant> next_deadline(const Policy& policy, const Instance& instance);

/// When a run that is not ready has failed to start: start_timeout, or later if it asked for more.
[[nodiscard]] Instant start_deadline(const Policy& policy, const Running& running);

/// A group that outlives KILL (a fork may race with it) is sent it again at this interval for as
/// long as it lives.
inline constexpr Duration kKillInterval = std::chrono::seconds{1};

/// "stopped", "starting", … as in `status`.
[[nodiscard]] const char* state_name(const State& state);

/// What a run is sent first that is ended for this reason: its stop signal, but one whose watchdog
/// has run out gets SIGABRT, so that what it hangs in can be seen in its core.
[[nodiscard]] int end_signal(const Policy& policy, ExitReason reason);

/// True while something of the run may be alive: starting, running, stopping.
[[nodiscard]] bool is_occupied(const State& state);

/// True while it waits for others: to be started, or to be ended.
[[nodiscard]] bool is_held_back(const Instance& instance);

/// True while others may rely on it: running and ready, and nothing is about to end it.
[[nodiscard]] bool is_ready(const Instance& instance);

/// True when the exit counts as a success under this policy (the exit code, not the reason).
[[nodiscard]] bool is_success(const Policy& policy, const ExitStatus& status);

}  // namespace cluster::core
