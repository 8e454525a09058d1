// Asks runs whether they are ready: by a TCP connection, or by a command in a job slot.
//
// When and how often is lib/ready's to say. A run is asked while it is up and not ready; a
// successor begins anew. No name is looked up and nothing waits: a connection is decided when its
// descriptor is writable, a command when the keeper tells of its exit.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.hpp"
#include "base/time.hpp"
#include "core/fleet.hpp"
#include "ev/loop.hpp"
#include "ready/probe.hpp"
#include "supervisor/jobs.hpp"
#include "sys/fd.hpp"

namespace cluster::supervisor {

class Probes {
public:
    /// The plan of a probe by command of this instance.
    using Plan = std::function<Result<sys::UniqueFd>(const core::Place&, const core::WorkerSpec&)>;

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
    /// Why the last probe of the run failed; "" when none did.
    [[nodiscard]] std::string last_failure(Run run) const;

private:
    struct Entry {
        Run run;
        core::Probe spec;
        ready::Probe probe;
        sys::UniqueFd socket;
        ev::Watch watch;
        bool tries_second_address = false;
        std::optional<Run> job;
        std::optional<bool> result;  // came since the last turn
        std::string failure;
    };

    void begin(Entry& entry, const core::Place& place, const core::WorkerSpec& spec);
    void connect(Entry& entry);
    void on_connection(Slot slot, Generation generation);
    void run_command(Entry& entry, const core::Place& place, const core::WorkerSpec& spec);
    void close_socket(Entry& entry);
    void abandon(Entry& entry);

    ev::Loop& loop_;
    Jobs& jobs_;
    Plan plan_;
    std::map<Slot, Entry> entries_;
    std::vector<Run> ready_;
};

}  // namespace cluster::supervisor
