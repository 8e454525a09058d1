// The output pipes of all runs and the log files that they are pumped into.
//
// A pipe belongs to a run, not to an instance: a grandchild that outlives its run keeps the pipe
// open, goes on being logged and delays nobody. Each turn of the loop moves a bounded amount per
// pipe. A file that takes nothing (disk full) is tried again every kRetryInterval; its bytes wait
// in the pipe. Owns: our duplicates of the read ends, the log files, the watches. The keeper holds
// the pipes for our successor.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/ids.hpp"
#include "base/time.hpp"
#include "capture/pump.hpp"
#include "ev/loop.hpp"
#include "supervisor/keeper_link.hpp"
#include "supervisor/logs.hpp"

namespace cluster::supervisor {

enum class Stream : std::uint8_t { output, error_output };

[[nodiscard]] wire::HeldKey held_key(Run run, Stream stream);
[[nodiscard]] wire::HeldKey path_key(Run run, Stream stream);

class Outputs {
public:
    static constexpr Duration kRetryInterval = std::chrono::seconds{1};
    /// Four pipes' capacity: enough to keep a firehose flowing, little enough to let others have
    /// their turn.
    static constexpr std::size_t kBudgetPerTurn = std::size_t{256} << 10U;

    /// `on_slot_change(slot, is_busy)`: the first pipe of a slot was opened, or its last one
    /// closed.
    using SlotChange = std::function<void(Slot, bool)>;

    Outputs(ev::Loop& loop, KeeperLink& keeper, Logs& logs, SlotChange on_slot_change);

    /// Starts pumping `pipe` into the log at `path`. Errors: {open, …}, {epoll, …}.
    [[nodiscard]] Status open(Run run, Stream stream, sys::UniqueFd pipe, const std::string& path,
                              const core::LogSpec& spec);
    /// `open` for a pipe that a predecessor pumped: a log that cannot be opened now is tried again
    /// every kRetryInterval.
    void resume(Run run, Stream stream, sys::UniqueFd pipe, const std::string& path,
                const core::LogSpec& spec);
    /// The instance of the slot is about to be forgotten while pipes of it are still open: says
    /// where they go to, so that a successor can find out.
    void keep_paths(Slot slot);
    /// Moves what is in the pipes of the run now, before its exit is shown to anybody.
    void drain(Run run);
    /// Closes the pipes of a run that never came to be.
    void close(Run run);

    void on_time(Instant now);
    [[nodiscard]] std::optional<Instant> next_deadline() const;

private:
    struct Key {
        Run run;
        Stream stream;
        friend bool operator==(const Key&, const Key&) = default;
    };
    struct KeyHash {
        std::size_t operator()(const Key& key) const noexcept {
            return std::hash<Run>{}(key.run) * 2 + static_cast<std::size_t>(key.stream);
        }
    };
    struct Entry {
        capture::Pump pump;
        ev::Watch watch;  // unset while the file is blocked
        bool is_blocked = false;
        bool is_path_held = false;
    };
    /// A pipe whose log could not be opened yet.
    struct Unopened {
        Key key;
        sys::UniqueFd pipe;
        std::string path;
        core::LogSpec spec;
    };

    void open_again();
    void move_bytes(const Key& key);
    [[nodiscard]] capture::Pumped pump(Entry& entry, std::size_t budget);
    void act_on(const Key& key, Entry& entry, capture::Pumped result);
    void remove(const Key& key);
    [[nodiscard]] Status watch(const Key& key, Entry& entry);

    ev::Loop& loop_;
    KeeperLink& keeper_;
    Logs& logs_;
    SlotChange on_slot_change_;
    std::unordered_map<Key, Entry, KeyHash> entries_;
    std::unordered_map<Slot, int> open_per_slot_;
    std::vector<Unopened> unopened_;
    std::size_t blocked_ = 0;
    std::optional<Instant> retry_at_;
};

}  // namespace cluster::supervisor
