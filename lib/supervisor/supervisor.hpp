// The supervisor: where policy (core::Fleet) meets the world.
//
// One turn:  wait → collect (messages of the keeper, output, requests) → step (fleet) → store what
// changed → execute actions
//            → answer clients.
// The order is the promise: nothing is done or said that the state memfd does not explain
// (STATE.md). It may be killed between any two instructions; a successor reads the keeper's table
// and custody and goes on. Decides nothing itself: a decision found here belongs in core.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "core/fleet.hpp"
#include "ev/loop.hpp"
#include "place/directories.hpp"
#include "supervisor/channels.hpp"
#include "supervisor/control_server.hpp"
#include "supervisor/environment.hpp"
#include "supervisor/handover.hpp"
#include "supervisor/jobs.hpp"
#include "supervisor/journal.hpp"
#include "supervisor/keeper_link.hpp"
#include "supervisor/logs.hpp"
#include "supervisor/message_requests.hpp"
#include "supervisor/node_clusters.hpp"
#include "supervisor/outputs.hpp"
#include "supervisor/records.hpp"
#include "supervisor/remembered.hpp"
#include "supervisor/reporter.hpp"
#include "supervisor/requests.hpp"
#include "supervisor/run_watch.hpp"
#include "supervisor/sockets.hpp"
#include "supervisor/status.hpp"
#include "supervisor/store_doors.hpp"
#include "supervisor/upgrade.hpp"
#include "sys/fd.hpp"

namespace cluster::supervisor {

struct Options {
    int keeper_fd = -1;
    place::Directories directories;
    std::optional<std::string> config;     // absolute path
    std::optional<std::string> log_level;  // beats [daemon] log_level
};

class Supervisor {
public:
    /// Connects to the keeper and takes over whatever a predecessor left, or makes a first start.
    /// Errors: of the link, of memory. A bad config is no error: run() then finishes the daemon
    /// with exit code 2.
    [[nodiscard]] static Result<std::unique_ptr<Supervisor>> start(Options options);

    /// Runs until the daemon is finished. Returns the exit code of this process.
    [[nodiscard]] int run();

private:
    Supervisor(Options options, KeeperLink link, Records records, sys::UniqueFd listener,
               sys::UniqueFd null);

    // --- first start and takeover (takeover.cpp) ---
    [[nodiscard]] bool make_first_start(Instant now);
    [[nodiscard]] std::optional<ctl::RpcError> populate(
        const core::Config& config, const std::vector<RememberedWorker>& remembered, Instant now);
    void bring_back(const RememberedWorker& remembered, const core::Config& config,
                    std::vector<Slot>& wanted);
    [[nodiscard]] Status take_over(std::vector<HeldDescriptor> held, Instant now);
    void resume_outputs(std::vector<HeldDescriptor>& held);
    [[nodiscard]] std::vector<std::string> former_logs(Run run) const;
    void reconcile(const core::Place& place, bool was_interrupted, Instant now);
    void reconcile_slot(Slot slot);

    // --- one turn ---
    void turn(Instant now);
    void make_room_for_next_keeper();
    void end_without_keeper();
    void on_keeper_message(const KeeperMessage& message, Instant now);
    void on_slot_changed(Slot slot, Instant now);
    [[nodiscard]] RunWatch::Tell tell_fleet(Instant now);
    void forgive_restarts(Instant now);
    void tell_ready(Instant now);
    void extend_end(Slot slot, Instant now);
    void signal_left();
    void close_run(Run run);
    void on_refused(const wire::Message& message, Instant now);
    void on_spawned(const wire::Message& message, Instant now);
    void begin_shutdown(Instant now);
    void stop_everything(Instant now);
    [[nodiscard]] bool end_strays(Instant now);
    void finish_when_idle(Instant now);

    // --- actions ---
    void execute(const core::SlotAction& action);
    /// `has_waited`: it was put off before, until a host name was looked up.
    void spawn(Run run, bool has_waited = false);
    void spawn_waiting();
    [[nodiscard]] Status try_spawn(const core::Place& place, bool has_waited);
    [[nodiscard]] Result<sys::UniqueFd> open_output(Run run, Stream stream, const std::string& path,
                                                    const core::LogSpec& spec);
    void signal(Run run, int signal);
    void update_logs();
    [[nodiscard]] std::optional<Outputs::Target> log_target(Run run) const;
    void remember(const Records::Changes& changes);
    void remember_all();
    void report(const Records::Changes& changes, Instant now);
    [[nodiscard]] std::optional<Instant> next_deadline() const;

    Options options_;
    KeeperLink link_;
    ev::EpollPoller poller_;
    ev::Loop loop_{poller_};
    core::Fleet fleet_;
    Records records_;
    Remembered remembered_;
    Journal journal_;
    Reporter reporter_;
    Variables safe_base_;
    sys::UniqueFd null_;
    Jobs jobs_;
    Logs logs_;
    Outputs outputs_;
    ControlServer clients_;
    RunWatch watch_;
    Handover handover_;
    StoreDoors doors_;
    Channels channels_;
    NodeClusters clusters_;
    Sockets sockets_;
    StatusReader status_;
    Requests requests_;
    Upgrade upgrade_;
    MessageRequests messages_;
    /// Spawns that failed before the keeper heard of them; told to the fleet in the next turn, so
    /// that a spec that fails at once cannot keep this one from ending.
    struct FailedSpawn {
        Run run;
        Error error;
    };
    std::vector<FailedSpawn> failed_spawns_;
    std::vector<Run> waiting_spawns_;      // for a host name to be looked up
    std::uint64_t remembered_daemon_ = 0;  // DaemonRecord's revision in the remembered state
    std::string log_dir_;                  // where logs were opened last
    bool is_forgetful_ = false;            // the remembered state could not be written; said once
    std::optional<Instant> strays_killed_at_;
    bool has_leftovers_ = false;  // of instances that are gone
    bool is_finishing_ = false;
    std::optional<int> exit_code_;
};

}  // namespace cluster::supervisor
