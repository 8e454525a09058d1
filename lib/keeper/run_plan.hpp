// Running a spawn plan: checking and laying it out in memory that was taken at the start, and the
// child's half, which executes the operations by raw system calls between clone3 and exec.
//
// What every run gets without being asked: every descriptor closed that no operation placed, the
// soft limit of open files and the OOM score as the keeper itself was given them, and every signal
// unblocked, last.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "base/result.hpp"
#include "sys/process.hpp"
#include "wire/message.hpp"
#include "wire/plan.hpp"

namespace cluster::keeper {

/// What the keeper changed for itself and its children do not keep.
struct ChildDefaults {
    struct DescriptorLimit {
        std::uint64_t soft;
        std::uint64_t hard;
    };
    std::optional<DescriptorLimit> descriptors;
    std::optional<int> oom_score;
};

class PlanRunner {
public:
    PlanRunner() = default;
    PlanRunner(const PlanRunner&) = delete;
    PlanRunner& operator=(const PlanRunner&) = delete;

    /// Reads and checks the plan in a sealed memfd; the keeper's copy of it is then the plan.
    /// `fd_count` descriptors are attached besides it. The view is good until the next load.
    /// Errors: {plan, EPERM} the file can still be changed; {plan, E2BIG}; {plan, EINVAL}; those of
    /// reading.
    [[nodiscard]] Result<wire::PlanView> load(int file, std::size_t fd_count);
    /// The same for a plan of the keeper's own.
    [[nodiscard]] Result<wire::PlanView> load(std::span<const std::byte> bytes,
                                              std::size_t fd_count);

    /// sys::spawn of the plan. Requires: `view` is the last load's; the window is reserved. A
    /// SpawnFailure's op_index is that of the operation, or the count of operations.
    [[nodiscard]] Result<sys::Spawned> spawn(const wire::PlanView& view,
                                             std::span<const int> sources,
                                             const ChildDefaults& defaults,
                                             std::int32_t* pid_cell);

    /// Everything that the child looks at, in plain pointers: no code of a library runs there.
    struct ChildPlan {
        const wire::PlanOperation* operations;
        std::size_t operation_count;
        char* strings;
        char** argv;
        char** envp;
        bool restores_descriptors;
        std::uint64_t descriptor_limit[2];  // soft, hard: struct rlimit64
        bool restores_oom_score;
        int oom_score;
    };

private:
    void lay_out(const wire::PlanView& view, const ChildDefaults& defaults);

    alignas(8) std::array<std::byte, wire::kMaxPlanBytes> bytes_;
    std::array<char*, wire::kMaxPlanPointers> pointers_;
    ChildPlan plan_{};
};

}  // namespace cluster::keeper
