// What the daemon says about its instances: one line of its own log and one event for each change
// of state, and an event for each exit, with the last lines of stderr where it was a crash.
//
// Says only what has been stored; what a predecessor has said is not said again.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/ids.hpp"
#include "base/time.hpp"
#include "core/fleet.hpp"
#include "supervisor/journal.hpp"
#include "supervisor/records.hpp"

namespace cluster::supervisor {

class Reporter {
public:
    /// Crashes beyond it in one turn are told without the last lines of stderr: reading them takes
    /// a while.
    static constexpr int kMaxTailsPerTurn = 16;

    Reporter(const core::Fleet& fleet, Journal& journal);

    /// After a takeover: everything is as it was said.
    void resume();
    /// The stderr of the slot's next run goes to this file, behind what is there now.
    void note_spawn(Slot slot, const std::string& error_log);
    void report(const Records::Changes& changes, const std::string& log_dir, Instant now);

private:
    struct Shown {
        std::string id;  // empty: nothing was said of this slot
        const char* state = "";
        bool is_ready = false;
        std::uint64_t generation = 0;
        std::string_view reload;  // what was said of its reload
        std::uint64_t reload_epoch = 0;
        std::string_view side;  // "old", "new"; empty: an instance as usual
        // Of the error log when the run began; nothing: a predecessor began it.
        struct ErrorLog {
            std::uint64_t inode = 0;  // 0: there was none
            std::uint64_t size = 0;
        };
        std::optional<ErrorLog> error_log;
    };

    [[nodiscard]] Shown& shown_of(Slot slot);
    void report_exit(const Records::Exit& exit, const std::string& log_dir, Instant now);
    void report_state(Slot slot, Instant now);
    void report_reload(const core::Place& place, const std::string& id, Shown& shown);
    [[nodiscard]] std::vector<std::string> last_words(const Shown& shown, const std::string& path,
                                                      std::int64_t started_ms);

    const core::Fleet& fleet_;
    Journal& journal_;
    std::unordered_map<Slot, Shown> shown_;  // of slots that are taken
    int tails_ = 0;                          // read in this turn
};

}  // namespace cluster::supervisor
