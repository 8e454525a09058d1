// Jobs: what is too slow for the loop (packing an archive, removing a huge file) and is done by a
// child of its own, at the lowest priority, spawned by the keeper like a worker.
//
// A job runs in one of the first kJobSlots slots of the keeper's table, which the fleet never uses.
// The first and not the last ones: the table's pages are touched up to the highest slot in use.
// Nothing about jobs is stored. What a predecessor started is known by its slot alone: it is
// released when it exits, and until then no job is started, so that no two of them ever work on the
// same files. Whoever starts a job must be able to find out after a takeover what is left to do.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.hpp"
#include "base/result.hpp"
#include "supervisor/keeper_link.hpp"

namespace cluster::supervisor {

inline constexpr std::uint32_t kJobSlots = 64;
/// What is left for instances.
inline constexpr std::uint32_t kWorkerSlots = wire::kMaxSlots - kJobSlots;
[[nodiscard]] constexpr bool is_job_slot(Slot slot) {
    return slot.value < kJobSlots;
}

class Jobs {
public:
    /// More would compete with the workers for the disk.
    static constexpr std::size_t kMaxRunning = 2;

    /// `failure`: why it was not done, in words; empty when it was.
    using Done = std::function<void(const std::string& failure)>;

    /// `path`: where commands are looked up. `null`: /dev/null, which outlives this.
    Jobs(KeeperLink& keeper, std::string path, int null)
        : keeper_(keeper), path_(std::move(path)), null_(null) {}

    /// Runs the command as soon as there is room, and says what came of it. What it writes to
    /// stderr goes to the daemon's log. `inherited`, if open, is its descriptor kInheritedFd.
    void start(std::vector<std::string> command, Done done, sys::UniqueFd inherited = {});
    static constexpr int kInheritedFd = 3;

    /// Runs a plan at once and beside all others: a probe, which nobody takes over from a
    /// predecessor. Nothing when no slot is free. What it writes is lost.
    /// `output`: what it writes to its standard output goes there.
    [[nodiscard]] std::optional<Run> start_probe(int plan, Done done,
                                                 std::optional<int> output = std::nullopt);
    /// Kills it; `done` is not called any more.
    void abandon_probe(Run run);

    /// A slot of the table that is_job_slot() has changed, or may have.
    void on_slot_changed(Slot slot);
    /// The keeper answered a spawn. `error`: nothing when it succeeded.
    void on_spawned(Run run, const std::optional<Error>& error);
    /// The keeper refused what was asked of a run; only a spawn matters.
    void on_refused(Run run, const Error& error);

    /// Starts nothing any more, and asks what runs to end. Whatever they worked on stays as it is.
    void stop();
    [[nodiscard]] bool is_idle() const;

private:
    struct Waiting {
        std::vector<std::string> command;
        Done done;
        sys::UniqueFd inherited;
    };
    struct Job {
        bool is_busy = false;  // ours, or unknown
        bool is_probe = false;
        Generation generation;
        Done done;
    };
    void start_waiting();
    [[nodiscard]] Status spawn(Slot slot, const Waiting& job);
    [[nodiscard]] std::optional<Slot> free_slot() const;
    void finish(Slot slot, const std::string& failure);
    [[nodiscard]] Generation next_generation(Slot slot);

    KeeperLink& keeper_;
    std::string path_;
    int null_;
    std::array<Job, kJobSlots> jobs_;
    std::size_t running_ = 0;
    std::size_t unknown_ = 0;  // of these, started by a predecessor
    std::size_t probes_ = 0;   // not among them
    std::deque<Waiting> waiting_;
    bool is_stopping_ = false;
    bool is_starting_ = false;
};

}  // namespace cluster::supervisor
