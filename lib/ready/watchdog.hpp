// When a run that promised to say again and again that it lives has been silent for too long. Pure:
// it is told what the time is and what was said.
#pragma once

#include <optional>

#include "base/time.hpp"

namespace cluster::ready {

class Watchdog {
public:
    /// `interval`: the longest silence. Zero: none is too long.
    Watchdog(Duration interval, Instant now) : interval_(interval), heard_at_(now) {}

    void on_sign_of_life(Instant now) { heard_at_ = now; }
    /// From now on: a year, or nothing at all. Counts as a sign of life.
    void set_interval(Duration interval, Instant now) {
        interval_ = interval;
        heard_at_ = now;
    }
    [[nodiscard]] Duration interval() const { return interval_; }

    [[nodiscard]] std::optional<Instant> next_deadline() const {
        if (interval_ == Duration::zero()) return std::nullopt;
        return heard_at_ + interval_;
    }
    [[nodiscard]] bool has_run_out(Instant now) const {
        const auto deadline = next_deadline();
        return deadline && now >= *deadline;
    }

private:
    Duration interval_;
    Instant heard_at_;
};

}  // namespace cluster::ready
