// A channel's memory in the heap, and a socket that is none: what the kernel would do to the record
// is done by hand.
#pragma once

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "channel/intake.hpp"
#include "channel/outlet.hpp"
#include "channel/record.hpp"

namespace cluster::channel {

struct TestMemory {
    explicit TestMemory(Sizes sizes = {.max_line = 64, .max_queue = 4096})
        : words(Memory::size_for(sizes) / 8), memory(Memory::make(bytes(), sizes)) {}

    [[nodiscard]] std::span<std::byte> bytes() {
        return {reinterpret_cast<std::byte*>(words.data()), words.size() * 8};
    }
    [[nodiscard]] Record& record() { return memory.record(); }

    std::vector<std::uint64_t> words;
    Memory memory;
};

/// As recvmsg would: into both pieces, and the length into the record.
inline void receive(TestMemory& test, Intake& intake, std::string_view text, bool is_noted = true) {
    const Pieces room = intake.room(text.size());
    const std::size_t first = std::min(room.first.size(), text.size());
    std::memcpy(room.first.data(), text.data(), first);
    const std::size_t second = std::min(room.second.size(), text.size() - first);
    if (second > 0) std::memcpy(room.second.data(), text.data() + first, second);
    test.record().receiving.bytes = static_cast<std::uint32_t>(first + second);
    if (is_noted) intake.on_received();
}

/// As sendmsg would, which takes `limit` bytes of the chunk.
inline std::string send(TestMemory& test, Outlet& outlet, std::size_t limit = ~std::size_t{0},
                        bool is_noted = true) {
    const Pieces chunk = outlet.next_chunk();
    std::string sent{reinterpret_cast<const char*>(chunk.first.data()), chunk.first.size()};
    sent.append(reinterpret_cast<const char*>(chunk.second.data()), chunk.second.size());
    sent.resize(std::min(limit, sent.size()));
    test.record().sending.bytes = static_cast<std::uint32_t>(sent.size());
    if (is_noted) outlet.on_sent();
    return sent;
}

inline std::string send_all(TestMemory& test, Outlet& outlet) {
    std::string sent;
    while (!outlet.is_empty()) sent += send(test, outlet);
    return sent;
}

}  // namespace cluster::channel
