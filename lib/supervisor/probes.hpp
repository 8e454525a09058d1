// Asks runs whether they are ready, and those that are whether they still do their work: over a
// connection, or by a command in a job slot.
//
// When and how often is lib/ready's to say. A run is asked by the readiness probe while it is up
// and not ready, then by the liveness probe while it is ready; a successor begins anew. No name is
// looked up and nothing waits: a connection is decided when its descriptor is ready, a command when
// the keeper tells of its exit. There is one probe at a time per run, and one that takes too long
// is ended, so they never pile up.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.hpp"
#include "base/time.hpp"
#include "core/fleet.hpp"
#include "ev/loop.hpp"
#include "ready/probe.hpp"
#include "supervisor/jobs.hpp"
#include "supervisor/probe_connection.hpp"
#include "sys/fd.hpp"

namespace cluster::supervisor {

class Probes {
public:
    /// The plan of `command` as a probe of this instance.
    using Plan = std::function<Result<sys::UniqueFd>(const core::Place&, const core::WorkerSpec&,
                                                     const std::vector<std::string>& command)>;

    Probes(ev::Loop& loop, Jobs& jobs, Plan plan)
        : loop_(loop), jobs_(jobs), plan_(std::move(plan)) {}
    ~Probes() = default;
    Probes(const Probes&) = delete;
    Probes& operator=(const Probes&) = delete;

    /// The instance may have changed: begins to ask, goes on, or leaves it alone.
    void follow(const core::Place& place, const core::WorkerSpec& spec, Instant now);
    void forget(Slot slot);

    /// Begins and ends what is due.
    void on_time(const core::Fleet& fleet, Instant now);
    [[nodiscard]] std::optional<Instant> next_deadline() const;
    /// Runs that have turned out to be ready since the last call.
    [[nodiscard]] std::vector<Run> take_ready();
    struct Hung {
        Run run;
        std::string failure;  // of the last probe
    };
    /// Runs whose liveness probe has failed too often since the last call.
    [[nodiscard]] std::vector<Hung> take_hung();
    /// Why the last probe of the run failed, if it was for this; "" when it did not.
    [[nodiscard]] std::string last_failure(Run run, ready::Probe::Purpose purpose) const;

private:
    struct Entry {
        Run run;
        std::unique_ptr<const core::Probe> spec;  // does not move: its connection borrows it
        ready::Probe probe;
        std::unique_ptr<ProbeConnection> connection;  // made by the first probe that needs one
        std::optional<Run> job;
        std::optional<ready::Probe::Result> result;  // came since the last turn
        std::string failure;
    };

    void take_result(Entry& entry, Instant now);
    void begin(Entry& entry, const core::Place& place, const core::WorkerSpec& spec);
    void run_command(Entry& entry, const core::Place& place, const core::WorkerSpec& spec);
    void on_end(Run run, const std::string& failure);
    void abandon(Entry& entry);

    ev::Loop& loop_;
    Jobs& jobs_;
    Plan plan_;
    std::map<Slot, Entry> entries_;
    std::vector<Run> ready_;
    std::vector<Hung> hung_;
};

}  // namespace cluster::supervisor
