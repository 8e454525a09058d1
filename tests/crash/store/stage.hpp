// The stage on which a scenario is played again and again: one segment, brought back to the same
// contents before each play, and the processes that play.
#pragma once

#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "store/counters.hpp"
#include "store/participant.hpp"
#include "store/sweep.hpp"
#include "store/table.hpp"
#include "tracer.hpp"

namespace cluster::store::test {

inline Bytes bytes(std::string_view text) {
    return std::as_bytes(std::span{text.data(), text.size()});
}

/// What a step of a scenario works with. `keys` and `names` are all that a scenario ever touches.
struct World {
    explicit World(Segment& given) : segment(&given), table(given), counters(given) {}

    void join() {
        auto joined = Participant::join(*segment);
        if (joined) me.emplace(std::move(*joined));
    }
    void set(std::size_t key, std::string_view value, Duration ttl = {}) {
        (void)table.set(*me, bytes(keys[key]), bytes(value), ttl);
    }

    Segment* segment;
    std::optional<Participant> me;
    std::optional<Sweep> sweep;
    Table table;
    Counters counters;
    std::vector<std::string> keys;
    std::vector<std::string> names;
    AttemptWords* attempt = nullptr;  // outlives the process
    std::string complaint;            // of a step that saw something impossible
};

/// A value that proves itself: a letter as often as the letter says.
[[nodiscard]] std::string value_of(char letter, std::size_t size);
/// The contents as text: every key and counter of the scenario with its value, or why not.
[[nodiscard]] std::string contents(World& world);

/// Every class scans from the beginning and no ring has hints, as an unlucky process finds it:
/// hints may say anything.
void forget_hints(Segment& segment);

using Step = std::function<void(World&)>;

struct Scenario {
    const char* name;
    Step setup;                 // once; what it leaves is the beginning of each play
    Step warm{};                // in the playing process, before it is traced
    std::vector<Step> steps;    // traced
    bool joins_itself = false;  // the steps take the slot, nothing does so before
    bool is_written_down = false;  // its only step, as an attempt
    bool may_be_refused = false;   // whoever overtakes may find no memory in a full store
};
[[nodiscard]] std::vector<Scenario> all_scenarios();

/// Outcome of a process: its exit code, or 1000 + the signal that ended it.
int wait_for(pid_t pid);

class Stage {
public:
    explicit Stage(const Scenario& scenario);
    ~Stage();
    Stage(const Stage&) = delete;
    Stage& operator=(const Stage&) = delete;

    /// Brings the segment back to the beginning.
    void reset();
    /// Contents after none, one, … all of the steps.
    [[nodiscard]] const std::vector<std::string>& states() const { return states_; }
    /// Instructions of all steps together.
    [[nodiscard]] std::uint64_t length() const { return length_; }

    /// Starts a process that plays the steps. It is ended by SIGALRM when it hangs. The plan needs
    /// no breakpoint.
    [[nodiscard]] pid_t play(const TracePlan& plan);
    /// Runs something in a process of its own, and returns what it complained about; empty is good.
    /// A crash or a hang of that process is a complaint too.
    [[nodiscard]] std::string in_process(const std::function<std::string(World&)>& body);
    /// The same, traced, so that the process may die in it at a given instruction.
    [[nodiscard]] pid_t trace_process(const TracePlan& plan, const Step& before,
                                      const Step& traced);

    [[nodiscard]] TraceBoard& board() { return shared_->board; }
    [[nodiscard]] Segment& segment() { return *segment_; }
    [[nodiscard]] const Scenario& scenario() const { return scenario_; }
    [[nodiscard]] World new_world();

private:
    struct Shared {
        TraceBoard board;
        AttemptWords attempt;
        char message[4096];
    };
    void save_image();
    void learn_states();

    Scenario scenario_;
    sys::UniqueFd file_;
    std::optional<Segment> segment_;
    Shared* shared_ = nullptr;
    std::vector<std::string> keys_;
    std::vector<std::string> names_;
    std::vector<std::pair<std::uint64_t, std::string>> image_;  // offset, page
    std::vector<std::string> states_;
    std::uint64_t length_ = 0;
    std::optional<Route> route_;
};

}  // namespace cluster::store::test
