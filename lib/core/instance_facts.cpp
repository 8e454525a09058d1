// What can be told from an instance without changing it.
#include <algorithm>

#include "base/overloaded.hpp"
#include "core/instance.hpp"

namespace cluster::core {

std::optional<Instant> next_deadline(const Policy& policy, const Instance& instance) {
    using Deadline = std::optional<Instant>;
    const bool is_held = instance.hold != Hold::none;
    return std::visit(Overloaded{
                          [](const Stopped&) { return Deadline{}; },
                          [&](const Starting& state) {
                              if (is_held) return Deadline{};
                              return Deadline{state.since + policy.start_timeout};
                          },
                          [&](const Running& state) {
                              if (is_held) return Deadline{};
                              if (state.is_leaving) return state.limit;
                              if (!state.ready_at) return Deadline{start_deadline(policy, state)};
                              if (!state.is_good)
                                  return Deadline{*state.ready_at + policy.min_uptime};
                              return Deadline{};
                          },
                          [](const BackingOff& state) { return Deadline{state.until}; },
                          [](const Stopping& state) { return Deadline{state.kill_at}; },
                          [](const Exited&) { return Deadline{}; },
                          [](const Fatal&) { return Deadline{}; },
                          [](const Waiting&) { return Deadline{}; },
                      },
                      instance.state);
}

const char* state_name(const State& state) {
    return std::visit(Overloaded{
                          [](const Stopped&) { return "stopped"; },
                          [](const Starting&) { return "starting"; },
                          [](const Running&) { return "running"; },
                          [](const BackingOff&) { return "backoff"; },
                          [](const Stopping&) { return "stopping"; },
                          [](const Exited&) { return "exited"; },
                          [](const Fatal&) { return "fatal"; },
                          [](const Waiting&) { return "starting"; },
                      },
                      state);
}

bool is_occupied(const State& state) {
    return std::visit(Overloaded{
                          [](const Stopped&) { return false; },
                          [](const Starting&) { return true; },
                          [](const Running&) { return true; },
                          [](const BackingOff&) { return false; },
                          [](const Stopping&) { return true; },
                          [](const Exited&) { return false; },
                          [](const Fatal&) { return false; },
                          [](const Waiting&) { return false; },
                      },
                      state);
}

bool is_held_back(const Instance& instance) {
    return std::holds_alternative<Waiting>(instance.state) || instance.hold != Hold::none;
}

bool is_ready(const Instance& instance) {
    const auto* const running = std::get_if<Running>(&instance.state);
    return running != nullptr && running->ready_at && !running->is_leaving &&
           instance.hold == Hold::none && instance.desired == Desired::up;
}

Instant start_deadline(const Policy& policy, const Running& running) {
    const Instant usual = running.since + policy.start_timeout;
    return running.limit ? std::max(usual, *running.limit) : usual;
}

int end_signal(const Policy& policy, ExitReason reason) {
    constexpr int kSigabrt = 6;  // the same on every Linux architecture
    return reason == ExitReason::watchdog ? kSigabrt : policy.stop_signal;
}

bool is_success(const Policy& policy, const ExitStatus& status) {
    switch (status.kind) {
        case ExitStatus::Kind::code:
            return status.value >= 0 && status.value < 256 &&
                   policy.success_exit_codes[static_cast<std::size_t>(status.value)];
        case ExitStatus::Kind::signal:
            return false;
        case ExitStatus::Kind::spawn_failed:
            return false;
        case ExitStatus::Kind::unknown:
            return false;
    }
    return false;
}

}  // namespace cluster::core
