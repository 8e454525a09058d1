// The checksum of everything in the state memfd: it has to tell a torn record from a whole one, not
// to resist anybody.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace cluster::supervisor {

/// FNV-1a over eight bytes at a time. Requires: a multiple of eight bytes.
[[nodiscard]] inline std::uint64_t checksum(std::uint64_t sequence,
                                            std::span<const std::byte> payload) {
    constexpr std::uint64_t kOffset = 0xCBF29CE484222325U;
    constexpr std::uint64_t kPrime = 0x100000001B3U;
    std::uint64_t hash = (kOffset ^ sequence) * kPrime;
    for (std::size_t at = 0; at + sizeof(std::uint64_t) <= payload.size();
         at += sizeof(std::uint64_t)) {
        std::uint64_t word = 0;
        std::memcpy(&word, payload.data() + at, sizeof(word));
        hash = (hash ^ word) * kPrime;
    }
    return hash;
}

}  // namespace cluster::supervisor
