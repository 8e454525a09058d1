#include "clusterctl/view/progress.hpp"

#include <vector>

#include <fmt/format.h>

#include "clusterctl/view/text.hpp"

namespace cluster::clusterctl {
namespace {

constexpr std::size_t kNamed = 3;

/// The detail alone where there is one: it says more than the state, and a line is short.
std::string describe(const ctl::InstanceOutcome& instance) {
    return one_line(instance.id + " (" + instance.detail.value_or(instance.state) + ")");
}

}  // namespace

std::string progress_line(const ctl::OperationAnswer& operation, std::size_t width) {
    std::vector<std::string> pending;
    for (const ctl::InstanceOutcome& instance : operation.instances) {
        if (instance.outcome == "pending") pending.push_back(describe(instance));
    }
    if (pending.empty()) return {};
    std::string line = "waiting for ";
    for (std::size_t i = 0; i < pending.size() && i < kNamed; ++i) {
        const bool is_last = i + 1 == pending.size();
        if (i > 0) line += is_last ? " and " : ", ";
        line += pending[i];
    }
    if (pending.size() > kNamed) line += fmt::format(" and {} more", pending.size() - kNamed);
    if (operation.done > 0) line += fmt::format("; {} done", operation.done);
    return width == 0 ? line : cut_to_width(line, width);
}

}  // namespace cluster::clusterctl
