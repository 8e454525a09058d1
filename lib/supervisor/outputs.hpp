// The output pipes of all runs and the log files that they are pumped into.
//
// A pipe belongs to a run, not to an instance: a grandchild that outlives its run keeps the pipe
// open, goes on being logged and delays nobody. Each turn of the loop moves a bounded amount per
// pipe.
//
// A log that takes nothing (disk full) never stops its worker: for one kRetryInterval the bytes
// wait in the pipe; from then on what would fill it is thrown away and counted, until the log takes
// something again. Then a line in the log says how much is missing there.
//
// Owns: our duplicates of the read ends, of the relays, of the staging files and of the log files;
// the watches. The keeper holds all but the log files for our successor.
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
[[nodiscard]] wire::HeldKey staging_key(Run run, Stream stream);
[[nodiscard]] wire::HeldKey relay_key(Run run, Stream stream);
[[nodiscard]] wire::HeldKey path_key(Run run, Stream stream);

/// What the logs of an instance suffer from.
struct LogTrouble {
    std::string problem;           // why a log takes nothing now; empty: all do
    std::uint64_t lost_bytes = 0;  // of the current run, thrown away for want of room
};

class Outputs {
public:
    static constexpr Duration kRetryInterval = std::chrono::seconds{1};
    /// How long an unfinished line of a merged log waits for its end.
    static constexpr Duration kLinePatience = std::chrono::seconds{1};
    /// How long what a run left in its pipe waits for a full disk, before it is thrown away too.
    static constexpr Duration kLastPatience = std::chrono::seconds{10};
    /// Four pipes' capacity: enough to keep a firehose flowing, little enough to let others have
    /// their turn.
    static constexpr std::size_t kBudgetPerTurn = std::size_t{256} << 10U;
    /// So many outputs get a relay: a user who is not root has 16,384 pages for all pipes
    /// (pipe(7)).
    static constexpr std::size_t kMostRelays = 64;

    /// `on_slot_change(slot, is_busy)`: the first pipe of a slot was opened, or its last one
    /// closed.
    using SlotChange = std::function<void(Slot, bool)>;
    /// Where the output of a run goes by the spec in force; nothing for a run of nobody.
    struct Target {
        LogPaths paths;
        core::LogSpec spec;
    };
    using TargetOf = std::function<std::optional<Target>(Run)>;

    Outputs(ev::Loop& loop, KeeperLink& keeper, Logs& logs, SlotChange on_slot_change,
            TargetOf target_of);

    /// Starts pumping `pipe` into the log at `path`. Errors: {open, …}, {epoll, …}.
    [[nodiscard]] Status open(Run run, Stream stream, sys::UniqueFd pipe, const std::string& path,
                              const core::LogSpec& spec);

    /// What a predecessor pumped, out of custody.
    struct Held {
        sys::UniqueFd pipe;
        sys::UniqueFd staging;  // may be none
        sys::UniqueFd relay;    // may be none
    };
    /// As `open`, and finishes what was cut off by the kill; a log that cannot be opened now is
    /// tried again every kRetryInterval. Without `spec` lines are treated as the predecessor did.
    /// `former`: further paths that the output may have gone to.
    void resume(Run run, Stream stream, Held held, const std::string& path,
                const std::optional<core::LogSpec>& spec, std::vector<std::string> former);
    /// After the last resume(): what the predecessor had taken from a pipe already is written; no
    /// pipe tells of it.
    void write_staged();
    /// The instance of the slot is about to be forgotten while pipes of it are still open: says
    /// where they go to, so that a successor can find out.
    void keep_paths(Slot slot);
    /// A spec has changed: what is under way goes where the specs in force say.
    void update();
    /// Moves what is in the pipes of the run now, before its exit is shown to anybody.
    void drain(Run run);
    /// Closes the pipes of a run that never came to be.
    void close(Run run);

    [[nodiscard]] LogTrouble trouble_of(Run run) const;

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
    enum class Flow : std::uint8_t {
        runs,     // the log takes bytes
        waits,    // it does not; they stay in the pipe, which is not watched
        discards  // they would fill the pipe: it is watched, and emptied
    };
    struct Entry {
        explicit Entry(capture::Pump moved) : pump(std::move(moved)) {}
        capture::Pump pump;
        ev::Watch watch;  // unset while it waits
        Flow flow = Flow::runs;
        std::optional<Instant> blocked_since;  // set at the end of the turn
        std::uint64_t lost_bytes = 0;          // since the log took something last
        std::uint64_t all_lost_bytes = 0;
        bool is_path_held = false;
        bool is_over = false;   // the run has ended
        bool is_stale = false;  // its target may have changed, and what was taken is not written
    };
    /// A pipe whose log could not be opened yet.
    struct Unopened {
        Key key;
        Held held;
        std::string path;
        std::optional<core::LogSpec> spec;
        std::vector<std::string> former;
    };

    [[nodiscard]] static Held duplicate_of(const Held& held);
    [[nodiscard]] Status open_entry(const Key& key, Held held, const std::string& path,
                                    const std::optional<core::LogSpec>& spec,
                                    const std::vector<std::string>& former);
    void attach_staging(const Key& key, capture::Pump& pump, sys::UniqueFd staging,
                        const std::vector<std::string>& former);
    void attach_relay(const Key& key, capture::Pump& pump, sys::UniqueFd pipe);
    void begin_relay(const Key& key, Entry& entry);
    void use_relay(capture::Pump& pump, capture::Relay relay);
    [[nodiscard]] bool give_up_relay(const Key& key, capture::Pump& pump);
    void apply_format(const Key& key, capture::Pump& pump, const core::LogSpec& spec);
    void open_again();
    void write_taken(const Key& key);
    void retarget(const Key& key, Entry& entry);
    void uncount(const Entry& entry);
    void on_ready(const Key& key, bool is_drained);
    [[nodiscard]] capture::Pumped pump(Entry& entry, std::size_t budget);
    [[nodiscard]] capture::Pumped flush(Entry& entry);
    void act_on(const Key& key, Entry& entry, capture::Pumped result);
    void note_partial(const Key& key, const Entry& entry);
    void flush_partials(Instant now);
    void begin_waiting(const Key& key, Entry& entry);
    void retry(const Key& key, Entry& entry, Instant now);
    void discard(const Key& key, Entry& entry, std::size_t budget);
    [[nodiscard]] bool note_loss(Entry& entry);
    void remove(const Key& key);
    [[nodiscard]] Status watch(const Key& key, Entry& entry);

    ev::Loop& loop_;
    KeeperLink& keeper_;
    Logs& logs_;
    SlotChange on_slot_change_;
    TargetOf target_of_;
    std::unordered_map<Key, Entry, KeyHash> entries_;
    std::unordered_map<Slot, int> open_per_slot_;
    std::vector<Unopened> unopened_;
    /// Unfinished lines, and until when they wait; no time yet: noted in this turn.
    std::unordered_map<Key, std::optional<Instant>, KeyHash> partials_;
    std::size_t relays_ = 0;
    std::size_t blocked_ = 0;
    std::optional<Instant> retry_at_;
};

}  // namespace cluster::supervisor
