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

/// The last, partial word of some bytes, its rest zero.
[[nodiscard]] inline u64 partial_word(const std::byte* bytes, std::size_t count) {
    u64 word = 0;
    std::memcpy(&word, bytes, count);
    return word;
}

inline void copy_in(u64* target, Bytes source) {
    const std::size_t whole = source.size() / 8;
    for (std::size_t i = 0; i < whole; ++i) {
        u64 word = 0;
        std::memcpy(&word, source.data() + i * 8, 8);
        store_relaxed(target + i, word);
    }
    const std::size_t rest = source.size() % 8;
    if (rest != 0) {
        store_relaxed(target + whole, partial_word(source.data() + whole * 8, rest));
    }
}

inline void copy_out(Buffer target, const u64* source) {
    const std::size_t whole = target.size() / 8;
    for (std::size_t i = 0; i < whole; ++i) {
        const u64 word = load_relaxed(source + i);
        std::memcpy(target.data() + i * 8, &word, 8);
    }
    const std::size_t rest = target.size() % 8;
    if (rest != 0) {
        const u64 word = load_relaxed(source + whole);
        std::memcpy(target.data() + whole * 8, &word, rest);
    }
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
