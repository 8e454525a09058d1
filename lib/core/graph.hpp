// Who requires whom, as a graph over names.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace cluster::core {

/// By worker: what it requires. A name that is not a key requires nothing.
using RequirementGraph = std::map<std::string, std::vector<std::string>, std::less<>>;

/// Names along a cycle, the first one again at the end: a, b, a. Empty: there is none. Of several
/// cycles the one that is reached first in the order of names. Bounds: any depth; no recursion.
[[nodiscard]] std::vector<std::string> find_cycle(const RequirementGraph& graph);

/// Every key once, each behind what it requires; where that leaves a choice, in the order of names.
/// In a graph with a cycle some stand before what they require.
[[nodiscard]] std::vector<std::string> requirements_first(const RequirementGraph& graph);

/// "a → b → a".
[[nodiscard]] std::string cycle_text(const std::vector<std::string>& cycle);

}  // namespace cluster::core
