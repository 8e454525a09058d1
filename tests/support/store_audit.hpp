// Every invariant of a segment that nobody changes meanwhile, checked from outside: each block is
// free or reachable exactly once, everything reachable is sound, and no intent names anything.
#pragma once

#include <sys/mman.h>

#include <string>
#include <unordered_map>
#include <vector>

#include "store/entry.hpp"
#include "store/snapshot.hpp"

namespace cluster::store::test {

class Audit {
public:
    explicit Audit(const Segment& segment)
        : segment_(segment), resident_((segment.geometry().bytes + kPageBytes - 1) / kPageBytes) {
        const int code = ::mincore(segment.word_at(0), segment.geometry().bytes, resident_.data());
        if (code != 0) resident_.assign(resident_.size(), 1);
    }

    /// Empty, or the first thing that is wrong.
    std::string run() {
        for (u64 i = 0; i < segment_.geometry().buckets.count && wrong_.empty(); ++i) {
            visit(segment_.bucket(i), "bucket ", i);
        }
        for (u32 i = 0; i < segment_.geometry().counters && wrong_.empty(); ++i) {
            visit(&segment_.place(i).name, "counter ", i);
        }
        for (u32 i = 0; i < segment_.geometry().chunk_count && wrong_.empty(); ++i) visit_chunk(i);
        for (u32 i = 0; i < segment_.geometry().participants_count && wrong_.empty(); ++i) {
            const Intent& intent = segment_.slot(i).intent;
            if ((intent.fresh[0] | intent.fresh[1] | intent.old[0] | intent.old[1]) != 0) {
                wrong_ = "slot " + std::to_string(i) + " still names blocks";
            }
        }
        if (wrong_.empty() && used_ != reached_.size()) wrong_ = "something reachable is no block";
        if (has_deadline_ && load_relaxed(&segment_.live().deadlines) == 0) {
            wrong_ = "nobody will sweep what has a deadline";
        }
        return wrong_;
    }

private:
    /// A page that was never touched is zero, and looking at it would only cost its memory.
    [[nodiscard]] bool is_resident(const u64* word) const {
        return (resident_[segment_.offset_of(word) / kPageBytes] & 1U) != 0;
    }

    void reach(u64 granule, const std::string& from) {
        const u32 size_class = segment_.class_of_block(granule);
        if (size_class == kClasses) {
            wrong_ = from + " refers to no block: " + std::to_string(granule);
        } else if (!BlockState::is_used(load_relaxed(segment_.block(granule)))) {
            wrong_ = from + " refers to a free block: " + std::to_string(granule);
        } else if (!reached_.emplace(granule, from).second) {
            wrong_ = from + " and " + reached_[granule] + " refer to one block";
        }
    }

    void visit(const u64* word, const char* what, u64 index) {
        if (!is_resident(word) || Bucket::is_empty(load_relaxed(word))) return;
        const std::string name = what + std::to_string(index);
        Snapshot snapshot;
        if (take_snapshot(segment_, word, snapshot) != Look::stable) {
            wrong_ = name + " is broken";
            return;
        }
        if (snapshot.descriptor_state != 0) reach(Bucket::granule(snapshot.word), name);
        for (u32 i = 0; i < snapshot.count && wrong_.empty(); ++i) {
            const u64 granule = Reference::granule(snapshot.references[i]);
            reach(granule, name);
            if (wrong_.empty()) visit_entry(word, granule, name);
        }
    }

    void visit_entry(const u64* word, u64 granule, const std::string& name) {
        const u64* block = segment_.block(granule);
        const Lengths lengths = Lengths::of(load_relaxed(block + kLengthsWord));
        const u64 room = u64{class_granules(segment_.class_of_block(granule))} * kGranuleBytes;
        if (lengths.entry_bytes() > room || lengths.key == 0 || lengths.key > kMaxKeyBytes) {
            wrong_ = name + " has an entry that does not fit its block";
            return;
        }
        std::string key(lengths.key, '\0');
        copy_out(std::as_writable_bytes(std::span{key.data(), key.size()}), key_words_of(block));
        const u64 hash = segment_.hash(std::as_bytes(std::span{key.data(), key.size()}));
        if (hash != load_relaxed(block + kHashWord))
            wrong_ = name + " has an entry of a wrong hash";
        const bool is_bucket = segment_.offset_of(word) >= segment_.geometry().buckets.offset;
        if (is_bucket && segment_.bucket_of(hash) != word) wrong_ = name + " has a stray entry";
        has_deadline_ = has_deadline_ || load_relaxed(block + kDeadlineWord) != 0;
    }

    void visit_chunk(u32 chunk) {
        const u32 size_class = segment_.class_of_chunk(chunk);
        if (size_class == kClasses) return;
        for (u32 i = 0; i < blocks_per_chunk(size_class) && wrong_.empty(); ++i) {
            const u64 granule = segment_.chunk_granule(chunk) + u64{i} * class_granules(size_class);
            if (!is_resident(segment_.block(granule))) continue;
            const u64 state = load_relaxed(segment_.block(granule));
            if (!BlockState::is_used(state)) continue;
            ++used_;
            if (!reached_.contains(granule)) {
                wrong_ = "block " + std::to_string(granule) +
                         " is neither free nor reachable, owner " +
                         std::to_string(BlockState::owner(state));
            }
        }
    }

    const Segment& segment_;
    std::vector<unsigned char> resident_;
    std::string wrong_;
    std::unordered_map<u64, std::string> reached_;
    u64 used_ = 0;
    bool has_deadline_ = false;
};

inline std::string audit(const Segment& segment) {
    return Audit{segment}.run();
}

}  // namespace cluster::store::test
