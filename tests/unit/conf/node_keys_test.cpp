#include <doctest/doctest.h>

#include <string>

#include "loading.hpp"

namespace cluster::conf {
namespace {

const std::string kNode = "[worker.w]\ncommand = [\"node\", \"server.js\"]\nnode_cluster = true\n";

core::WorkerSpec load_worker(const std::string& text) {
    const LoadResult result = load_text(text);
    if (!result) FAIL(format(result.error()));
    return result->workers[0];
}

std::string with_command(const std::string& command) {
    return "[worker.w]\ncommand = " + command + "\nnode_cluster = true\n";
}

TEST_CASE("conf/node: a cluster and what follows from it") {
    const core::WorkerSpec spec = load_worker(kNode);
    CHECK(spec.launch.node.cluster);
    CHECK(spec.launch.node.drain);
    CHECK(spec.launch.node.schedule == core::NodeSchedule::shared);
    CHECK(spec.policy.ready.kind == core::Readiness::Kind::listen);
    CHECK(load_worker(kNode + "ready = \"channel\"").policy.ready.kind ==
          core::Readiness::Kind::channel);
    CHECK(load_worker(kNode + "node_schedule = \"round-robin\"").launch.node.schedule ==
          core::NodeSchedule::round_robin);
    CHECK_FALSE(load_worker(kNode + "node_drain = false").launch.node.drain);
    CHECK_FALSE(spec.launch.node.shared_array_buffer);
    CHECK(load_worker(kNode + "node_shared_array_buffer = true").launch.node.shared_array_buffer);
    CHECK(load_worker("[worker.w]\ncommand = \"x\"").launch.node == core::NodeSpec{});
}

TEST_CASE("conf/node: what belongs to a cluster is refused without one") {
    const std::string plain = "[worker.w]\ncommand = [\"node\", \"server.js\"]\n";
    CHECK(mistake_of(plain + "node_drain = true") ==
          "3:14 worker.w.node_drain: belongs to node_cluster = true");
    CHECK(mistake_of(plain + "node_cluster = false\nnode_schedule = \"shared\"") ==
          "4:17 worker.w.node_schedule: belongs to node_cluster = true");
    CHECK(mistake_of(plain + "node_shared_array_buffer = true") ==
          "3:28 worker.w.node_shared_array_buffer: belongs to node_cluster = true");
    CHECK(mistake_of(kNode + "store = false\nnode_shared_array_buffer = true") ==
          "5:28 worker.w.node_shared_array_buffer: needs the store, and store = false takes it away");
    CHECK(mistake_of(kNode + "node_schedule = \"fair\"") ==
          "4:17 worker.w.node_schedule: expected \"shared\" or \"round-robin\"; got \"fair\"");
}

TEST_CASE("conf/node: a cluster speaks as Node.js does") {
    CHECK(load_worker(kNode + "channel = \"node\"").launch.node.cluster);
    for (const std::string value : {"\"json\"", "false"}) {
        CHECK(mistake_of(kNode + "channel = " + value) ==
              "4:11 worker.w.channel: has to be \"node\" (or \"auto\") with node_cluster = true");
    }
}

TEST_CASE("conf/node: a command without a script is refused with the reason") {
    for (const std::string command :
         {R"(["node"])", R"("node --inspect")", R"(["node", "--require", "x.js"])",
          R"(["/usr/bin/env", "node"])", R"("env A=b -u C node")"}) {
        CAPTURE(command);
        CHECK(mistake_of(with_command(command)) ==
              "3:16 worker.w.node_cluster: needs a script; the command names no script: Node.js "
              "makes a worker of a cluster only of one, as in node server.js");
    }
    CHECK(mistake_of(with_command(R"(["node", "-e", "listen"])")) ==
          "3:16 worker.w.node_cluster: needs a script; the command node -e is no script: Node.js "
          "makes a worker of a cluster only of one");
    for (const std::string command :
         {R"(["node", "server.js"])", R"("node --require x.js server.js -e")",
          R"("/usr/bin/env node server.js")", R"("./server.js")", R"("npm start")"}) {
        CAPTURE(command);
        CHECK(load_worker(with_command(command)).launch.node.cluster);
    }
}

}  // namespace
}  // namespace cluster::conf
