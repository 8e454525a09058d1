// When to ask a run whether it is ready, or whether it still does its work, and what to make of the
// answers. Pure: it is told what the time is and what came of a probe, and says what to do.
//
// Readiness: the first probe comes after initial_delay, each further one `interval` after the end
// of the last: from kFirstInterval on twice as long each time, never longer than the period; so a
// worker that is up at once is not kept waiting, and one that takes minutes is not pestered.
// Liveness: the interval is the period from the start. There is at most one probe at a time.
#pragma once

#include <cstdint>
#include <optional>

#include "base/time.hpp"
#include "core/spec.hpp"

namespace cluster::ready {

inline constexpr Duration kFirstInterval = std::chrono::milliseconds{20};

class Probe {
public:
    enum class Purpose : std::uint8_t { readiness, liveness };
    Probe(Purpose purpose, const core::Probe& spec, Instant now);

    enum class Order : std::uint8_t {
        wait,
        begin,    // begin one now; its result is told by on_result
        abandon,  // it took too long: end it, its result is `bad` already
    };
    /// What is due at `now`. Call again until it says wait.
    [[nodiscard]] Order on_time(Instant now);

    enum class Result : std::uint8_t {
        good,
        bad,
        not_asked,  // for want of something of ours: it says nothing about the worker
    };
    /// Requires: a probe was begun and neither ended nor abandoned.
    void on_result(Result result, Instant now);

    enum class Verdict : std::uint8_t {
        open,
        ready,  // success_threshold in a row; nothing is ever due again
        hung,   // failure_threshold in a row
    };
    [[nodiscard]] Verdict verdict() const;
    /// Of liveness: a verdict was told and nothing came of it; the count begins again.
    void begin_again() { failures_ = 0; }

    [[nodiscard]] Purpose purpose() const { return purpose_; }
    [[nodiscard]] std::optional<Instant> next_deadline() const;

private:
    Purpose purpose_;
    core::Probe spec_;
    Instant due_;  // of the next probe, or of the end of the running one
    Duration interval_;
    std::uint32_t successes_ = 0;  // in a row
    std::uint32_t failures_ = 0;   // in a row
    bool is_running_ = false;
};

}  // namespace cluster::ready
