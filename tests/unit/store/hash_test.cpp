#include "store/hash.hpp"

#include <doctest/doctest.h>

#include <set>
#include <string>
#include <vector>

namespace cluster::store {
namespace {

u64 hash_text(const std::string& text, const Seed& seed) {
    return hash_of(std::as_bytes(std::span{text.data(), text.size()}), seed);
}

TEST_CASE("store/hash: keys that differ little are spread over the buckets") {
    const Seed seed{0x1234'5678'9ABC'DEF0U, 0x0FED'CBA9'8765'4321U};
    constexpr u64 kBuckets = 1U << 17U;
    constexpr u64 kKeys = 100'000;
    for (const char* prefix : {"", "key:", "a prefix of some twenty bytes "}) {
        std::vector<u32> load(kBuckets);
        std::set<u64> tags;
        u64 empty = kBuckets;
        for (u64 i = 0; i < kKeys; ++i) {
            const u64 hash = hash_text(prefix + std::to_string(i), seed);
            u32& bucket = load[hash >> 47U];
            empty -= bucket == 0 ? 1U : 0U;
            CHECK(++bucket < 12);
            tags.insert(hash & Reference::kTagMask);
        }
        // A random function leaves kBuckets × e^(-kKeys/kBuckets) empty: 61,113.
        CHECK(empty > 60'300);
        CHECK(empty < 61'900);
        CHECK(tags.size() >= kKeys - 3);
    }
}

TEST_CASE("store/hash: every bit of every length matters, and the seed does") {
    const Seed seed{1, 2};
    std::set<u64> seen;
    u64 expected = 0;
    for (std::size_t size = 1; size <= 40; ++size) {
        std::string text(size, 'x');
        seen.insert(hash_text(text, seed));
        seen.insert(hash_text(text, {1, 0x5555'1234}));
        seen.insert(hash_text(text, {0x7777'4321, 2}));
        expected += 3;
        for (std::size_t bit = 0; bit < size * 8; ++bit) {
            text[bit / 8] = static_cast<char>(text[bit / 8] ^ (1 << (bit % 8)));
            seen.insert(hash_text(text, seed));
            text[bit / 8] = static_cast<char>(text[bit / 8] ^ (1 << (bit % 8)));
            ++expected;
        }
    }
    CHECK(seen.size() == expected);
}

}  // namespace
}  // namespace cluster::store
