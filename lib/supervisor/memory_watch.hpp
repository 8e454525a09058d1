// max_memory: looks at the memory of those runs whose worker has a limit, and at no other. An idle
// daemon without such a worker does not wake up for it.
//
// Each run is looked at every kPeriod, a bounded number of them per turn, so that no look delays
// the loop.
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "base/ids.hpp"
#include "base/time.hpp"
#include "core/fleet.hpp"
#include "supervisor/keeper_link.hpp"
#include "supervisor/main_processes.hpp"

namespace cluster::supervisor {

class MemoryWatch {
public:
    static constexpr Duration kPeriod = std::chrono::seconds{5};
    static constexpr int kMaxPerTurn = 8;

    MemoryWatch(const KeeperLink& keeper, const MainProcesses& mains)
        : keeper_(keeper), mains_(mains) {}

    /// The instance may have changed: its run is watched while it is up and has a limit.
    void follow(const core::Place& place, const core::WorkerSpec& spec, Instant now);
    void forget(Slot slot) { entries_.erase(slot); }

    void on_time(Instant now);
    [[nodiscard]] std::optional<Instant> next_deadline() const;
    /// Runs that were found above their limit since the last call.
    [[nodiscard]] std::vector<Run> take_over_limit();

private:
    struct Entry {
        Run run;
        std::uint64_t limit = 0;
        Instant due;
    };

    const KeeperLink& keeper_;
    const MainProcesses& mains_;
    std::map<Slot, Entry> entries_;
    std::vector<Run> over_limit_;
};

}  // namespace cluster::supervisor
