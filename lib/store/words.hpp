// Loads and stores of words that other processes change at any time.
//
// Payload is copied word by word with relaxed atomics: what is read may be nonsense, which a later
// look at the bucket tells, but it is never a data race.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstring>
#include <span>

#include "store/layout.hpp"

namespace cluster::store {

using Bytes = std::span<const std::byte>;
using Buffer = std::span<std::byte>;

[[nodiscard]] inline u64 load_relaxed(const u64* word) {
    return std::atomic_ref<u64>(*const_cast<u64*>(word)).load(std::memory_order_relaxed);
}
[[nodiscard]] inline u64 load_acquire(const u64* word) {
    return std::atomic_ref<u64>(*const_cast<u64*>(word)).load(std::memory_order_acquire);
}
inline void store_relaxed(u64* word, u64 value) {
    std::atomic_ref<u64>(*word).store(value, std::memory_order_relaxed);
}
inline void store_release(u64* word, u64 value) {
    std::atomic_ref<u64>(*word).store(value, std::memory_order_release);
}
inline bool compare_exchange(u64* word, u64& expected, u64 desired) {
    return std::atomic_ref<u64>(*word).compare_exchange_strong(
        expected, desired, std::memory_order_acq_rel, std::memory_order_acquire);
}
/// The same where the caller does not care what it was instead.
inline bool change_word(u64* word, u64 expected, u64 desired) {
    return compare_exchange(word, expected, desired);
}
inline u64 add_relaxed(u64* word, u64 amount) {
    return std::atomic_ref<u64>(*word).fetch_add(amount, std::memory_order_relaxed);
}

/// Between two tries of a loop that somebody else's progress made necessary.
inline void pause_processor() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

/// The last, partial word of some bytes, its rest zero. By overlapping pieces of fixed size: a copy
/// of unknown size would be a call. Requires: count < 8.
[[nodiscard]] inline u64 partial_word(const std::byte* bytes, std::size_t count) {
    if (count >= 4) {
        std::uint32_t low = 0;
        std::uint32_t high = 0;
        std::memcpy(&low, bytes, 4);
        std::memcpy(&high, bytes + count - 4, 4);
        return low | (u64{high} << ((count - 4) * 8));
    }
    if (count == 0) return 0;
    const auto at = [bytes](std::size_t i) { return std::to_integer<u64>(bytes[i]) << (i * 8); };
    return at(0) | at(count / 2) | at(count - 1);
}

/// The other way round. Requires: count < 8.
inline void store_partial(std::byte* bytes, u64 word, std::size_t count) {
    if (count >= 4) {
        const auto low = static_cast<std::uint32_t>(word);
        const auto high = static_cast<std::uint32_t>(word >> ((count - 4) * 8));
        std::memcpy(bytes, &low, 4);
        std::memcpy(bytes + count - 4, &high, 4);
        return;
    }
    for (std::size_t i = 0; i < count; ++i) bytes[i] = static_cast<std::byte>(word >> (i * 8));
}

/// Several lines are on their way before the first is needed: words are copied one by one, so the
/// processor does not look as far ahead as it does for a vectorised copy.
inline constexpr std::size_t kPrefetchLines = 16;
inline constexpr std::size_t kPrefetchWords = kPrefetchLines * 8;

inline void prefetch_for_reading(const u64* words, std::size_t bytes) {
    const std::size_t lines = bytes / 64 < kPrefetchLines ? bytes / 64 : kPrefetchLines;
    for (std::size_t i = 1; i <= lines; ++i) __builtin_prefetch(words + i * 8);
}
inline void prefetch_for_writing(const u64* words, std::size_t bytes) {
    const std::size_t lines = bytes / 64 < kPrefetchLines ? bytes / 64 : kPrefetchLines;
    for (std::size_t i = 1; i <= lines; ++i) __builtin_prefetch(words + i * 8, 1);
}

inline void copy_in(u64* target, Bytes source) {
    const std::byte* from = source.data();
    std::size_t left = source.size();
    prefetch_for_writing(target, left);
    for (; left >= 64; left -= 64, from += 64, target += 8) {
        if (left > kPrefetchWords * 8) __builtin_prefetch(target + kPrefetchWords, 1);
#pragma GCC unroll 8
        for (std::size_t i = 0; i < 8; ++i) {
            u64 word = 0;
            std::memcpy(&word, from + i * 8, 8);
            store_relaxed(target + i, word);
        }
    }
    for (; left >= 8; left -= 8, from += 8, ++target) {
        u64 word = 0;
        std::memcpy(&word, from, 8);
        store_relaxed(target, word);
    }
    if (left != 0) store_relaxed(target, partial_word(from, left));
}

inline void copy_out(Buffer target, const u64* source) {
    std::byte* to = target.data();
    std::size_t left = target.size();
    prefetch_for_reading(source, left);
    for (; left >= 64; left -= 64, to += 64, source += 8) {
        if (left > kPrefetchWords * 8) __builtin_prefetch(source + kPrefetchWords);
#pragma GCC unroll 8
        for (std::size_t i = 0; i < 8; ++i) {
            const u64 word = load_relaxed(source + i);
            std::memcpy(to + i * 8, &word, 8);
        }
    }
    for (; left >= 8; left -= 8, to += 8, ++source) {
        const u64 word = load_relaxed(source);
        std::memcpy(to, &word, 8);
    }
    if (left != 0) store_partial(to, load_relaxed(source), left);
}

[[nodiscard]] inline bool equal_words(const u64* words, Bytes bytes) {
    const std::size_t whole = bytes.size() / 8;
    for (std::size_t i = 0; i < whole; ++i) {
        u64 word = 0;
        std::memcpy(&word, bytes.data() + i * 8, 8);
        if (load_relaxed(words + i) != word) return false;
    }
    const std::size_t rest = bytes.size() % 8;
    return rest == 0 || load_relaxed(words + whole) == partial_word(bytes.data() + whole * 8, rest);
}

}  // namespace cluster::store
