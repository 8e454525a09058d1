#include "store/counters.hpp"

#include <algorithm>
#include <cerrno>

#include "store/registry.hpp"
#include "store/utf8.hpp"

namespace cluster::store {

static_assert(static_cast<NameKind>(CounterKind::atomic) == NameKind::atomic_counter);
static_assert(static_cast<NameKind>(CounterKind::striped) == NameKind::striped_counter);

namespace {

tl::unexpected<Error> refused(const Error& error) {
    return tl::unexpected<Error>(error);
}

std::int64_t sum_stripes(const Segment& segment, u32 stripe) {
    const u64 rows = std::min<u64>(load_relaxed(&segment.live().participants_high),
                                   segment.geometry().participants_count);
    u64 total = 0;
    for (u32 slot = 0; slot < rows; ++slot)
        total += load_relaxed(segment.stripe_cell(slot, stripe));
    return static_cast<std::int64_t>(total);
}

}  // namespace

bool Counter::compare_exchange(std::int64_t& expected, std::int64_t desired) const {
    if (!is_writable_) {
        expected = get();
        return false;
    }
    auto seen = static_cast<u64>(expected);
    const bool is_changed = word().compare_exchange_strong(seen, static_cast<u64>(desired));
    expected = wrap(seen);
    return is_changed;
}

Result<Stripe> StripedCounter::stripe_of(Participant& me) const {
    if (const auto joined = me.ensure(); !joined) return refused(joined.error());
    return Stripe{segment_->stripe_cell(me.slot(), stripe_), &me.page()};
}

Status StripedCounter::add(Participant& me, std::int64_t amount) const {
    const auto stripe = stripe_of(me);
    if (!stripe) return refused(stripe.error());
    (void)stripe->add(amount);
    return {};
}

std::int64_t StripedCounter::get() const {
    return sum_stripes(*segment_, stripe_);
}

Result<u32> Counters::find_place(std::string_view name, CounterKind kind) const {
    const auto named = find_name(*segment_, name, static_cast<NameKind>(kind));
    if (!named) return refused(named.error());
    return named->place;
}

Result<u32> Counters::open_place(Participant& me, std::string_view name, CounterKind kind) {
    const auto named = open_name(*segment_, me, name, static_cast<NameKind>(kind));
    if (!named) return refused(named.error());
    return named->place;
}

/// The column of a striped counter, plus one. Nobody owns the giving of it: whoever needs it
/// reserves a column in the counter's name, then writes it at the counter's place once and for all.
/// A column that was reserved in vain, because another one was faster, is given back by whoever
/// sees it.
Result<u32> Counters::stripe_of(u32 place) {
    u64* stripe_word = &segment_->place(place).stripe;
    const u32 count = segment_->geometry().striped;
    const u64 mine = u64{place} + 1;
    for (u32 stripe = 0; stripe < count; ++stripe) {
        const u64 known = load_acquire(stripe_word);
        if (known != 0) {
            if (known > count) return fail(Op::store, EBADMSG);
            return static_cast<u32>(known) - 1;
        }
        u64* owner_word = segment_->stripe_owner(stripe);
        u64 owner = load_acquire(owner_word);
        const u64 owner_stripe =
            owner >= 1 && owner <= segment_->geometry().counters
                ? load_acquire(&segment_->place(static_cast<u32>(owner) - 1).stripe)
                : 0;
        const bool was_in_vain = owner != 0 && owner_stripe != 0 && owner_stripe != stripe + 1;
        if (was_in_vain && compare_exchange(owner_word, owner, 0)) owner = 0;
        if (owner == 0 && compare_exchange(owner_word, owner, mine)) owner = mine;
        if (owner == mine) change_word(stripe_word, 0, u64{stripe} + 1);
    }
    const u64 known = load_acquire(stripe_word);
    if (known == 0) return fail(Op::store, ENFILE);
    if (known > count) return fail(Op::store, EBADMSG);
    return static_cast<u32>(known) - 1;
}

/// Whether a column is free, or reserved in vain. One that its counter has not been given yet is
/// given to it first: who reserved it may be dead.
bool Counters::has_free_stripe() {
    for (u32 stripe = 0; stripe < segment_->geometry().striped; ++stripe) {
        const u64 owner = load_acquire(segment_->stripe_owner(stripe));
        if (owner == 0) return true;
        if (owner > segment_->geometry().counters) continue;
        u64* stripe_word = &segment_->place(static_cast<u32>(owner) - 1).stripe;
        change_word(stripe_word, 0, u64{stripe} + 1);
        if (load_acquire(stripe_word) != u64{stripe} + 1) return true;
    }
    return false;
}

Result<Counter> Counters::open(Participant& me, std::string_view name) {
    const auto place = open_place(me, name, CounterKind::atomic);
    if (!place) return refused(place.error());
    return Counter{segment_->cell(*place), *place, segment_->is_writable()};
}

Result<StripedCounter> Counters::open_striped(Participant& me, std::string_view name) {
    // A name is there for good, so it is not made for a counter that cannot be. The second look
    // finds the name that the last column was given to meanwhile.
    const auto is_missing = [&] {
        const auto known = find_place(name, CounterKind::striped);
        return !known && known.error().code == ENOENT;
    };
    if (is_missing() && !has_free_stripe() && is_missing()) return fail(Op::store, ENFILE);
    const auto place = open_place(me, name, CounterKind::striped);
    if (!place) return refused(place.error());
    const auto stripe = stripe_of(*place);
    if (!stripe) return refused(stripe.error());
    return StripedCounter{segment_, *place, *stripe};
}

Result<Counter> Counters::find(std::string_view name) const {
    const auto place = find_place(name, CounterKind::atomic);
    if (!place) return refused(place.error());
    return Counter{segment_->cell(*place), *place, segment_->is_writable()};
}

Result<StripedCounter> Counters::find_striped(std::string_view name) const {
    const auto place = find_place(name, CounterKind::striped);
    if (!place) return refused(place.error());
    const u64 known = load_acquire(&segment_->place(*place).stripe);
    // Made, but nobody has added to it yet.
    if (known == 0 || known > segment_->geometry().striped) return fail(Op::store, ENOENT);
    return StripedCounter{segment_, *place, static_cast<u32>(known) - 1};
}

std::optional<CounterItem> Counters::next(u32* at) const {
    for (; *at < segment_->geometry().counters; ++*at) {
        const RegistryPlace& place = segment_->place(*at);
        const u64 word = load_acquire(&place.name);
        const u64 granule = Bucket::granule(word);
        if (granule == 0 || !segment_->geometry().holds(granule, kGranuleBytes)) continue;
        const u64* block = segment_->block(granule);
        const Lengths lengths = Lengths::of(load_relaxed(block + kLengthsWord));
        const bool is_sound = lengths.are_sound() && lengths.key <= kMaxCounterName &&
                              lengths.flags >= 1 && lengths.flags <= 2 &&
                              segment_->geometry().holds(granule, lengths.entry_bytes());
        if (!is_sound) continue;
        CounterItem item;
        item.kind = static_cast<CounterKind>(lengths.flags);
        item.index = *at;
        item.name_size = lengths.key;
        copy_out(std::as_writable_bytes(std::span{item.name}).first(lengths.key),
                 key_words_of(block));
        if (!is_utf8(item.name_view())) continue;
        const u64 stripe = load_acquire(&place.stripe);
        if (item.kind == CounterKind::atomic) {
            item.value = static_cast<std::int64_t>(load_relaxed(segment_->cell(*at)));
        } else if (stripe != 0 && stripe <= segment_->geometry().striped) {
            item.value = sum_stripes(*segment_, static_cast<u32>(stripe) - 1);
        }
        ++*at;
        return item;
    }
    return {};
}

}  // namespace cluster::store
