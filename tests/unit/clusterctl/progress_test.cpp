#include "clusterctl/view/progress.hpp"

#include <doctest/doctest.h>

#include "clusterctl/view/text.hpp"

using cluster::clusterctl::display_width;
using cluster::clusterctl::progress_line;
using cluster::ctl::OperationAnswer;

namespace {

OperationAnswer waiting(std::size_t count) {
    OperationAnswer operation;
    for (std::size_t i = 0; i < count; ++i) {
        operation.instances.push_back({"api." + std::to_string(i), "pending", "starting", {}, {}});
    }
    return operation;
}

}  // namespace

TEST_CASE("clusterctl/progress: it says what is waited for, and why") {
    OperationAnswer operation = waiting(2);
    operation.instances[0].state = "stopping";
    operation.instances[0].detail = "SIGTERM was sent, SIGKILL in 8 s";
    operation.instances.push_back({"api.9", "failed", "fatal", "exec", {}});
    operation.done = 4;
    CHECK(progress_line(operation, 0) ==
          "waiting for api.0 (SIGTERM was sent, SIGKILL in 8 s) and api.1 (starting); 4 done");
}

TEST_CASE("clusterctl/progress: many are counted, not listed") {
    CHECK(progress_line(waiting(1), 0) == "waiting for api.0 (starting)");
    CHECK(progress_line(waiting(3), 0) ==
          "waiting for api.0 (starting), api.1 (starting) and api.2 (starting)");
    CHECK(progress_line(waiting(1000), 0) ==
          "waiting for api.0 (starting), api.1 (starting), api.2 (starting) and 997 more");
    CHECK(progress_line(waiting(0), 0).empty());
}

TEST_CASE("clusterctl/progress: it fits the line, whatever the details hold") {
    OperationAnswer operation = waiting(5);
    operation.instances[0].detail = "a\nb\x1b[2J日本語";
    for (std::size_t width = 20; width < 120; ++width) {
        const std::string line = progress_line(operation, width);
        REQUIRE(display_width(line) <= width);
        REQUIRE(line.find('\n') == std::string::npos);
        REQUIRE(line.find('\x1b') == std::string::npos);
    }
}
