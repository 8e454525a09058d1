// A process that traces itself, instruction by instruction, and stops or dies at a chosen one.
//
// The trap flag of the processor raises SIGTRAP after each instruction; the handler counts, and at
// the chosen numbers sends its own process SIGSTOP or SIGKILL. No other process takes part, which
// makes a step cheaper than ptrace's. Still it costs some ten microseconds in a virtual machine,
// where the debug registers belong to somebody else; so one full pass is recorded, and every
// further play runs freely to a breakpoint shortly before its first chosen number.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <vector>

namespace cluster::store::test {

/// Where to begin counting: at the `passages`-th time that `address` is reached, which is `step`.
struct Breakpoint {
    std::uintptr_t address = 0;  // 0: count from the start
    std::uint64_t passages = 0;
    std::uint64_t step = 0;
};

struct TracePlan {
    std::uint64_t stop_at = 0;  // 0 is never
    std::uint64_t kill_at = 0;
    Breakpoint begin{};
};

inline constexpr std::size_t kMaxRecorded = 1U << 18U;

/// Shared with the process that watches. Valid once the traced one has ended, or has stopped.
struct TraceBoard {
    std::atomic<std::uint64_t> steps{0};
    std::atomic<bool> is_finished{false};
    /// Of a play that neither stops nor dies: the address reached by each step.
    std::uintptr_t recorded[kMaxRecorded];
};

/// Runs body(argument) under the plan. The count begins at 1 with the first instruction of the
/// call.
void run_traced(const TracePlan& plan, TraceBoard& board, void (*body)(void*), void* argument);

/// The way to a step of a recorded play.
class Route {
public:
    explicit Route(std::span<const std::uintptr_t> recorded);
    [[nodiscard]] Breakpoint to(std::uint64_t step) const;

private:
    std::vector<std::uintptr_t> addresses_;
    std::vector<std::uint32_t> passages_;  // how often the address was reached before; or kUseless
    static constexpr std::uint32_t kUseless = UINT32_MAX;
};

}  // namespace cluster::store::test
