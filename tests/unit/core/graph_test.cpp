#include "core/graph.hpp"

#include <doctest/doctest.h>

namespace cluster::core {
namespace {

using Names = std::vector<std::string>;

TEST_CASE("core/graph: a graph without a cycle has an order with requirements first") {
    const RequirementGraph graph{{"a", {"b", "c"}}, {"b", {"c"}}, {"c", {}}, {"d", {"nobody"}}};
    CHECK(find_cycle(graph).empty());
    CHECK(requirements_first(graph) == Names{"c", "b", "a", "d"});
}

TEST_CASE("core/graph: a cycle is found wherever it begins, and named along its way") {
    CHECK(find_cycle({{"a", {"a"}}}) == Names{"a", "a"});
    CHECK(find_cycle({{"a", {"b"}}, {"b", {"c"}}, {"c", {"b"}}}) == Names{"b", "c", "b"});
    CHECK(cycle_text({"b", "c", "b"}) == "b → c → b");
    CHECK(requirements_first({{"a", {"b"}}, {"b", {"a"}}}).size() == 2);
}

TEST_CASE("core/graph: a long chain and a wide diamond are no cycles") {
    RequirementGraph chain;
    for (int i = 0; i < 3000; ++i) chain["w" + std::to_string(i)] = {"w" + std::to_string(i + 1)};
    CHECK(find_cycle(chain).empty());
    CHECK(requirements_first(chain).front() == "w2999");
    chain["w3000"] = {"w0"};
    CHECK(find_cycle(chain).size() == 3002);
}

}  // namespace
}  // namespace cluster::core
