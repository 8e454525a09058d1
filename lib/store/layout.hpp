// The bytes of a segment, as LAYOUT.md tells them: records, words and what is packed into them.
//
// Everything is native-endian and shared with processes of other builds, so sizes and offsets are
// asserted. References are granules (64 bytes) from the start of the segment, never pointers;
// zeroed memory is an empty store.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace cluster::store {

using u16 = std::uint16_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;

inline constexpr u64 kMagic = 0x31726F7473756C63U;  // "clustor1" in memory
inline constexpr u32 kLayoutVersion = 1;
/// Byte order, pointer size and page size of whoever made the segment.
inline constexpr u64 kAbi = 0x0102'0008'0000'1000U;

inline constexpr u64 kPageBytes = 4096;
inline constexpr u64 kGranuleBytes = 64;  // a cache line
inline constexpr u64 kChunkBytes = u64{1} << 20U;
inline constexpr u64 kChunkGranules = kChunkBytes / kGranuleBytes;
inline constexpr u64 kMaxSegmentBytes = u64{16} << 30U;  // 28 bits of granules
inline constexpr u64 kMinChunks = 4;  // names, descriptors, entries, and the reserve of deletes

inline constexpr u32 kMaxParticipants = 16384;
inline constexpr u32 kMaxCounters = 1U << 20U;
inline constexpr u32 kMaxStriped = 4096;
inline constexpr u32 kMaxCounterName = 128;  // bytes
inline constexpr u32 kMaxKeyBytes = 1024;

/// 1.25 buckets for each 128-byte block, the block of a 16-byte key with a 64-byte value.
inline constexpr u64 kBucketsPerChunk = 10240;

// --- size classes -------------------------------------------------------------------------------

/// Four per doubling, in granules: 1 2 3 4, 5 6 7 8, 10 12 14 16 … 8192. At most a quarter is lost.
inline constexpr u32 kClasses = 48;

[[nodiscard]] constexpr u32 class_granules(u32 size_class) {
    if (size_class < 4) return size_class + 1;
    return (4U + size_class % 4 + 1) << ((size_class - 4) / 4);
}
[[nodiscard]] constexpr u32 blocks_per_chunk(u32 size_class) {
    return static_cast<u32>(kChunkGranules) / class_granules(size_class);
}
/// For dividing by class_granules without dividing: ceil(2^32 / granules), exact below 2^14.
inline constexpr auto kGranuleReciprocals = [] {
    std::array<u64, kClasses> reciprocals{};
    for (u32 i = 0; i < kClasses; ++i) {
        reciprocals[i] = ((u64{1} << 32U) + class_granules(i) - 1) / class_granules(i);
    }
    return reciprocals;
}();
/// Whether a granule, counted from the start of its chunk, is the first of a block.
[[nodiscard]] constexpr bool starts_block(u64 granule_in_chunk, u32 size_class) {
    const u64 index = (granule_in_chunk * kGranuleReciprocals[size_class]) >> 32U;
    const u64 granules = class_granules(size_class);
    return index * granules == granule_in_chunk && granule_in_chunk + granules <= kChunkGranules;
}
/// The smallest class whose blocks hold so many bytes; kClasses when none does.
[[nodiscard]] constexpr u32 class_for(u64 bytes) {
    const u64 granules = (bytes + kGranuleBytes - 1) / kGranuleBytes;
    if (granules <= 4) return granules == 0 ? 0 : static_cast<u32>(granules) - 1;
    if (granules > class_granules(kClasses - 1)) return kClasses;
    const u32 top = 63U - static_cast<u32>(__builtin_clzll(granules - 1));  // 2^top ≤ granules - 1
    const u32 shift = top - 2;
    const u32 quarters = static_cast<u32>((granules - 1) >> shift);  // 4 … 7
    return 4 + shift * 4 + quarters - 4;
}
inline constexpr u64 kMaxBlockBytes = u64{class_granules(kClasses - 1)} * kGranuleBytes;
static_assert(kMaxBlockBytes == 512U * 1024U);
static_assert(class_for(64) == 0 && class_for(65) == 1 && class_for(256) == 3);
static_assert(class_for(257) == 4 && class_for(320) == 4 && class_for(512) == 7);
static_assert(class_for(513) == 8 && class_for(kMaxBlockBytes) == kClasses - 1);

// --- header -------------------------------------------------------------------------------------

enum class RegionKind : u32 {
    none = 0,
    participants = 1,
    stripe_owners = 2,
    stripes = 3,
    registry = 4,
    cells = 5,
    hints = 6,
    chunk_classes = 7,
    buckets = 8,
    references = 9,
    chunks = 10,
};
inline constexpr u32 kRegions = 10;

struct Region {
    RegionKind kind = RegionKind::none;
    u32 stride = 0;
    u64 offset = 0;
    u64 bytes = 0;
    u64 count = 0;

