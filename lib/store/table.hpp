// The key-value table: what any worker of the segment writes, every other reads at once.
//
// Each operation is atomic with every other on the same key. Entries are immutable: a change writes
// a new one and swaps it in by one compare-and-exchange, so a reader sees the old value or the new
// one, whole, and never waits; a writer waits for nobody either, dead, stopped or slow.
//
// Keys are 1 to 1024 bytes, values 0 to kMaxValueBytes, both binary. Deadlines are on
// CLOCK_MONOTONIC and exact to a tick of its coarse form (1 to 10 ms).
//
// Errors that any operation may return beside its own: {store, EINVAL} empty key; {store,
// ENAMETOOLONG} key above 1024 bytes; {store, EBUSY} after 65,536 tries, and {store, EBADMSG}, both
// only in a segment that somebody scribbles in. Operations that change something: {store, EROFS} or
// {store, EUSERS} where the participant cannot have a slot; {store, ENOSPC} when memory is full;
// {store, EFBIG} value too large.
//
// What has expired is not there for any operation. Its memory comes back when the key is written or
// removed, when somebody sweeps (sweep.hpp: the daemon does), and when memory is full: before set,
// add, replace, compare_and_set and increment say ENOSPC they clear a part of the table of it.
#pragma once

#include <optional>

#include "base/time.hpp"
#include "store/change.hpp"
#include "store/entry.hpp"

namespace cluster::store {

/// What was found. `size` is the value's own, also where the buffer took only its beginning.
struct Value {
    u32 size = 0;
    u64 token = 0;     // names this very value, for compare_and_set; never 0
    u64 deadline = 0;  // ns of CLOCK_MONOTONIC, 0 is none

    /// True when a buffer of this size holds all of it.
    [[nodiscard]] bool fits(std::size_t capacity) const { return size <= capacity; }
};

/// Where an iteration stands. A new one is at the beginning.
struct Cursor {
    u64 bucket = 0;
    u64 last_hash = 0;
    bool is_inside = false;  // of the bucket, behind last_hash
};

struct Item {
    u32 key_size = 0;
    Value value;
};

/// What sweeping has come upon.
struct Swept {
    u32 removed = 0;
    u32 waiting = 0;  // entries whose deadline is still to come, at least
    u64 looks = 0;    // at entries, those of one that is removed again and again too
};

class Table {
public:
    /// Requires: the segment outlives it and is not moved.
    explicit Table(Segment& segment) : segment_(&segment) {}

    /// Copies the value into `buffer`, as far as it goes. Needs no participant. Errors: {store,
    /// ENOENT}.
    [[nodiscard]] Result<Value> get(Bytes key, Buffer buffer) const;

    /// These return the token of the new value. A `ttl` of zero or less is none.
    [[nodiscard]] Result<u64> set(Participant& me, Bytes key, Bytes value, Duration ttl = {});
    /// Only where the key is not there. Errors: {store, EEXIST}.
    [[nodiscard]] Result<u64> add(Participant& me, Bytes key, Bytes value, Duration ttl = {});
    /// Only where it is. Errors: {store, ENOENT}.
    [[nodiscard]] Result<u64> replace(Participant& me, Bytes key, Bytes value, Duration ttl = {});
    /// Only where it still is the value that the token names. Errors: {store, ENOENT}; {store,
    /// ESTALE}.
    [[nodiscard]] Result<u64> compare_and_set(Participant& me, Bytes key, u64 token, Bytes value,
                                              Duration ttl = {});
    /// Errors: {store, ENOENT}. In a full store, ENOSPC in the rare case that three keys share a
    /// bucket and the reserve is used up.
    [[nodiscard]] Status remove(Participant& me, Bytes key);
    /// get and remove in one. When the value does not fit, it stays. Errors: {store, ENOENT}.
    [[nodiscard]] Result<Value> take(Participant& me, Bytes key, Buffer buffer);
    /// Adds to a value that is a decimal number, as text, of 64 bits with sign; a key that is not
    /// there counts as 0. Keeps the deadline. Returns the new number. Errors: {store, EMEDIUMTYPE}
    /// when the value is no such number; {store, EOVERFLOW}.
    [[nodiscard]] Result<std::int64_t> increment(Participant& me, Bytes key, std::int64_t delta) {
        return increment_noted(me, key, delta, nullptr);
    }
    /// The same, written down there before it is made; what is left there says that it was. The
    /// caller clears it.
    [[nodiscard]] Result<std::int64_t> increment(Participant& me, Bytes key, std::int64_t delta,
                                                 Attempt& noted) {
        return increment_noted(me, key, delta, &noted);
    }

    /// The next entry of an iteration, none at its end. A key that is there all the time comes
    /// exactly once; one that is added, removed or changed meanwhile may come or not.
    [[nodiscard]] Result<std::optional<Item>> next(Cursor& cursor, Buffer key, Buffer value) const;
    /// Removes entries whose deadline has passed from the next so many buckets, of which one that is
    /// crowded counts as several. True at the end.
    /// After an error the cursor is at the bucket that it came from. Adds to `swept`.
    [[nodiscard]] Result<bool> sweep(Participant& me, Cursor& cursor, u64 buckets, Swept& swept);

private:
    enum class Mode : std::uint8_t { set, add, replace, compare };
    struct Write {
        Mode mode = Mode::set;
        u64 token = 0;
        Bytes value{};
        Duration ttl{};
    };
    [[nodiscard]] Result<u64> store(Participant& me, Bytes key, const Write& write);
    [[nodiscard]] Result<u64> try_store(Participant& me, Bytes key, const Write& write);
    [[nodiscard]] Result<std::int64_t> increment_noted(Participant& me, Bytes key,
                                                       std::int64_t delta, Attempt* noted);
    [[nodiscard]] Result<std::int64_t> try_increment(Participant& me, Bytes key, std::int64_t delta,
                                                     Attempt* noted);
    [[nodiscard]] bool reclaim(Participant& me);
    [[nodiscard]] Result<Value> remove_into(Participant& me, Bytes key, Buffer buffer, bool all);
    [[nodiscard]] Status sweep_bucket(Participant& me, u64* word, Swept& swept);

    Segment* segment_;
};

}  // namespace cluster::store
