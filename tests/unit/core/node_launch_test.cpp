#include "core/node_launch.hpp"

#include <doctest/doctest.h>

#include "core/reload.hpp"

namespace cluster::core {
namespace {

Launch launch_of(std::vector<std::string> command) {
    Launch launch;
    launch.command = std::move(command);
    return launch;
}

TEST_CASE("core/node: the program is found behind env") {
    CHECK(program_name(launch_of({"/usr/bin/node", "x.js"})) == "node");
    CHECK(program_name(launch_of({"/usr/bin/env", "-i", "A=b", "node", "x.js"})) == "node");
    CHECK(program_name(launch_of({"env", "-u", "HOME", "npm", "start"})) == "npm");
    CHECK(program_name(launch_of({"env"})) == "env");
    CHECK(program_name(launch_of({})) == "");
}

TEST_CASE("core/node: programs that are Node.js themselves are known") {
    CHECK(node_wrapper(launch_of({"npm", "start"})) == "npm");
    CHECK(node_wrapper(launch_of({"/usr/bin/env", "npx", "tsx"})) == "npx");
    CHECK_FALSE(node_wrapper(launch_of({"node", "npm"})).has_value());
    CHECK_FALSE(node_wrapper(launch_of({"sh", "-c", "npm start"})).has_value());
}

TEST_CASE("core/node: runs of a cluster overlap in a reload, where both are of one") {
    WorkerSpec plain;
    WorkerSpec cluster;
    cluster.launch.node.cluster = true;
    CHECK(reload_mode(cluster, cluster) == ReloadMode::overlap);
    CHECK(reload_mode(plain, plain) == ReloadMode::stop_first);
    // The old one has the port for itself, or the new one wants it for itself.
    CHECK(reload_mode(plain, cluster) == ReloadMode::stop_first);
    CHECK(reload_mode(cluster, plain) == ReloadMode::stop_first);
}

}  // namespace
}  // namespace cluster::core
