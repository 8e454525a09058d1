// The keeper: spawns, reaps, signals, holds descriptors, and starts the supervisor again whenever
// that dies.
//
// Mechanism without policy: it does what the supervisor's messages say and what the fixed table of
// the guardian says, and outlives everyone. One thread, one loop of few descriptors (signals, link,
// adopted processes); it takes its memory at the start, reads no text, and never aborts on what the
// other process sends. The order of a session is in wire/PROTOCOL.md.
//
// It may be followed by another keeper (succession.cpp): by another binary that it executes in its
// own place, or by one that the supervisor starts when it is dead. Either takes over what
// wire/estate.hpp describes.
//
// A turn: wait; serve what the link brought; then signals, among them the deaths of children; then
// what is due.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "base/time.hpp"
#include "ev/loop.hpp"
#include "keeper/adopted.hpp"
#include "keeper/custody.hpp"
#include "keeper/estate.hpp"
#include "keeper/guardian.hpp"
#include "keeper/link.hpp"
#include "keeper/runs.hpp"
#include "keeper/supervisor_process.hpp"
#include "place/directories.hpp"
#include "sys/fd.hpp"
#include "sys/memory.hpp"
#include "wire/estate.hpp"
#include "wire/message.hpp"
#include "wire/table.hpp"

namespace cluster::keeper {

struct Options {
    place::Directories directories;
    SupervisorProcess::Command supervisor;
};

/// What the process needs around the keeper: made by prepare_process (start.hpp), once.
struct Process {
    sys::UniqueFd signals;   // signalfd of every signal, all of which are blocked
    ChildDefaults defaults;  // what children get back
    std::uint64_t max_descriptors = 0;
};

/// What was opened in the runtime directory. The lock makes it ours.
struct Place {
    sys::UniqueFd lock;
    sys::UniqueFd control;
};

class Keeper {
public:
    /// Requires: a single thread; `process` and `place` are complete. Errors: want of memory or
    /// descriptors.
    [[nodiscard]] static Result<std::unique_ptr<Keeper>> open(Options options, Process process,
                                                              Place place);
    /// The same for a successor, with what its predecessor left. The predecessor's supervisor is
    /// told as soon as one of ours has taken over.
    [[nodiscard]] static Result<std::unique_ptr<Keeper>> succeed(Options options, Process process,
                                                                 Estate estate);
    ~Keeper();
    Keeper(const Keeper&) = delete;
    Keeper& operator=(const Keeper&) = delete;

    /// Until a supervisor says finish, or nobody is left to say so. Returns the exit code of
    /// clusterd.
    [[nodiscard]] int run();

private:
    Keeper(Options options, Process process, sys::UniqueFd table_file, sys::Mapping mapping);
    [[nodiscard]] static Result<std::unique_ptr<Keeper>> make(Options options, Process process);
    [[nodiscard]] Status open_loop();
    void write_header(Instant now);

    // keeper.cpp: the turn
    void take_signals(Instant now);
    void pass_on(std::uint32_t notices);
    void reap(Instant now);
    void act_on_time(Instant now);
    [[nodiscard]] std::optional<Instant> next_deadline() const;

    // succession.cpp: from one keeper to the next
    [[nodiscard]] Status inherit(Estate estate, Instant now);
    [[nodiscard]] Status watch_predecessor(const wire::TableHeader& old);
    void dismiss_predecessor(Instant now);
    void end_predecessor(Instant now);
    void reap_adopted(Instant now);
    void check_foreign_groups(Instant now);
    [[nodiscard]] Status on_upgrade(sys::Packet& packet);
    [[nodiscard]] Result<sys::UniqueFd> write_estate(wire::EstateBuilder& estate) const;

    // supervision.cpp: the life of the supervisor
    void start_supervisor(Instant now);
    void connect_supervisor(sys::UniqueFd socket);
    void on_supervisor_died(const sys::Reaped& exit, Instant now);
    void on_terminate(Instant now);
    void begin_last_stop(Instant now);
    void advance_last_stop(Instant now);

    // requests.cpp: what the supervisor asks for
    void serve_link(Instant now);
    void drain_link(Instant now);
    void close_link();
    void reject_supervisor(const char* reason);
    void update_link_interest();
    void handle(const wire::Message& request, sys::Packet& packet, Instant now);
    void handle_greeted(const wire::Message& request, sys::Packet& packet, Instant now);
    void settle(const wire::Message& request, Run run, const Status& outcome);
    void on_signal(const wire::Message& request);
    void on_release(const wire::Message& request);
    void on_drop(const wire::Message& request);
    void ring(Slot slot);
    void ring_all();
    [[nodiscard]] Status on_spawn(const wire::Message& request, sys::Packet& packet, Instant now);
    [[nodiscard]] Status on_hold(const wire::Message& request, sys::Packet& packet);
    [[nodiscard]] Status on_finish(const wire::Message& request, Instant now);
    void on_fetch(const wire::Message& request, Instant now);
    [[nodiscard]] std::size_t attach(wire::Message& message, std::span<int> fds) const;
    [[nodiscard]] bool has_descriptors_to_spare(std::uint64_t spare) const;

    Options options_;
    Process process_;
    sys::UniqueFd table_file_;
    sys::Mapping mapping_;
    wire::Table& table_;
    Custody custody_;
    Runs runs_;

    ev::EpollPoller poller_;
    ev::Loop loop_;
    Adopted adopted_;
    std::optional<Instant> groups_due_;  // the next look at groups that no reap tells of
    sys::UniqueFd witness_;  // where the supervisor of the keeper before us waits
    struct Predecessor {
        std::int32_t pid;
        sys::UniqueFd pidfd;
        bool is_child;  // else it is adopted
        /// It was told to end, and is killed if it has not by then.
        std::optional<Instant> due;
    };
    std::optional<Predecessor> predecessor_;  // that supervisor, while it lives
    bool has_signals_ = false;
    bool has_link_input_ = false;
    bool has_link_room_ = false;

    Guardian guardian_;
    SupervisorProcess supervisor_;
    std::optional<Link> link_;
    ev::Watch link_watch_;
    ev::Interest link_interest_;
    bool has_greeted_ = false;  // the supervisor's hello came and was right
    bool is_batching_ = false;  // it reads doorbells that name several slots
    std::vector<Slot> changed_;  // rung for before anything else is said

    /// clusterd got SIGTERM or SIGINT.
    bool is_terminating_ = false;
    std::uint32_t deaths_while_terminating_ = 0;
    /// The supervisor said finish; it is given until the deadline to end.
    struct Finishing {
        std::int32_t code;
        Instant deadline;
    };
    std::optional<Finishing> finishing_;
    /// No supervisor is left to stop the workers: we do. No other is started then.
    struct LastStop {
        Instant deadline;
        bool has_killed = false;
    };
    std::optional<LastStop> last_stop_;
    std::optional<int> exit_code_;
};

}  // namespace cluster::keeper
