// The seeded hash of keys and names: 128-bit multiply and fold, as the wyhash family does it.
//
// Every process of a segment computes it alike, so it belongs to the layout. The seed is as secret
// as the segment: whoever can read it can write the segment anyway.
#pragma once

#include <array>
#include <cstring>

#include "store/words.hpp"

namespace cluster::store {

using Seed = std::array<u64, 2>;

[[nodiscard]] inline u64 fold_product(u64 a, u64 b) {
    const auto product = static_cast<unsigned __int128>(a) * b;
    return static_cast<u64>(product) ^ static_cast<u64>(product >> 64U);
}

[[nodiscard]] inline u64 hash_of(Bytes bytes, const Seed& seed) {
    constexpr u64 kLow = 0x8CB92BA72F3D8DD7U;  // odd, half of the bits set
    constexpr u64 kHigh = 0xD6E8FEB86659FD93U;
    const auto read = [](const std::byte* at) {
        u64 word = 0;
        std::memcpy(&word, at, 8);
        return word;
    };
    const std::byte* at = bytes.data();
    std::size_t left = bytes.size();
    u64 state = seed[0] ^ kLow;
    while (left > 16) {
        state = fold_product(read(at) ^ seed[1], read(at + 8) ^ state);
        at += 16;
        left -= 16;
    }
    u64 first = 0;
    u64 second = 0;
    if (left >= 8) {
        first = read(at);
        second = read(at + left - 8);
    } else if (left != 0) {
        first = partial_word(at, left);
    }
    const u64 folded = fold_product(first ^ seed[1], second ^ state);
    return fold_product(folded ^ kHigh, static_cast<u64>(bytes.size()) ^ kLow);
}

}  // namespace cluster::store
