#include "keeper/run_plan.hpp"

#include <sys/resource.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/assert.hpp"
#include "keeper/run_child.hpp"
#include "keeper/window.hpp"
#include "sys/file.hpp"
#include "sys/memory.hpp"

namespace cluster::keeper {

using wire::PlanOp;

Result<wire::PlanView> PlanRunner::load(int file, std::size_t fd_count) {
    // Unsealed bytes could change between the check and the child's use of them; and a file that
    // cannot be sealed at all (a pipe, a directory) is no plan.
    if (!sys::is_sealed(file)) return fail(Op::plan, EPERM);
    const auto size = sys::file_size(file);
    if (!size) return tl::unexpected(size.error());
    if (*size > bytes_.size()) return fail(Op::plan, E2BIG);
    const std::span<std::byte> bytes(bytes_.data(), *size);
    if (auto filled = sys::fill_from(file, bytes); !filled) return tl::unexpected(filled.error());
    return wire::check_plan(bytes, fd_count);
}

Result<wire::PlanView> PlanRunner::load(std::span<const std::byte> bytes, std::size_t fd_count) {
    if (bytes.size() > bytes_.size()) return fail(Op::plan, E2BIG);
    std::memcpy(bytes_.data(), bytes.data(), bytes.size());
    return wire::check_plan({bytes_.data(), bytes.size()}, fd_count);
}

Result<sys::Spawned> PlanRunner::spawn(const wire::PlanView& view, std::span<const int> sources,
                                       const ChildDefaults& defaults, std::int32_t* pid_cell) {
    CLUSTER_ASSERT(sources.size() < wire::kMaxFdsPerMessage);  // the plan itself is the first one
    lay_out(view, defaults);
    if (auto put = window::put(sources); !put) return tl::unexpected(put.error());
    auto spawned = sys::spawn(
        {.function = run_child, .argument = &plan_, .shares_descriptors = true}, pid_cell);
    window::clear(sources.size());
    return spawned;
}

void PlanRunner::lay_out(const wire::PlanView& view, const ChildDefaults& defaults) {
    CLUSTER_ASSERT(view.argv.size() + view.envp.size() + 2 <= pointers_.size());
    std::size_t next = 0;
    const auto point_to = [&](std::span<const std::uint32_t> offsets) {
        char** begin = &pointers_[next];
        for (const std::uint32_t offset : offsets) pointers_[next++] = &view.strings[offset];
        pointers_[next++] = nullptr;
        return begin;
    };
    const auto limits_descriptors = [](const wire::PlanOperation& operation) {
        return operation.op == PlanOp::limit && operation.a == RLIMIT_NOFILE;
    };
    const bool has_own_limit = std::any_of(view.ops.begin(), view.ops.end(), limits_descriptors);

    plan_ = ChildPlan{};
    plan_.operations = view.ops.data();
    plan_.operation_count = view.ops.size();
    plan_.strings = view.strings.data();
    plan_.argv = point_to(view.argv);
    plan_.envp = point_to(view.envp);
    if (defaults.descriptors && !has_own_limit) {
        plan_.restores_descriptors = true;
        plan_.descriptor_limit[0] = defaults.descriptors->soft;
        plan_.descriptor_limit[1] = defaults.descriptors->hard;
    }
    plan_.restores_oom_score = defaults.oom_score.has_value();
    plan_.oom_score = defaults.oom_score.value_or(0);
}

}  // namespace cluster::keeper