    friend bool operator==(const Region&, const Region&) = default;
};
static_assert(sizeof(Region) == 32 && std::is_trivially_copyable_v<Region>);

/// Written once, before anybody else sees the segment.
struct Header {
    u64 magic = 0;
    u32 version = 0;
    u32 header_bytes = 0;
    u64 segment_bytes = 0;
    u64 abi = 0;
    u64 generation = 0;
    std::array<u64, 2> seed{};
    u64 reserved = 0;
    std::array<u64, 8> reserved_line{};
    std::array<Region, 16> regions{};
};
static_assert(sizeof(Header) == 640 && std::is_trivially_copyable_v<Header>);
static_assert(offsetof(Header, generation) == 32 && offsetof(Header, regions) == 128);

/// The part of the first page that changes. Everything here is a hint or a statistic.
inline constexpr u64 kLiveOffset = 1024;
/// Whether to sweep is worth the while.
enum class DeadlineHint : u64 {
    none = 0,     // no entry has a deadline, as far as is known
    some = 1,     // written after an entry with one was published
    sweeping = 2  // by who sweeps all of the table: none when it is still this at the end
};
struct Live {
    u64 reload_epoch = 0;
    u64 flags = 0;
    u64 deadlines = 0;  // DeadlineHint
    std::array<u64, 5> reserved0{};
    u64 participants_high = 0;     // no slot from here on was ever taken
    u64 settled_participants = 0;  // taken from the dead
    u64 settled_blocks = 0;        // given back for them
    std::array<u64, 5> reserved1{};
};
static_assert(sizeof(Live) == 128);

// --- participants -------------------------------------------------------------------------------

/// The claim word of a slot names the process that owns it: pid 22, start ticks 16, image 6,
/// namespaces 20. Zero is a free slot.
struct Claim {
    u32 pid = 0;
    u32 start = 0;
    u32 image = 0;
    u32 namespaces = 0;

