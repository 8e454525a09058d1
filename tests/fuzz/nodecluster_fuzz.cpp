// What workers of a Node.js cluster write to their primary, and what happens to them meanwhile.
// Each line of the input begins with a letter: which run, and what happens. Whatever comes, no line
// goes out that would end its reader, and nothing is opened, closed or handed over twice.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/assert.hpp"
#include "unit/nodecluster/world.hpp"

namespace nc = cluster::nodecluster;

namespace {

constexpr std::uint32_t kRuns = 4;

void act(nc::World& world, std::uint8_t what, std::string_view rest) {
    const cluster::Run run = nc::World::run_of(what % kRuns);
    const bool is_there = world.runs.count(run) > 0 && world.runs[run].has_channel;
    switch (what / kRuns % 8) {
        case 0:
            return world.end(run);
        case 1:
            return static_cast<void>(world.stop(run, std::chrono::seconds{2}));
        case 2:
            return world.pass(std::chrono::milliseconds{what});
        case 3:
            for (const auto& [id, kept] : world.sockets) {
                if (world.connect(id)) return;
            }
            return;
        case 4:
            return what % 3 == 0 ? world.restart() : world.close_channel(run);
        case 5:
            if (world.runs.count(run) == 0) world.add(run, what % 2 == 0 ? "a" : "b", what % 3 == 0);
            return;
        default:
            if (is_there) world.say(run, rest);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* input, std::size_t size) {
    std::string_view text(reinterpret_cast<const char*>(input), size);
    nc::World world;
    for (std::uint32_t slot = 0; slot < kRuns; ++slot) {
        world.add(nc::World::run_of(slot), slot < 2 ? "a" : "b", slot % 2 == 0);
    }
    while (!text.empty()) {
        const std::string_view line = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(line.size() + 1, text.size()));
        if (!line.empty()) act(world, static_cast<std::uint8_t>(line.front()), line.substr(1));
        CLUSTER_ASSERT(world.violation.empty());
        CLUSTER_ASSERT(world.sockets.size() <= 2 * nc::kMaxHandles);
    }
    while (!world.runs.empty()) world.end(world.runs.begin()->first);
    world.pass(nc::kLinger);
    CLUSTER_ASSERT(world.violation.empty() && world.sockets.empty() && world.connections.empty());
    return 0;
}
