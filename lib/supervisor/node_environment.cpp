#include "supervisor/node_environment.hpp"

#include <algorithm>
#include <array>
#include <string_view>

#include "supervisor/log.hpp"
#include "sys/file.hpp"
#include "sys/process.hpp"
#include "wire/table.hpp"

namespace cluster::supervisor {
namespace {

/// As node reads NODE_OPTIONS: in quotes, with a backslash before what ends them.
std::string quoted(const std::string& text) {
    std::string result = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') result += '\\';
        result += c;
    }
    return result + '"';
}

/// Such a process may read what it is told to, and would end at its start for a preload.
bool is_confined(const core::Launch& launch) {
    constexpr std::array<std::string_view, 2> kFlags{"--permission", "--experimental-permission"};
    return std::any_of(launch.command.begin(), launch.command.end(), [&](const auto& word) {
        return std::find(kFlags.begin(), kFlags.end(), word) != kFlags.end();
    });
}

}  // namespace

std::uint64_t node_worker_id(Run run) {
    return run.generation.value * wire::kMaxSlots + run.slot.value;
}

/// Below the prefix of an installation, or below the build tree.
std::optional<std::string> find_node_preload() {
    const std::string self = sys::own_executable().value_or("");
    std::string_view directory = self;
    for (int i = 0; i < 3; ++i) {
        const std::size_t slash = directory.rfind('/');
        if (slash == std::string_view::npos) return std::nullopt;
        directory = directory.substr(0, slash);
        const std::string file = std::string{directory} + "/share/clusterd/node/preload.js";
        if (i > 0 && sys::file_info(file)) return file;
    }
    return std::nullopt;
}

namespace {

/// Beside this program, as it depends on the processor. Where it is not installed, node says so and
/// ends: a worker that counted by itself would be worse.
void add_shared_memory(Inheritance& inheritance) {
    const std::string self = sys::own_executable().value_or("");
    const std::string file =
        self.substr(0, self.rfind('/') + 1) + "nodejs/shared_array_buffer.js";
    inheritance.set_variable("CLUSTER_NODE_SHARED_ARRAY_BUFFER", "1");
    inheritance.put_in_front("NODE_OPTIONS", "--require " + quoted(file));
}

}  // namespace

void add_node_environment(const core::Launch& launch, Run run, Inheritance& inheritance) {
    if (!launch.node.cluster) return;
    inheritance.set_variable("NODE_UNIQUE_ID", std::to_string(node_worker_id(run)));
    if (launch.node.shared_array_buffer) add_shared_memory(inheritance);
    if (!launch.node.drain || is_confined(launch)) return;
    static const std::optional<std::string> preload = find_node_preload();
    if (!preload) {
        static const bool is_said =
            (log::warn("the preload of Node.js workers is not installed: they are not drained"),
             true);
        return static_cast<void>(is_said);
    }
    inheritance.set_variable("CLUSTER_NODE_DRAIN", "1");
    inheritance.put_in_front("NODE_OPTIONS", "--require " + quoted(*preload));
}

}  // namespace cluster::supervisor