    [[nodiscard]] constexpr u64 word() const {
        return (u64{pid & 0x3F'FFFFU} << 42U) | (u64{start & 0xFFFFU} << 26U) |
               (u64{image & 0x3FU} << 20U) | u64{namespaces & 0xF'FFFFU};
    }
    [[nodiscard]] static constexpr Claim of(u64 word) {
        return {.pid = static_cast<u32>(word >> 42U),
                .start = static_cast<u32>(word >> 26U) & 0xFFFFU,
                .image = static_cast<u32>(word >> 20U) & 0x3FU,
                .namespaces = static_cast<u32>(word) & 0xF'FFFFU};
    }
    friend bool operator==(const Claim&, const Claim&) = default;
};

/// What a participant is about to do, for whoever settles it if it dies.
struct Intent {
    u64 word = 0;                // offset of the word to be changed; 0 is none
    std::array<u64, 2> fresh{};  // blocks taken for it: entry, descriptor
    std::array<u64, 2> old{};    // blocks to be given back after it: entry, descriptor
    std::array<u64, 3> reserved{};
};
static_assert(sizeof(Intent) == 64);

struct ParticipantSlot {
    u64 claim = 0;
    std::array<u64, 7> reserved0{};
    Intent intent;
    std::array<u64, 16> reserved1{};
};
static_assert(sizeof(ParticipantSlot) == 256 && offsetof(ParticipantSlot, intent) == 64);

// --- words --------------------------------------------------------------------------------------

/// A bucket (or a name of the registry): version 35, kind 1, granule 28. Granule 0 is empty.
struct Bucket {
    static constexpr u64 kGranuleMask = (u64{1} << 28U) - 1;
    static constexpr u64 kDescriptorBit = u64{1} << 28U;

    [[nodiscard]] static constexpr u64 granule(u64 word) { return word & kGranuleMask; }
    [[nodiscard]] static constexpr u64 version(u64 word) { return word >> 29U; }
    [[nodiscard]] static constexpr bool is_empty(u64 word) { return granule(word) == 0; }
    [[nodiscard]] static constexpr bool is_descriptor(u64 word) {
        return (word & kDescriptorBit) != 0;
    }
    /// What follows `word`: the next version, over another block.
    [[nodiscard]] static constexpr u64 next(u64 word, u64 to_granule, bool to_descriptor) {
        return (((word >> 29U) + 1) << 29U) | (to_descriptor ? kDescriptorBit : 0) | to_granule;
    }
};

/// The first word of each block: version 40, owner 16, used 8. A free one keeps its version.
struct BlockState {
    [[nodiscard]] static constexpr u64 version(u64 state) { return state >> 24U; }
    [[nodiscard]] static constexpr u32 owner(u64 state) {
        return static_cast<u32>(state >> 8U) & 0xFFFFU;
    }
    [[nodiscard]] static constexpr bool is_used(u64 state) { return (state & 0xFFU) != 0; }
    [[nodiscard]] static constexpr u64 taken(u64 state, u32 owner) {
        return ((version(state) + 1) << 24U) | (u64{owner & 0xFFFFU} << 8U) | 1U;
    }
    [[nodiscard]] static constexpr u64 freed(u64 state) { return version(state) << 24U; }
};

/// One incarnation of a block in one word, for intents and tokens: version 36 (its low bits),
/// granule
/// 28. Never 0, as the first version is 1.
struct Incarnation {
    [[nodiscard]] static constexpr u64 of(u64 state, u64 granule) {
        return (BlockState::version(state) << 28U) | granule;
    }
    [[nodiscard]] static constexpr u64 granule(u64 incarnation) {
        return incarnation & Bucket::kGranuleMask;
    }
    [[nodiscard]] static constexpr bool matches(u64 incarnation, u64 state) {
        return incarnation >> 28U == (BlockState::version(state) & ((u64{1} << 36U) - 1));
    }
};

/// One entry of a descriptor: the low 36 bits of the hash, granule 28.
struct Reference {
    static constexpr u64 kTagMask = (u64{1} << 36U) - 1;
    [[nodiscard]] static constexpr u64 of(u64 hash, u64 granule) {
        return ((hash & kTagMask) << 28U) | granule;
    }
    [[nodiscard]] static constexpr u64 granule(u64 reference) {
        return reference & Bucket::kGranuleMask;
    }
    [[nodiscard]] static constexpr bool has_tag_of(u64 reference, u64 hash) {
        return reference >> 28U == (hash & kTagMask);
    }
};

// --- blocks -------------------------------------------------------------------------------------

/// An entry, in words from the start of its block: state, hash, deadline (ns of CLOCK_MONOTONIC, 0
/// for none), lengths {value 32, key 16, flags 16}; then the key and the value, each padded to
/// words.
inline constexpr u64 kHashWord = 1;
inline constexpr u64 kDeadlineWord = 2;
inline constexpr u64 kLengthsWord = 3;
inline constexpr u64 kEntryHeaderBytes = 32;

struct Lengths {
    u32 value = 0;
    u32 key = 0;
    u32 flags = 0;

    [[nodiscard]] constexpr u64 word() const {
        return (u64{value} << 32U) | (u64{key & 0xFFFFU} << 16U) | u64{flags & 0xFFFFU};
    }
    [[nodiscard]] static constexpr Lengths of(u64 word) {
        return {.value = static_cast<u32>(word >> 32U),
                .key = static_cast<u32>(word >> 16U) & 0xFFFFU,
                .flags = static_cast<u32>(word) & 0xFFFFU};
    }
    [[nodiscard]] constexpr u64 key_words() const { return (u64{key} + 7) / 8; }
    [[nodiscard]] constexpr u64 value_words() const { return (u64{value} + 7) / 8; }
    [[nodiscard]] constexpr u64 entry_bytes() const {
        return kEntryHeaderBytes + (key_words() + value_words()) * 8;
    }
    /// What a participant may have written; anybody may have written anything.
    [[nodiscard]] constexpr bool are_sound() const {
        return key - 1U < kMaxKeyBytes && entry_bytes() <= kMaxBlockBytes;
    }
};
/// Any value up to here fits beside any key.
inline constexpr u64 kMaxValueBytes = kMaxBlockBytes - kEntryHeaderBytes - kMaxKeyBytes;

/// A descriptor, in words: state, number of references, the references.
inline constexpr u64 kReferenceCountWord = 1;
inline constexpr u64 kFirstReferenceWord = 2;
inline constexpr u32 kMaxReferences = 126;  // of a 1 KiB block
[[nodiscard]] constexpr u64 descriptor_bytes(u64 references) {
    return (kFirstReferenceWord + references) * 8;
}

// --- counters -----------------------------------------------------------------------------------

/// One place of the registry; its index is the counter's. The stripe is 0, or the index of a
/// striped counter's column plus one.
struct RegistryPlace {
    u64 name = 0;  // a Bucket word over an entry whose flags are the NameKind
    u64 stripe = 0;
};
static_assert(sizeof(RegistryPlace) == 16);

inline constexpr u64 kCellBytes = 64;  // the cell of an atomic counter has a line of its own

// --- allocation hints ---------------------------------------------------------------------------

inline constexpr u64 kHintRing = 128;

/// Per size class. Wrong, doubled or lost values cost time, nothing else.
struct ClassHints {
    u64 cursor = 0;  // where the next scan goes on: chunk 32, block 32
    u64 lost = 0;    // free blocks that no hint names any more, about
    u64 hungry = 0;  // 1: somebody found nothing, so hints go to the ring
    std::array<u64, 5> reserved0{};
    u64 put = 0;
    u64 take = 0;
    std::array<u64, 6> reserved1{};
    std::array<u64, kHintRing> ring{};  // granules
};
static_assert(sizeof(ClassHints) == 128 + kHintRing * 8 && offsetof(ClassHints, put) == 64);

}  // namespace cluster::store
