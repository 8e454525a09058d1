// A spawn plan: whatever check_plan() lets through can be walked by the child without leaving the
// bytes. Input: one byte for the number of attached descriptors, then the file.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "base/assert.hpp"
#include "wire/plan.hpp"

namespace {

using cluster::wire::PlanOp;
using cluster::wire::PlanOperation;
using cluster::wire::PlanView;

/// The length of the string at `offset`; the sanitizer and this assertion watch its end.
std::size_t walk_string(const PlanView& plan, std::uint32_t offset) {
    CLUSTER_ASSERT(offset < plan.strings.size());
    const std::size_t rest = plan.strings.size() - offset;
    const std::size_t length = ::strnlen(plan.strings.data() + offset, rest);
    CLUSTER_ASSERT(length < rest);
    return length;
}

void walk_operation(const PlanView& plan, const PlanOperation& operation, std::size_t fd_count) {
    switch (operation.op) {
        case PlanOp::dup:
            CLUSTER_ASSERT(operation.a < fd_count);
            CLUSTER_ASSERT(operation.b < static_cast<std::uint32_t>(cluster::wire::kMaxTargetFd));
            return;
        case PlanOp::groups:
            CLUSTER_ASSERT(operation.offset <= plan.strings.size());
            CLUSTER_ASSERT(std::size_t{operation.a} * sizeof(std::uint32_t) <=
                           plan.strings.size() - operation.offset);
            return;
        case PlanOp::env_pid:
            std::memcpy(plan.strings.data() + operation.offset, "1234567890",
                        11);  // as the child does
            return;
        case PlanOp::chdir:
        case PlanOp::exec:
            static_cast<void>(walk_string(plan, operation.offset));
            return;
        case PlanOp::session:
        case PlanOp::limit:
        case PlanOp::umask:
        case PlanOp::nice:
        case PlanOp::set_gid:
        case PlanOp::set_uid:
        case PlanOp::oom_score:
            return;
    }
    CLUSTER_ASSERT(false);  // an operation without a name came through
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* input, std::size_t size) {
    if (size == 0) return 0;
    const std::size_t fd_count = input[0];
    const std::size_t length = size - 1;
    // Aligned to 8 as a mapping is, with nothing but the sanitizer's guard behind the last word.
    std::vector<std::uint64_t> words((length + 7) / 8);
    if (length > 0) std::memcpy(words.data(), input + 1, length);
    const auto plan = cluster::wire::check_plan(
        std::span(reinterpret_cast<std::byte*>(words.data()), length), fd_count);
    if (!plan) {
        CLUSTER_ASSERT(plan.error().op == cluster::Op::plan);
        return 0;
    }
    CLUSTER_ASSERT(!plan->ops.empty() && plan->ops.back().op == PlanOp::exec);
    for (const PlanOperation& operation : plan->ops) walk_operation(*plan, operation, fd_count);
    for (const std::uint32_t offset : plan->argv) static_cast<void>(walk_string(*plan, offset));
    for (const std::uint32_t offset : plan->envp) static_cast<void>(walk_string(*plan, offset));
    return 0;
}
