// The reading half of the table.
#include <algorithm>
#include <cerrno>

#include "store/fault.hpp"
#include "store/table.hpp"

namespace cluster::store {
namespace {

/// Values above this are proven by their own block, as it takes longer to copy them than others
/// need to change something else in the bucket.
constexpr u32 kLargeValue = 512;

/// Asks for the lines of a block behind its first, as many as its class has, before anything of it is
/// known: so the value is on its way while the key is compared.
void prefetch_block(const Segment& segment, u64 granule) {
    const u64 chunk = (granule - segment.geometry().first_granule()) / kChunkGranules;
    const u32 size_class = segment.class_of_chunk(static_cast<u32>(chunk));
    const u32 lines = size_class == kClasses ? 1 : class_granules(size_class);
    const u64* block = segment.block(granule);
    for (u32 i = 1; i < lines && i <= kPrefetchLines; ++i) __builtin_prefetch(block + i * 8);
}

/// Finds the entry of the key without keeping a snapshot. What it says is true if the word proves
/// unchanged afterwards.
Inspection find(const Segment& segment, u64 word, u64 hash, Bytes key, Match& match) {
    const Geometry& geometry = segment.geometry();
    const u64 granule = Bucket::granule(word);
    if (!geometry.holds(granule, kGranuleBytes)) return Inspection::unsound;
    if (!Bucket::is_descriptor(word)) {
        prefetch_block(segment, granule);
        return inspect_entry(segment, granule, hash, key, match);
    }
    const u64* descriptor = segment.block(granule);
    const u64 count = load_relaxed(descriptor + kReferenceCountWord);
    if (count > kMaxReferences || !geometry.holds(granule, descriptor_bytes(count))) {
        return Inspection::unsound;
    }
    for (u64 i = 0; i < count; ++i) {
        const u64 reference = load_relaxed(descriptor + kFirstReferenceWord + i);
        if (!Reference::has_tag_of(reference, hash)) continue;
        const u64 entry = Reference::granule(reference);
        if (!geometry.holds(entry, kGranuleBytes)) return Inspection::unsound;
        prefetch_block(segment, entry);
        const Inspection inspection = inspect_entry(segment, entry, hash, key, match);
        if (inspection != Inspection::other_key) return inspection;
    }
    return Inspection::other_key;
}

struct Candidate {
    u64 granule = 0;
    u64 hash = 0;
};

/// The entry of a bucket that comes next in an iteration: the one with the least hash behind the
/// cursor. Hashes of one bucket differ but for a collision of 64 bits.
Candidate next_in(const Segment& segment, const Snapshot& snapshot, const Cursor& cursor) {
    Candidate best;
    for (u32 i = 0; i < snapshot.count; ++i) {
        const u64 granule = Reference::granule(snapshot.references[i]);
        const u64 hash = load_relaxed(segment.block(granule) + kHashWord);
        const bool is_behind = !cursor.is_inside || hash > cursor.last_hash;
        if (is_behind && (best.granule == 0 || hash < best.hash)) best = {granule, hash};
    }
    return best;
}

/// Copies one entry out. False when its lengths cannot be.
bool copy_item(const Segment& segment, u64 granule, Buffer key, Buffer value, Item& item) {
    const u64* block = segment.block(granule);
    const u64 state = load_acquire(block);
    const Lengths lengths = Lengths::of(load_relaxed(block + kLengthsWord));
    if (!lengths.are_sound() || !segment.geometry().holds(granule, lengths.entry_bytes())) {
        return false;
    }
    item = {.key_size = lengths.key,
            .value = {.size = lengths.value,
                      .token = Incarnation::of(state, granule),
                      .deadline = load_relaxed(block + kDeadlineWord)}};
    copy_out(key.first(std::min<std::size_t>(key.size(), lengths.key)), key_words_of(block));
    copy_out(value.first(std::min<std::size_t>(value.size(), lengths.value)),
             value_words_of(block, lengths));
    return true;
}

}  // namespace

Result<Value> Table::get(Bytes key, Buffer buffer) const {
    if (key.empty()) return fail(Op::store, EINVAL);
    if (key.size() > kMaxKeyBytes) return fail(Op::store, ENAMETOOLONG);
    const u64 hash = segment_->hash(key);
    const u64* bucket = segment_->bucket_of(hash);
    for (u32 attempt = 0; attempt < kMaxAttempts; ++attempt) {
        const u64 word = load_acquire(bucket);
        if (Bucket::is_empty(word)) return fail(Op::store, ENOENT);
        Match match;
        const Inspection inspection = find(*segment_, word, hash, key, match);
        if (inspection != Inspection::same_key || has_passed(match.deadline)) {
            if (is_unchanged(bucket, word)) {
                return fail(Op::store, inspection == Inspection::unsound ? EBADMSG : ENOENT);
            }
            pause_processor();
            continue;
        }
        const Value value{
            .size = match.lengths.value, .token = match.token(), .deadline = match.deadline};
        const u64* block = segment_->block(match.granule);
        const bool is_large = value.size > kLargeValue;
        if (is_large && !is_unchanged(bucket, word)) continue;
        const bool is_late = planted(Fault::read_fence_missing) && is_unchanged(bucket, word);
        copy_out(buffer.first(std::min<std::size_t>(buffer.size(), value.size)),
                 value_words_of(block, match.lengths));
        if (is_large ? is_unchanged(block, match.state) : is_unchanged(bucket, word)) return value;
        if (is_late || planted(Fault::unchecked_read)) return value;
        pause_processor();
    }
    return fail(Op::store, EBUSY);
}

Result<std::optional<Item>> Table::next(Cursor& cursor, Buffer key, Buffer value) const {
    const u64 count = segment_->geometry().buckets.count;
    u32 attempts = 0;
    while (cursor.bucket < count) {
        const u64* bucket = segment_->bucket(cursor.bucket);
        Snapshot snapshot;
        const Look look = take_snapshot(*segment_, bucket, snapshot);
        if (look == Look::changed) {
            if (++attempts == kMaxAttempts) return fail(Op::store, EBUSY);
            pause_processor();
            continue;
        }
        Candidate candidate;
        if (look == Look::stable) candidate = next_in(*segment_, snapshot, cursor);
        Item item;
        const bool is_sound =
            candidate.granule == 0 || copy_item(*segment_, candidate.granule, key, value, item);
        if (!is_unchanged(bucket, snapshot.word)) {
            if (++attempts == kMaxAttempts) return fail(Op::store, EBUSY);
            continue;
        }
        if (candidate.granule == 0) {
            // The end of the bucket; one that holds nonsense is passed over.
            ++cursor.bucket;
            cursor.is_inside = false;
            continue;
        }
        cursor.last_hash = candidate.hash;
        cursor.is_inside = true;
        if (is_sound && !has_passed(item.value.deadline)) return std::optional<Item>{item};
    }
    return std::optional<Item>{};
}

}  // namespace cluster::store
