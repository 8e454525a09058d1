// One reload of one worker, played to its end with one blow at one step of it, or two: the real
// fleet over the fake keeper, whose delays are those of one fixed seed.
//
// A step is a turn of the supervisor, from the one that was asked for the reload to the last in
// which anything happens. A boundary is a moment of a turn at which the supervisor may be killed:
// before each record that it stores and before each action that it executes.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/fleet.hpp"
#include "sim/fake_keeper.hpp"
#include "sim/fake_shell.hpp"
#include "sim/trace.hpp"
#include "sim/witness.hpp"

namespace cluster::sim {

/// A worker, and how it is reloaded.
struct Shape {
    std::string name;
    core::ReloadSpec reload;
    std::uint32_t instances = 1;
    core::Readiness::Kind ready = core::Readiness::Kind::notify;
    bool has_socket = false;
    bool by_update = false;  // a new command is brought in, instead of a reload asked for
    bool is_stubborn = false;  // its runs ignore the stop signal
    /// So many instances may serve nobody at a time, because the mode takes them down first.
    std::uint32_t down_at_a_time = 0;
};

enum class Blow : std::uint8_t {
    none,
    // To a run that is there.
    exits_badly,
    exits_well,
    is_killed,
    leaves,
    exceeds_memory,
    hangs,
    is_told_again,  // everything that the keeper has said of it comes again
    // To the run that is spawned next.
    is_refused,
    is_not_found,
    crashes_at_once,
    is_never_ready,
    // By an operator, about one instance.
    stop_one,
    restart_one,
    start_one,
    reset_one,
    // By an operator, about the worker.
    stop_all,
    restart_all,
    scale_down,
    scale_up,
    remove,
    reload_again,
    reload_by_force,
    update,
};
inline constexpr Blow kLastBlow = Blow::update;
[[nodiscard]] const char* blow_name(Blow blow);
/// Slots, instance numbers, or nothing: what a blow is aimed at.
enum class Aim : std::uint8_t { slot, instance, nobody };
[[nodiscard]] Aim aim_of(Blow blow);

struct ReloadCase {
    Shape shape;
    Blow blow = Blow::none;
    std::uint32_t step = 0;
    std::uint32_t target = 0;    // slot or instance number
    std::uint64_t boundary = 0;  // at which the supervisor is killed; 0: it is not
};
[[nodiscard]] std::string describe(const ReloadCase& played);

class ReloadStage {
public:
    explicit ReloadStage(const ReloadCase& played);

    struct Result {
        std::string broken;  // "": every promise was kept
        std::uint32_t steps = 0;
        std::uint64_t boundaries = 0;  // of all steps
        std::uint64_t first_boundary = 0;  // of the step of the blow
        bool was_struck = false;           // there was somebody to aim at
    };
    [[nodiscard]] Result play();
    void print_trace(std::ostream& out) const { trace_.print(out); }

private:
    enum class Expected : std::uint8_t { done, failed, not_failed, anything };

    void come_up();
    void turn();
    void note_cut_off();
    void ask_for_reload();
    void strike();
    void strike_run(Slot slot);
    void strike_next();
    void command();
    void restore_faults();
    [[nodiscard]] bool is_unproven(const core::Place& place) const;
    [[nodiscard]] std::optional<Instant> next_time() const;
    [[nodiscard]] core::WorkerSpec spec() const;
    [[nodiscard]] std::uint32_t serving() const;
    [[nodiscard]] std::string check_serving() const;
    [[nodiscard]] std::string check_end() const;
    [[nodiscard]] std::string check_told(Epoch epoch, Expected expected) const;
    void note_broken(const std::string& rule);

    ReloadCase case_;
    Trace trace_;
    FakeKeeper keeper_;
    FakeShell shell_;
    Witness witness_;
    Instant now_;
    std::vector<Delivery> arrived_;
    std::uint32_t step_ = 0;
    bool is_reloading_ = false;
    Epoch epoch_;
    std::optional<Epoch> second_epoch_;  // of another reload
    Expected expected_ = Expected::done;
    bool is_cut_off_ = false;  // the supervisor was killed in the turn of the blow
    std::set<std::uint32_t> excused_;  // instances that the blow itself took down
    std::uint64_t spawned_before_ = 0;
    bool is_next_doomed_ = false;
    Result result_;
};

}  // namespace cluster::sim
