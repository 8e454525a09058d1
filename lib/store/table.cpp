// The writing half of the table.
#include "store/table.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>

#include "store/fault.hpp"
#include "sys/clock.hpp"

namespace cluster::store {
namespace {

/// The longest decimal number of 64 bits with its sign.
constexpr std::size_t kNumberBytes = 20;
/// How much of the table one reclaiming sweeps, some milliseconds; the next one goes on from there.
constexpr u64 kReclaimBuckets = 65'536;
/// More entries than these in one bucket count as more buckets. Chance hardly ever makes so many;
/// an enemy can, and could keep whoever sweeps for seconds.
constexpr u64 kLooksPerBucket = 8;
/// How often one operation reclaims: what came back may be too small for it.
constexpr u32 kMaxReclaims = 2;
/// After one that found nothing, in coarse nanoseconds. As for blocks: a full store costs a writer
/// a few percent of its time at most.
constexpr u64 kNothingFor = 100'000'000;

tl::unexpected<Error> refused(const Error& error) {
    return tl::unexpected<Error>(error);
}

Status check_key(Bytes key) {
    if (key.empty()) return fail(Op::store, EINVAL);
    if (key.size() > kMaxKeyBytes) return fail(Op::store, ENAMETOOLONG);
    return {};
}

u64 deadline_after(Duration ttl) {
    if (ttl.count() <= 0) return 0;
    const auto now = to_ns(sys::monotonic_coarse_now());
    std::int64_t deadline = 0;
    if (__builtin_add_overflow(now, ttl.count(), &deadline)) return 0;
    return static_cast<u64>(deadline);
}

/// Called after the entry was published, or a sweep that has just passed would miss it.
void note_deadline(const Segment& segment) {
    u64* hint = &segment.live().deadlines;
    constexpr u64 kSome = static_cast<u64>(DeadlineHint::some);
    if (load_relaxed(hint) != kSome) store_relaxed(hint, kSome);
}

/// What removing the found entry from its bucket takes.
Change::Edit edit_of(const Match& match) {
    if (!match.is_found()) return {};
    return {.remove = match.index, .removed_state = match.state};
}

}  // namespace

/// A part of the table is cleared of what has expired. True when that gave something back.
bool Table::reclaim(Participant& me) {
    if (load_relaxed(&segment_->live().deadlines) == 0 || !me.has_slot()) return false;
    PrivatePage& page = me.page();
    const auto now = static_cast<u64>(to_ns(sys::monotonic_coarse_now()));
    if (page.nothing_until > now) return false;
    Cursor cursor{.bucket = page.reclaimed_to};
    Swept swept;
    const auto is_at_end = sweep(me, cursor, kReclaimBuckets, swept);
    // A bucket that cannot be cleared now must not stand in the way of all others.
    page.reclaimed_to = !is_at_end ? cursor.bucket + 1 : *is_at_end ? 0 : cursor.bucket;
    if (swept.removed == 0) page.nothing_until = now + kNothingFor;
    return swept.removed != 0;
}

Result<u64> Table::store(Participant& me, Bytes key, const Write& write) {
    auto stored = try_store(me, key, write);
    for (u32 i = 0; i < kMaxReclaims; ++i) {
        if (stored || stored.error().code != ENOSPC || !reclaim(me)) break;
        stored = try_store(me, key, write);
    }
    return stored;
}

Result<u64> Table::try_store(Participant& me, Bytes key, const Write& write) {
    if (const auto sound = check_key(key); !sound) return refused(sound.error());
    EntryFields fields{.hash = segment_->hash(key),
                       .deadline = deadline_after(write.ttl),
                       .key = key,
                       .value = write.value};
    if (write.value.size() > kMaxBlockBytes || fields.lengths().entry_bytes() > kMaxBlockBytes) {
        return fail(Op::store, EFBIG);
    }
    if (const auto joined = me.ensure(); !joined) return refused(joined.error());
    u64* bucket = segment_->bucket_of(fields.hash);
    Change change{me, bucket, Need::ordinary};
    Snapshot snapshot;
    Match match;
    for (u32 attempt = 0; attempt < kMaxAttempts; ++attempt) {
        const auto looked = look_up(*segment_, bucket, fields.hash, key, snapshot, match);
        if (!looked) return refused(looked.error());
        const bool is_there = match.is_found() && !has_passed(match.deadline);
        if (write.mode == Mode::add && is_there) return fail(Op::store, EEXIST);
        const bool needs_it = write.mode == Mode::replace || write.mode == Mode::compare;
        if (needs_it && !is_there) return fail(Op::store, ENOENT);
        if (write.mode == Mode::compare && match.token() != write.token) {
            return fail(Op::store, ESTALE);
        }
        const bool is_written = change.entry_granule() != 0;
        const auto block = change.entry_block(fields.lengths().entry_bytes());
        if (!block) return refused(block.error());
        const bool is_late = planted(Fault::publish_before_fill);
        if (!is_written && !is_late) write_entry(*block, fields);
        Change::Edit edit = edit_of(match);
        edit.add = true;
        edit.hash = fields.hash;
        const u64 token = change.entry_token();
        const auto published = change.publish(snapshot, edit);
        if (!published) return refused(published.error());
        if (is_late) write_entry(*block, fields);
        if (*published) {
            if (fields.deadline != 0) note_deadline(*segment_);
            return token;
        }
        pause_processor();
    }
    return fail(Op::store, EBUSY);
}

Result<u64> Table::set(Participant& me, Bytes key, Bytes value, Duration ttl) {
    return store(me, key, {.mode = Mode::set, .value = value, .ttl = ttl});
}

Result<u64> Table::add(Participant& me, Bytes key, Bytes value, Duration ttl) {
    return store(me, key, {.mode = Mode::add, .value = value, .ttl = ttl});
}

Result<u64> Table::replace(Participant& me, Bytes key, Bytes value, Duration ttl) {
    return store(me, key, {.mode = Mode::replace, .value = value, .ttl = ttl});
}

Result<u64> Table::compare_and_set(Participant& me, Bytes key, u64 token, Bytes value,
                                   Duration ttl) {
    return store(me, key, {.mode = Mode::compare, .token = token, .value = value, .ttl = ttl});
}

Result<Value> Table::remove_into(Participant& me, Bytes key, Buffer buffer, bool all) {
    if (const auto sound = check_key(key); !sound) return refused(sound.error());
    if (const auto joined = me.ensure(); !joined) return refused(joined.error());
    const u64 hash = segment_->hash(key);
    u64* bucket = segment_->bucket_of(hash);
    if (Bucket::is_empty(load_acquire(bucket))) return fail(Op::store, ENOENT);
    Change change{me, bucket, Need::to_free};
    Snapshot snapshot;
    Match match;
    for (u32 attempt = 0; attempt < kMaxAttempts; ++attempt) {
        const auto looked = look_up(*segment_, bucket, hash, key, snapshot, match, buffer);
        if (!looked) return refused(looked.error());
        if (!match.is_found()) return fail(Op::store, ENOENT);
        const Value value{
            .size = match.lengths.value, .token = match.token(), .deadline = match.deadline};
        // An expired one is cleared away, and still was not there.
        const bool is_there = !has_passed(match.deadline);
        if (is_there && all && !value.fits(buffer.size())) return value;
        const auto published = change.publish(snapshot, edit_of(match));
        if (!published) return refused(published.error());
        if (*published && !is_there) return fail(Op::store, ENOENT);
        if (*published) return value;
        pause_processor();
    }
    return fail(Op::store, EBUSY);
}

Status Table::remove(Participant& me, Bytes key) {
    const auto removed = remove_into(me, key, {}, false);
    if (!removed) return refused(removed.error());
    return {};
}

Result<Value> Table::take(Participant& me, Bytes key, Buffer buffer) {
    return remove_into(me, key, buffer, true);
}

Result<std::int64_t> Table::increment_noted(Participant& me, Bytes key, std::int64_t delta,
                                            Attempt* noted) {
    auto number = try_increment(me, key, delta, noted);
    for (u32 i = 0; i < kMaxReclaims; ++i) {
        if (number || number.error().code != ENOSPC || !reclaim(me)) break;
        number = try_increment(me, key, delta, noted);
    }
    return number;
}

Result<std::int64_t> Table::try_increment(Participant& me, Bytes key, std::int64_t delta,
                                          Attempt* noted) {
    if (const auto sound = check_key(key); !sound) return refused(sound.error());
    if (const auto joined = me.ensure(); !joined) return refused(joined.error());
    std::array<char, kNumberBytes> text{};
    EntryFields fields{.hash = segment_->hash(key), .key = key};
    u64* bucket = segment_->bucket_of(fields.hash);
    Change change{me, bucket, Need::ordinary};
    if (noted != nullptr) change.write_down(*noted);
    Snapshot snapshot;
    Match match;
    for (u32 attempt = 0; attempt < kMaxAttempts; ++attempt) {
        const auto looked = look_up(*segment_, bucket, fields.hash, key, snapshot, match,
                                    std::as_writable_bytes(std::span{text}));
        if (!looked) return refused(looked.error());
        std::int64_t number = 0;
        fields.deadline = 0;
        if (match.is_found() && !has_passed(match.deadline)) {
            const char* end = text.data() + std::min<std::size_t>(match.lengths.value, text.size());
            const auto parsed = std::from_chars(text.data(), end, number);
            const bool is_number = match.lengths.value <= text.size() && parsed.ptr == end;
            if (parsed.ec != std::errc{} || !is_number) return fail(Op::store, EMEDIUMTYPE);
            fields.deadline = match.deadline;
        }
        if (__builtin_add_overflow(number, delta, &number)) return fail(Op::store, EOVERFLOW);
        const auto written = std::to_chars(text.data(), text.data() + text.size(), number);
        const auto length = static_cast<std::size_t>(written.ptr - text.data());
        fields.value = std::as_bytes(std::span{text}).first(length);
        // Room for any number, so that the block serves every further try.
        const u64 room = kEntryHeaderBytes + fields.lengths().key_words() * 8 + kNumberBytes + 4;
        const auto block = change.entry_block(room);
        if (!block) return refused(block.error());
        write_entry(*block, fields);
        Change::Edit edit = edit_of(match);
        edit.add = true;
        edit.hash = fields.hash;
        const auto published = change.publish(snapshot, edit);
        if (!published) return refused(published.error());
        if (*published) return number;
        pause_processor();
    }
    return fail(Op::store, EBUSY);
}

Status Table::sweep_bucket(Participant& me, u64* word, Swept& swept) {
    Snapshot snapshot;
    for (u32 attempt = 0; attempt < kMaxAttempts; ++attempt) {
        if (Bucket::is_empty(load_acquire(word))) return {};
        const Look look = take_snapshot(*segment_, word, snapshot);
        if (look == Look::broken) return {};
        swept.looks += snapshot.count;
        if (look == Look::changed) continue;
        Match match;
        u32 waiting = 0;
        for (u32 i = 0; i < snapshot.count && !match.is_found(); ++i) {
            const u64 granule = Reference::granule(snapshot.references[i]);
            const u64* block = segment_->block(granule);
            const u64 state = load_acquire(block);
            const u64 deadline = load_relaxed(block + kDeadlineWord);
            if (!has_passed(deadline)) {
                waiting += deadline != 0 ? 1U : 0U;
                continue;
            }
            match = {.granule = granule, .index = i, .state = state};
        }
        if (!is_unchanged(word, snapshot.word)) continue;
        if (!match.is_found()) {
            swept.waiting += waiting;
            return {};
        }
        Change change{me, word, Need::to_free};
        const auto published = change.publish(snapshot, edit_of(match));
        if (!published) return refused(published.error());
        swept.removed += *published ? 1U : 0U;
    }
    return fail(Op::store, EBUSY);
}

Result<bool> Table::sweep(Participant& me, Cursor& cursor, u64 buckets, Swept& swept) {
    if (const auto joined = me.ensure(); !joined) return refused(joined.error());
    const u64 count = segment_->geometry().buckets.count;
    while (buckets != 0 && cursor.bucket < count) {
        const u64 before = swept.looks;
        const auto cleared = sweep_bucket(me, segment_->bucket(cursor.bucket), swept);
        if (!cleared) return refused(cleared.error());
        ++cursor.bucket;
        const u64 cost = 1 + (swept.looks - before) / kLooksPerBucket;
        buckets -= std::min(buckets, cost);
    }
    return cursor.bucket >= count;
}

}  // namespace cluster::store
