#include "core/graph.hpp"

#include <algorithm>
#include <cstddef>
#include <set>

namespace cluster::core {

std::vector<std::string> find_cycle(const RequirementGraph& graph) {
    struct Step {
        RequirementGraph::const_iterator node;
        std::size_t next = 0;  // index into what it requires
    };
    std::set<std::string> finished;
    for (auto root = graph.begin(); root != graph.end(); ++root) {
        std::vector<Step> path{{root}};
        while (!path.empty()) {
            const auto& [name, required] = *path.back().node;
            if (path.back().next == required.size() || finished.contains(name)) {
                finished.insert(name);
                path.pop_back();
                continue;
            }
            const auto target = graph.find(required[path.back().next++]);
            if (target == graph.end()) continue;
            const auto seen = std::find_if(path.begin(), path.end(),
                                           [&](const Step& step) { return step.node == target; });
            if (seen == path.end()) {
                path.push_back({target});
                continue;
            }
            std::vector<std::string> cycle;
            for (auto it = seen; it != path.end(); ++it) cycle.push_back(it->node->first);
            cycle.push_back(target->first);
            return cycle;
        }
    }
    return {};
}

std::vector<std::string> requirements_first(const RequirementGraph& graph) {
    struct Step {
        RequirementGraph::const_iterator node;
        std::size_t next = 0;
    };
    std::vector<std::string> order;
    std::set<std::string> seen;
    for (auto root = graph.begin(); root != graph.end(); ++root) {
        if (!seen.insert(root->first).second) continue;
        std::vector<Step> path{{root}};
        while (!path.empty()) {
            const auto& [name, required] = *path.back().node;
            if (path.back().next == required.size()) {
                order.push_back(name);
                path.pop_back();
                continue;
            }
            const auto target = graph.find(required[path.back().next++]);
            if (target == graph.end() || !seen.insert(target->first).second) continue;
            path.push_back({target});
        }
    }
    return order;
}

std::string cycle_text(const std::vector<std::string>& cycle) {
    std::string text;
    for (const std::string& name : cycle) text += (text.empty() ? "" : " → ") + name;
    return text;
}

}  // namespace cluster::core
