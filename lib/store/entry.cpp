#include "store/entry.hpp"

#include <algorithm>
#include <cerrno>

#include "store/fault.hpp"
#include "sys/clock.hpp"

namespace cluster::store {
namespace {

Look look_once(const Segment& segment, const u64* word, u64 hash, Bytes key, Snapshot& snapshot,
               Match& match, Buffer value) {
    match = {};
    const Look look = take_snapshot(segment, word, snapshot);
    if (look != Look::stable) return look;
    for (u32 i = 0; i < snapshot.count; ++i) {
        const u64 reference = snapshot.references[i];
        const bool is_tagged = Bucket::is_descriptor(snapshot.word);
        if (is_tagged && !Reference::has_tag_of(reference, hash)) continue;
        const Inspection inspection =
            inspect_entry(segment, Reference::granule(reference), hash, key, match);
        if (inspection == Inspection::other_key) continue;
        if (inspection == Inspection::unsound) {
            return is_unchanged(word, snapshot.word) ? Look::broken : Look::changed;
        }
        match.index = i;
        copy_out(value.first(std::min<std::size_t>(value.size(), match.lengths.value)),
                 value_words_of(segment.block(match.granule), match.lengths));
        break;
    }
    if (planted(Fault::unvalidated_snapshot)) return Look::stable;
    return is_unchanged(word, snapshot.word) ? Look::stable : Look::changed;
}

}  // namespace

bool is_past(u64 deadline) {
    return static_cast<u64>(to_ns(sys::monotonic_coarse_now())) >= deadline;
}

Status look_up(const Segment& segment, const u64* word, u64 hash, Bytes key, Snapshot& snapshot,
               Match& match, Buffer value) {
    for (u32 attempt = 0; attempt < kMaxAttempts; ++attempt) {
        switch (look_once(segment, word, hash, key, snapshot, match, value)) {
            case Look::stable:
                return {};
            case Look::broken:
                return fail(Op::store, EBADMSG);
            case Look::changed:
                pause_processor();
                break;
        }
    }
    return fail(Op::store, EBUSY);
}

}  // namespace cluster::store
