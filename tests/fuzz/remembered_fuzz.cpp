// state.json, as a hand or a power cut may have left it: it is refused with a reason, or it says
// workers within their bounds.

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/assert.hpp"
#include "supervisor/remembered.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* input, std::size_t size) {
    const std::string text(reinterpret_cast<const char*>(input), size);
    const auto state = cluster::supervisor::parse_remembered(text);
    if (!state) {
        CLUSTER_ASSERT(!state.error().empty());
        return 0;
    }
    for (const cluster::supervisor::RememberedWorker& worker : state->workers) {
        CLUSTER_ASSERT(worker.spec.instances <= cluster::core::kMaxInstancesPerWorker);
        CLUSTER_ASSERT(worker.wanted.size() == worker.spec.instances);
        CLUSTER_ASSERT(!worker.spec.name.empty());
    }
    return 0;
}
