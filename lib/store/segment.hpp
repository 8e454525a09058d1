// A segment: one sealed memory file, mapped by every process that shares the store.
//
// The daemon treats it as input from an enemy, and so does everybody else: what is fixed is copied
// to private memory and checked when the segment is attached, what changes is checked at each use,
// and every loop ends by itself. A peer that scribbles in it can cause wrong answers, nothing
// worse.
#pragma once

#include <cstdint>

#include "base/result.hpp"
#include "store/geometry.hpp"
#include "store/hash.hpp"
#include "sys/fd.hpp"
#include "sys/memory.hpp"

namespace cluster::store {

/// A new segment as a memory file, sealed in size, close-on-exec, with a random generation and
/// seed. Nothing is given memory before it is touched; sys::collapse_memory does so in a job.
/// Errors: as plan_geometry, and those of sys::open_memory_file.
[[nodiscard]] Result<sys::UniqueFd> create(const SegmentOptions& options);

enum class Access : std::uint8_t { read_only, read_write };

class Segment {
public:
    /// Maps what `fd` holds; the descriptor may be closed afterwards. Errors: {store, EBADF} when
    /// it is no sealed memory file or has no magic; {store, EPROTONOSUPPORT} for another layout
    /// version or ABI; {store, EBADMSG} for a header that contradicts itself; {map, errno}.
    [[nodiscard]] static Result<Segment> attach(int fd, Access access);

    /// The same for the daemon, which made it and knows what it made: the header, which others may
    /// have written since, is not read. It has no hash. Errors: {store, EBADF} when it is no sealed
    /// memory file of that size; as plan_geometry; {map, errno}.
    [[nodiscard]] static Result<Segment> attach_known(int fd, const SegmentOptions& options,
                                                      u64 generation);

    [[nodiscard]] u64 generation() const { return generation_; }
    [[nodiscard]] u64 inode() const { return inode_; }
    [[nodiscard]] bool is_writable() const { return is_writable_; }
    [[nodiscard]] const Geometry& geometry() const { return geometry_; }
    [[nodiscard]] u64 hash(Bytes bytes) const { return hash_of(bytes, seed_); }

    // For the rooms of the store and for its tests. Every index below must have been checked
    // against the geometry.

    [[nodiscard]] u64* word_at(u64 offset) const { return reinterpret_cast<u64*>(base() + offset); }
    [[nodiscard]] u64* block(u64 granule) const { return word_at(granule * kGranuleBytes); }
    [[nodiscard]] u64 offset_of(const u64* word) const {
        return static_cast<u64>(reinterpret_cast<const std::byte*>(word) - base());
    }
    [[nodiscard]] Live& live() const { return *reinterpret_cast<Live*>(base() + kLiveOffset); }
    [[nodiscard]] ParticipantSlot& slot(u32 index) const {
        return reinterpret_cast<ParticipantSlot*>(base() + geometry_.participants.offset)[index];
    }
    [[nodiscard]] u64* bucket(u64 index) const { return word_at(geometry_.buckets.offset) + index; }
    [[nodiscard]] u64* bucket_of(u64 hash) const {
        const auto wide = static_cast<unsigned __int128>(hash) * geometry_.buckets.count;
        return bucket(static_cast<u64>(wide >> 64U));
    }
    [[nodiscard]] RegistryPlace& place(u32 index) const {
        return reinterpret_cast<RegistryPlace*>(base() + geometry_.registry.offset)[index];
    }
    [[nodiscard]] u64* cell(u32 counter) const {
        return word_at(geometry_.cells.offset + u64{counter} * kCellBytes);
    }
    [[nodiscard]] u64* stripe_cell(u32 slot, u32 stripe) const {
        return word_at(geometry_.stripes.offset + u64{slot} * geometry_.stripes.stride) + stripe;
    }
    [[nodiscard]] u64* stripe_owner(u32 stripe) const {
        return word_at(geometry_.stripe_owners.offset) + stripe;
    }
    [[nodiscard]] ClassHints& hints(u32 size_class) const {
        return reinterpret_cast<ClassHints*>(base() + geometry_.hints.offset)[size_class];
    }
    [[nodiscard]] u64* chunk_class(u32 chunk) const {
        return word_at(geometry_.chunk_classes.offset) + chunk;
    }
    [[nodiscard]] u64 chunk_granule(u32 chunk) const {
        return geometry_.first_granule() + u64{chunk} * kChunkGranules;
    }
    /// The class that a chunk belongs to; kClasses when to none (or to nonsense).
    [[nodiscard]] u32 class_of_chunk(u32 chunk) const {
        const u64 value = load_acquire(chunk_class(chunk));
        return value >= 1 && value <= kClasses ? static_cast<u32>(value) - 1 : kClasses;
    }
    /// The class of the block that starts at this granule; kClasses when none does.
    [[nodiscard]] u32 class_of_block(u64 granule) const {
        const u64 first = geometry_.first_granule();
        const u64 chunk = (granule - first) / kChunkGranules;
        if (granule < first || chunk >= geometry_.chunk_count) return kClasses;
        const u32 size_class = class_of_chunk(static_cast<u32>(chunk));
        if (size_class == kClasses) return kClasses;
        return starts_block((granule - first) % kChunkGranules, size_class) ? size_class : kClasses;
    }
    /// Private memory of the owner of a slot, one page that a forked child finds zeroed.
    [[nodiscard]] void* private_page(u32 slot) const {
        return private_pages_.as<std::byte>() + u64{slot} * kPageBytes;
    }

    /// The claim of this process, once it is known; 0 at first, and again in a forked child. Requires:
    /// a segment that may be written.
    [[nodiscard]] u64* own_claim() const {
        return static_cast<u64*>(private_page(geometry_.participants_count));
    }

private:
    [[nodiscard]] std::byte* base() const { return mapping_.as<std::byte>(); }
    [[nodiscard]] Status map_private_pages();

    sys::Mapping mapping_;
    sys::Mapping private_pages_;
    Geometry geometry_;
    Seed seed_{};
    u64 generation_ = 0;
    u64 inode_ = 0;
    bool is_writable_ = false;
};

}  // namespace cluster::store
