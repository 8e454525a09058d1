// The text of a config file: load() neither throws nor hangs, and what it finds wrong can be shown
// on a terminal.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/assert.hpp"
#include "conf/load.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* input, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(input), size);
    const auto loaded = cluster::conf::load(
        text, {.path = "/etc/clusterd/clusterd.toml", .base_path = "/usr/bin:/bin"});
    if (loaded) return 0;
    CLUSTER_ASSERT(!loaded.error().empty());
    for (const auto& diagnostic : loaded.error()) {
        CLUSTER_ASSERT(!diagnostic.message.empty());
        CLUSTER_ASSERT(diagnostic.message.find('\n') == std::string::npos);
    }
    const std::string shown = cluster::conf::format(loaded.error());
    CLUSTER_ASSERT(!shown.empty() && shown.back() == '\n');
    const bool is_harmless = std::none_of(shown.begin(), shown.end(), [](char c) {
        const auto byte = static_cast<unsigned char>(c);
        return (byte < 0x20 && c != '\n' && c != '\t') || byte == 0x7F;
    });
    CLUSTER_ASSERT(is_harmless);
    return 0;
}
