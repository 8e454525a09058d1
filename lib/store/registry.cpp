#include "store/registry.hpp"

#include <cerrno>

#include "store/utf8.hpp"

namespace cluster::store {
namespace {

tl::unexpected<Error> refused(const Error& error) {
    return tl::unexpected<Error>(error);
}

Bytes bytes_of(std::string_view name) {
    return std::as_bytes(std::span{name.data(), name.size()});
}

Status check_name(std::string_view name) {
    if (name.empty()) return fail(Op::store, EINVAL);
    if (name.size() > kMaxCounterName) return fail(Op::store, ENAMETOOLONG);
    if (!is_utf8(name)) return fail(Op::store, EILSEQ);
    return {};
}

u32 first_place(const Segment& segment, u64 hash) {
    return static_cast<u32>(hash) & (segment.geometry().counters - 1);
}

u32 place_after(const Segment& segment, u32 place) {
    return (place + 1) & (segment.geometry().counters - 1);
}

/// The name at a place. Names never change once they are there, so what is read holds.
Inspection inspect_name(const Segment& segment, u64 word, u64 hash, std::string_view name,
                        Match& match) {
    const u64 granule = Bucket::granule(word);
    const bool is_sound =
        !Bucket::is_descriptor(word) && segment.geometry().holds(granule, kGranuleBytes);
    if (!is_sound) return Inspection::unsound;
    return inspect_entry(segment, granule, hash, bytes_of(name), match);
}

Result<Named> of_kind(u32 place, const Match& match, NameKind kind) {
    if (match.lengths.flags != static_cast<u32>(kind)) return fail(Op::store, EMEDIUMTYPE);
    return Named{place, match};
}

}  // namespace

Result<Named> find_name(const Segment& segment, std::string_view name, NameKind kind) {
    if (const auto sound = check_name(name); !sound) return refused(sound.error());
    const u64 hash = segment.hash(bytes_of(name));
    u32 place = first_place(segment, hash);
    for (u32 i = 0; i < segment.geometry().counters; ++i) {
        const u64 word = load_acquire(&segment.place(place).name);
        if (Bucket::is_empty(word)) return fail(Op::store, ENOENT);
        Match match;
        if (inspect_name(segment, word, hash, name, match) == Inspection::same_key) {
            return of_kind(place, match, kind);
        }
        place = place_after(segment, place);
    }
    return fail(Op::store, ENOENT);
}

/// As the table inserts, but into the first empty place behind the hash, and names are never
/// removed.
Result<Named> open_name(const Segment& segment, Participant& me, std::string_view name,
                        NameKind kind, u32 value_bytes) {
    const auto found = find_name(segment, name, kind);
    if (found || found.error().code != ENOENT) return found;
    if (const auto joined = me.ensure(); !joined) return refused(joined.error());
    const EntryFields fields{.hash = segment.hash(bytes_of(name)),
                             .flags = static_cast<u32>(kind),
                             .key = bytes_of(name),
                             .zeroed = value_bytes};
    u32 place = first_place(segment, fields.hash);
    Change change{me, &segment.place(place).name, Need::ordinary};
    u32 attempts = 0;
    for (u32 i = 0; i < segment.geometry().counters && attempts < kMaxAttempts;) {
        Snapshot snapshot;
        snapshot.word = load_acquire(&segment.place(place).name);
        if (!Bucket::is_empty(snapshot.word)) {
            Match match;
            if (inspect_name(segment, snapshot.word, fields.hash, name, match) ==
                Inspection::same_key) {
                return of_kind(place, match, kind);
            }
            place = place_after(segment, place);
            change.move_to(&segment.place(place).name);
            ++i;
            continue;
        }
        const bool is_written = change.entry_granule() != 0;
        const auto block = change.entry_block(fields.lengths().entry_bytes());
        if (!block) return refused(block.error());
        if (!is_written) write_entry(*block, fields);
        const Match mine{.granule = change.entry_granule(), .lengths = fields.lengths()};
        const auto published = change.publish(snapshot, {.add = true, .hash = fields.hash});
        if (!published) return refused(published.error());
        if (*published) return Named{place, mine};
        ++attempts;
    }
    return fail(Op::store, ENFILE);
}

}  // namespace cluster::store
