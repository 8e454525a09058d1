// When to ask a run whether it is ready, and when it was asked often enough. Pure: it is told what
// the time is and what came of a probe, and says what to do.
//
// The first probe comes after initial_delay, each further one `interval` after the end of the last:
// from kFirstInterval on twice as long each time, never longer than the period; so a worker that is
// up at once is not kept waiting, and one that takes minutes is not pestered. There is at most one
// probe at a time.
#pragma once

#include <cstdint>
#include <optional>

#include "base/time.hpp"
#include "core/spec.hpp"

namespace cluster::ready {

inline constexpr Duration kFirstInterval = std::chrono::milliseconds{20};

class Probe {
public:
    Probe(const core::Probe& spec, Instant now);

    enum class Order : std::uint8_t {
        wait,
        begin,    // begin one now; its result is told by on_result
        abandon,  // it took too long: end it, its result is `false` already
    };
    /// What is due at `now`. Call again until it says wait.
    [[nodiscard]] Order on_time(Instant now);
    /// Requires: a probe was begun and neither ended nor abandoned.
    void on_result(bool is_success, Instant now);

    /// Often enough in a row: nothing is ever due again.
    [[nodiscard]] bool is_ready() const { return successes_ >= spec_.success_threshold; }
    [[nodiscard]] std::optional<Instant> next_deadline() const;

private:
    core::Probe spec_;
    Instant due_;  // of the next probe, or of the end of the running one
    Duration interval_ = kFirstInterval;
    std::uint32_t successes_ = 0;  // in a row
    bool is_running_ = false;
};

}  // namespace cluster::ready
