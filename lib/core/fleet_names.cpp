// Who is called what, and who comes after whom. A spec says it by name; it is looked up once, when
// the spec comes, so that nobody is searched for in a turn.
#include <algorithm>

#include "core/fleet.hpp"

namespace cluster::core {

namespace {

using Names = std::vector<std::string>;
/// Why one worker may come after another.
constexpr Names WorkerSpec::*kOrders[] = {&WorkerSpec::requirements, &WorkerSpec::wants,
                                          &WorkerSpec::after};

}  // namespace

void Fleet::link(Entry& entry) {
    const WorkerSpec& spec = entry.worker.spec;
    Name& own = names_[spec.name];
    ++own.bearers;
    entry.name = &own;
    for (const auto order : kOrders) {
        auto& links = order == &WorkerSpec::requirements ? entry.required : entry.awaited;
        for (const std::string& name : spec.*order) {
            links.push_back(follow(name, entry.worker.index));
        }
    }
    if (!entry.required.empty() || !entry.awaited.empty()) ++requiring_;
}

void Fleet::unlink(Entry& entry) {
    const WorkerSpec& spec = entry.worker.spec;
    if (!entry.required.empty() || !entry.awaited.empty()) --requiring_;
    entry.required.clear();
    entry.awaited.clear();
    for (const auto order : kOrders) {
        for (const std::string& name : spec.*order) unfollow(name, entry.worker.index);
    }
    entry.name = nullptr;
    --names_[spec.name].bearers;
    forget_name_if_unused(spec.name);
}

const Fleet::Name* Fleet::follow(const std::string& name, std::uint32_t follower) {
    Name& followed = names_[name];
    followed.followers.push_back(follower);
    return &followed;
}

void Fleet::unfollow(const std::string& name, std::uint32_t follower) {
    std::vector<std::uint32_t>& followers = names_[name].followers;
    followers.erase(std::find(followers.begin(), followers.end(), follower));
    forget_name_if_unused(name);
}

void Fleet::forget_name_if_unused(const std::string& name) {
    const auto found = names_.find(name);
    const Name& known = found->second;
    if (!known.worker && known.bearers == 0 && known.followers.empty()) names_.erase(found);
}

const Worker* Fleet::find_worker(std::string_view name) const {
    const auto found = names_.find(name);
    if (found == names_.end() || !found->second.worker) return nullptr;
    return &entries_[*found->second.worker]->worker;
}

/// Deleted ones too, while something of them is left.
std::vector<const Worker*> Fleet::dependents_of(std::string_view name) const {
    std::vector<const Worker*> dependents;
    if (requiring_ == 0) return dependents;
    for (const std::uint32_t index : order_) {
        const Worker& worker = entries_[index]->worker;
        const std::vector<std::string>& required = worker.spec.requirements;
        if (std::find(required.begin(), required.end(), name) != required.end()) {
            dependents.push_back(&worker);
        }
    }
    return dependents;
}

std::vector<const Worker*> Fleet::followers_of(std::string_view name) const {
    std::vector<const Worker*> followers;
    if (requiring_ == 0) return followers;
    for (const std::uint32_t index : order_) {
        const Worker& worker = entries_[index]->worker;
        const WorkerSpec& spec = worker.spec;
        const bool follows =
            std::any_of(std::begin(kOrders), std::end(kOrders), [&](Names WorkerSpec::*names) {
                return std::find((spec.*names).begin(), (spec.*names).end(), name) !=
                       (spec.*names).end();
            });
        if (follows) followers.push_back(&worker);
    }
    return followers;
}

}  // namespace cluster::core
