// Entries: how one is written into a block of ours and read from a block of anybody's.
#pragma once

#include "store/snapshot.hpp"

namespace cluster::store {

/// The entry of a key, as it was found. Only true once the bucket proves unchanged.
struct Match {
    u64 granule = 0;  // 0 is none
    u32 index = 0;    // among the references of a snapshot
    u64 state = 0;
    u64 deadline = 0;
    Lengths lengths{};

    [[nodiscard]] bool is_found() const { return granule != 0; }
    [[nodiscard]] u64 token() const { return Incarnation::of(state, granule); }
};

[[nodiscard]] inline const u64* key_words_of(const u64* block) {
    return block + kEntryHeaderBytes / 8;
}
[[nodiscard]] inline u64* key_words_of(u64* block) {
    return block + kEntryHeaderBytes / 8;
}
/// Requires: lengths that were checked against the segment.
[[nodiscard]] inline const u64* value_words_of(const u64* block, const Lengths& lengths) {
    return key_words_of(block) + lengths.key_words();
}

struct EntryFields {
    u64 hash = 0;
    u64 deadline = 0;
    u32 flags = 0;
    Bytes key{};
    Bytes value{};
    u32 zeroed = 0;  // or so many bytes of 0 for the value

    [[nodiscard]] Lengths lengths() const {
        return {.value = static_cast<u32>(value.size()) + zeroed,
                .key = static_cast<u32>(key.size()),
                .flags = flags};
    }
};

/// Requires: the block is ours, unpublished and large enough.
inline void write_entry(u64* block, const EntryFields& fields) {
    const Lengths lengths = fields.lengths();
    store_relaxed(block + kHashWord, fields.hash);
    store_relaxed(block + kDeadlineWord, fields.deadline);
    store_relaxed(block + kLengthsWord, lengths.word());
    copy_in(key_words_of(block), fields.key);
    copy_in(key_words_of(block) + lengths.key_words(), fields.value);
    u64* zeroes = key_words_of(block) + lengths.key_words();
    for (u64 i = 0; i < (u64{fields.zeroed} + 7) / 8; ++i) store_relaxed(zeroes + i, u64{0});
}

enum class Inspection : std::uint8_t { same_key, other_key, unsound };

/// Looks at what claims to be an entry. `unsound` is what no participant writes, or what was reused
/// meanwhile. Requires: the first 64 bytes lie in the chunks.
[[nodiscard]] inline Inspection inspect_entry(const Segment& segment, u64 granule, u64 hash,
                                              Bytes key, Match& match) {
    const u64* block = segment.block(granule);
    const u64 state = load_acquire(block);
    if (load_relaxed(block + kHashWord) != hash) return Inspection::other_key;
    const Lengths lengths = Lengths::of(load_relaxed(block + kLengthsWord));
    if (!lengths.are_sound() || !segment.geometry().holds(granule, lengths.entry_bytes())) {
        return Inspection::unsound;
    }
    if (lengths.key != key.size() || !equal_words(key_words_of(block), key)) {
        return Inspection::other_key;
    }
    match.granule = granule;
    match.state = state;
    match.deadline = load_relaxed(block + kDeadlineWord);
    // One by one: a copy of all three would be wider than the stores that made them, and wait for
    // those.
    match.lengths.value = lengths.value;
    match.lengths.key = lengths.key;
    match.lengths.flags = lengths.flags;
    return Inspection::same_key;
}

[[nodiscard]] bool is_past(u64 deadline);
/// Whether a deadline has passed, by the coarse clock, which is asked only if there is one.
[[nodiscard]] inline bool has_passed(u64 deadline) {
    return deadline != 0 && is_past(deadline);
}

/// A snapshot and the entry of the key in it, both proven. With `value`, the entry's value too, as
/// far as it goes. Look::changed never comes back: it is tried again, kMaxAttempts times.
/// Errors: {store, EBUSY}; {store, EBADMSG} for a bucket that holds nonsense.
[[nodiscard]] Status look_up(const Segment& segment, const u64* word, u64 hash, Bytes key,
                             Snapshot& snapshot, Match& match, Buffer value = {});

}  // namespace cluster::store
