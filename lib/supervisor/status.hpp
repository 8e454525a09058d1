// `status`: the fleet, the keeper's table and /proc put together into what an operator sees.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/ids.hpp"
#include "base/time.hpp"
#include "core/fleet.hpp"
#include "ctl/protocol.hpp"
#include "supervisor/channels.hpp"
#include "supervisor/node_clusters.hpp"
#include "supervisor/keeper_link.hpp"
#include "supervisor/outputs.hpp"
#include "supervisor/run_watch.hpp"
#include "supervisor/sockets.hpp"

namespace cluster::supervisor {

/// CPU use in percent of one processor: since the previous sample when that is old enough to mean
/// something, else since the run began. Nothing is sampled in between: an idle daemon does not wake
/// up.
class CpuSamples {
public:
    static constexpr Duration kMinAge = std::chrono::milliseconds{500};

    /// Nothing: the process is gone. It is looked at only where the sample is old enough.
    [[nodiscard]] std::optional<double> percent(Run run, std::int32_t pid, Instant started,
                                                Instant now);
    void forget(Slot slot) { samples_.erase(slot); }

private:
    struct Sample {
        Generation generation;
        Instant at;
        std::uint64_t cpu_ns = 0;
        double percent = 0;
    };
    std::unordered_map<Slot, Sample> samples_;
};

/// What `status` needs besides the fleet.
struct DaemonFacts {
    std::optional<std::string> config;
    std::string log_dir;
};

class StatusReader {
public:
    StatusReader(const core::Fleet& fleet, const KeeperLink& keeper, const RunWatch& watch,
                 const Channels& channels, const NodeClusters& clusters, const Outputs& outputs,
                 const Sockets& sockets)
        : fleet_(fleet),
          keeper_(keeper),
          watch_(watch),
          channels_(channels),
          clusters_(clusters),
          outputs_(outputs),
          sockets_(sockets) {}

    /// Places that one of the selectors names, retired ones included.
    [[nodiscard]] ctl::StatusAnswer read(const ctl::request::Status& request,
                                         const DaemonFacts& facts, Instant now);
    [[nodiscard]] ctl::VersionAnswer version() const;
    /// None: the run has no channel.
    [[nodiscard]] std::optional<ctl::ChannelStatus> channel_of(Run run, Instant now) const;
    void forget(Slot slot) { cpu_.forget(slot); }
    /// What was heard of the run and found out about it, for describe.
    void add_health(const core::Place& place, ctl::Description& description) const;

private:
    [[nodiscard]] std::optional<ctl::ClusterStatus> cluster_of(const core::Place& place,
                                                               std::int64_t uptime_ms) const;
    [[nodiscard]] ctl::WorkerStatus read_place(const core::Place& place,
                                               const core::WorkerSpec& spec, Instant now);
    void read_process(const core::Place& place, ctl::WorkerStatus& row, Instant now);
    /// Memory and CPU. Requires: the row has a pid.
    void read_usage(const core::Place& place, ctl::WorkerStatus& row, Instant now);

    const core::Fleet& fleet_;
    const KeeperLink& keeper_;
    const RunWatch& watch_;
    const Channels& channels_;
    const NodeClusters& clusters_;
    const Outputs& outputs_;
    const Sockets& sockets_;
    CpuSamples cpu_;
};

/// An exit as the control protocol shows it.
[[nodiscard]] ctl::LastExit describe_exit(const core::LastExit& last, const core::Launch& launch,
                                          Instant now);

/// A listening socket as the control protocol shows it.
[[nodiscard]] ctl::SocketStatus describe_socket(const Sockets& sockets,
                                                const core::SocketSpec& spec);

/// True when one of `selectors` names the place; an empty list names all.
[[nodiscard]] bool is_selected(const std::vector<std::string>& selectors,
                               const core::WorkerSpec& spec, const core::Place& place);

}  // namespace cluster::supervisor
