// Named counters of 64 bits.
//
// A name is looked up once and stays for the life of the segment; what it gives is a handle that
// goes straight to the memory. An `atomic` counter is one cell, and each operation on it one locked
// instruction. A `striped` one has a cell for every participant, to which only that one adds,
// without a lock; reading it sums the cells. Numbers wrap around as two's complement.
//
// Names are 1 to 128 bytes of UTF-8 without NUL.
#pragma once

#include <optional>
#include <string_view>

#include "store/change.hpp"

namespace cluster::store {

enum class CounterKind : std::uint8_t { atomic = 1, striped = 2 };

/// One of the kind `atomic`. Copies are the same counter; any thread may use any copy.
/// Requires: the segment outlives it. Everything that writes does nothing to a segment that was
/// attached read-only, and returns what is there.
class Counter {
public:
    /// The new value.
    std::int64_t add(std::int64_t amount) const {
        if (!is_writable_) [[unlikely]] {
            return get();
        }
        return wrap(word().fetch_add(static_cast<u64>(amount)) + static_cast<u64>(amount));
    }
    [[nodiscard]] std::int64_t get() const { return wrap(word().load()); }
    void set(std::int64_t value) const { exchange(value); }
    /// The value before.
    std::int64_t exchange(std::int64_t value) const {
        if (!is_writable_) [[unlikely]] {
            return get();
        }
        return wrap(word().exchange(static_cast<u64>(value)));
    }
    /// True when it was `expected` and is `desired` now; else `expected` becomes what it is.
    [[nodiscard]] bool compare_exchange(std::int64_t& expected, std::int64_t desired) const;

    /// Its place in the array of cells, which lies at geometry().cells, one each 64 bytes.
    [[nodiscard]] u32 index() const { return index_; }
    [[nodiscard]] bool is_writable() const { return is_writable_; }

private:
    friend class Counters;
    Counter(u64* cell, u32 index, bool is_writable)
        : cell_(cell), index_(index), is_writable_(is_writable) {}

    [[nodiscard]] std::atomic_ref<u64> word() const { return std::atomic_ref<u64>(*cell_); }
    [[nodiscard]] static std::int64_t wrap(u64 value) { return static_cast<std::int64_t>(value); }

    u64* cell_;
    u32 index_;
    bool is_writable_;
};

/// The cell of one participant in a striped counter: what a thread keeps to add without looking
/// anything up.
class Stripe {
public:
    /// One instruction without a lock. False, and nothing done, when the process has forked since
    /// or the participant has left: ask the counter again. Requires: the participant is this
    /// thread's.
    [[nodiscard]] bool add(std::int64_t amount) const {
        if (page_->joined != joined_) [[unlikely]] {
            return false;
        }
#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__)
        asm volatile("addq %1, %0" : "+m"(*cell_) : "er"(amount) : "cc");
#else
        store_relaxed(cell_, load_relaxed(cell_) + static_cast<u64>(amount));
#endif
        return true;
    }

private:
    friend class StripedCounter;
    Stripe(u64* cell, const PrivatePage* page) : cell_(cell), page_(page), joined_(page->joined) {}

    u64* cell_;
    const PrivatePage* page_;
    u64 joined_;
};

/// One of the kind `striped`. Copies are the same counter; any thread may use any copy.
class StripedCounter {
public:
    /// The cell to which this participant alone adds. Errors: as Participant::ensure.
    [[nodiscard]] Result<Stripe> stripe_of(Participant& me) const;
    /// One addition. False, and nothing done, when the participant has no slot now.
    [[nodiscard]] bool try_add(const Participant& me, std::int64_t amount) const {
        return me.has_slot() &&
               Stripe{segment_->stripe_cell(me.slot(), stripe_), &me.page()}.add(amount);
    }
    /// The same, with a slot where there is none. Errors: as Participant::ensure.
    [[nodiscard]] Status add(Participant& me, std::int64_t amount) const;
    /// The sum over all participants that ever were: a load for each.
    [[nodiscard]] std::int64_t get() const;
    [[nodiscard]] u32 index() const { return index_; }

private:
    friend class Counters;
    StripedCounter(const Segment* segment, u32 index, u32 stripe)
        : segment_(segment), index_(index), stripe_(stripe) {}

    const Segment* segment_;
    u32 index_;
    u32 stripe_;
};

struct CounterItem {
    std::array<char, kMaxCounterName> name{};
    u32 name_size = 0;
    CounterKind kind = CounterKind::atomic;
    u32 index = 0;
    std::int64_t value = 0;

    [[nodiscard]] std::string_view name_view() const { return {name.data(), name_size}; }
};

class Counters {
public:
    /// Requires: the segment outlives it and is not moved.
    explicit Counters(Segment& segment) : segment_(&segment) {}

    /// The counter of that name, which is made with the value 0 if there is none. Errors: {store,
    /// EINVAL} empty name; {store, ENAMETOOLONG}; {store, EILSEQ} not UTF-8; {store, EMEDIUMTYPE}
    /// when it is there with the other kind; {store, ENFILE} when every place for a counter (of
    /// that kind) is taken; {store, ENOSPC} when there is no memory for the name; {store, EROFS}
    /// and {store, EUSERS} as Participant::ensure.
    [[nodiscard]] Result<Counter> open(Participant& me, std::string_view name);
    [[nodiscard]] Result<StripedCounter> open_striped(Participant& me, std::string_view name);
    /// The same without making any. Needs no participant. Errors: {store, ENOENT} and the above.
    [[nodiscard]] Result<Counter> find(std::string_view name) const;
    [[nodiscard]] Result<StripedCounter> find_striped(std::string_view name) const;

    /// The next counter from the place `*at` on, none at the end.
    [[nodiscard]] std::optional<CounterItem> next(u32* at) const;

private:
    [[nodiscard]] Result<u32> find_place(std::string_view name, CounterKind kind) const;
    [[nodiscard]] Result<u32> open_place(Participant& me, std::string_view name, CounterKind kind);
    [[nodiscard]] bool has_free_stripe();
    [[nodiscard]] Result<u32> stripe_of(u32 place);

    Segment* segment_;
};

}  // namespace cluster::store
