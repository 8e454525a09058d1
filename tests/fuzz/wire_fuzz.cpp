// A datagram between keeper and supervisor: decode() accepts exactly what it promises and changes
// no byte of it. Input: one byte for the number of descriptors received, then the datagram.

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "base/assert.hpp"
#include "wire/message.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* input, std::size_t size) {
    if (size == 0) return 0;
    const std::uint8_t* bytes = input + 1;
    const auto message = cluster::wire::decode(bytes, size - 1, input[0]);
    if (!message) {
        CLUSTER_ASSERT(message.error().op == cluster::Op::message);
        return 0;
    }
    CLUSTER_ASSERT(size - 1 == sizeof *message);
    CLUSTER_ASSERT(message->fd_count == input[0]);
    CLUSTER_ASSERT(message->fd_count <= cluster::wire::kMaxFdsPerMessage);
    CLUSTER_ASSERT(std::memcmp(&*message, bytes, sizeof *message) == 0);
    return 0;
}
