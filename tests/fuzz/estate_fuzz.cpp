// What a keeper leaves to its successor: whatever check_estate() lets through lies within the bytes
// and names descriptors that may be a keeper's. Input: the file.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "base/assert.hpp"
#include "wire/estate.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* input, std::size_t size) {
    namespace wire = cluster::wire;
    // As the keeper reads it: aligned, and not a byte more than there is.
    std::vector<std::uint64_t> words(size / 8 + 1);
    if (size != 0) std::memcpy(words.data(), input, size);
    const auto bytes = std::as_bytes(std::span(words)).first(size);
    const auto view = wire::check_estate(bytes);
    if (!view) {
        CLUSTER_ASSERT(view.error().op == cluster::Op::estate);
        return 0;
    }
    CLUSTER_ASSERT(view->header->table >= 3 && view->header->witness >= 3);
    CLUSTER_ASSERT(sizeof(wire::EstateHeader) + view->entries.size_bytes() == size);
    wire::EstateBuilder again;
    for (const wire::EstateEntry& entry : view->entries) {
        CLUSTER_ASSERT(entry.fd >= 3 && entry.key.kind != wire::HeldKind::none);
        again.add(entry.key, entry.fd);
    }
    CLUSTER_ASSERT(again.finish(view->header->table, view->header->witness).size() == size);
    return 0;
}
