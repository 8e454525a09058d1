#include "store/geometry.hpp"

#include <bit>
#include <cerrno>

namespace cluster::store {
namespace {

constexpr u64 round_up(u64 value, u64 multiple) {
    return (value + multiple - 1) / multiple * multiple;
}

bool are_sound(const SegmentOptions& options) {
    return options.participants >= 1 && options.participants <= kMaxParticipants &&
           options.counters >= 1 && options.counters <= kMaxCounters &&
           options.striped <= kMaxStriped;
}

/// Lays the regions behind the header, one after the other, each from a page on.
class Layer {
public:
    Region lay(RegionKind kind, u64 stride, u64 count) {
        const Region region{.kind = kind,
                            .stride = static_cast<u32>(stride),
                            .offset = at_,
                            .bytes = round_up(stride * count, kPageBytes),
                            .count = count};
        at_ += region.bytes;
        return region;
    }
    [[nodiscard]] u64 end() const { return at_; }

private:
    u64 at_ = kPageBytes;
};

Geometry lay_out(const SegmentOptions& options, u64 chunk_count, u64* end) {
    const u64 row_bytes = round_up(u64{options.striped} * 8, kGranuleBytes);
    Geometry plan;
    plan.counters = std::bit_ceil(options.counters);
    plan.participants_count = options.participants;
    plan.striped = options.striped;
    plan.chunk_count = static_cast<u32>(chunk_count);
    Layer layer;
    plan.participants =
        layer.lay(RegionKind::participants, sizeof(ParticipantSlot), options.participants);
    plan.stripe_owners = layer.lay(RegionKind::stripe_owners, 8, options.striped);
    plan.stripes = layer.lay(RegionKind::stripes, row_bytes, options.participants);
    plan.registry = layer.lay(RegionKind::registry, sizeof(RegistryPlace), plan.counters);
    plan.cells = layer.lay(RegionKind::cells, kCellBytes, plan.counters);
    plan.hints = layer.lay(RegionKind::hints, sizeof(ClassHints), kClasses);
    plan.chunk_classes = layer.lay(RegionKind::chunk_classes, 8, chunk_count);
    plan.buckets = layer.lay(RegionKind::buckets, 8, chunk_count * kBucketsPerChunk);
    plan.references = layer.lay(RegionKind::references, 1, chunk_count * kChunkGranules);
    plan.chunks = layer.lay(RegionKind::chunks, kChunkBytes, chunk_count);
    *end = layer.end();
    return plan;
}

}  // namespace

std::array<Region, 16> Geometry::table() const {
    std::array<Region, 16> table{};
    const std::array<Region, kRegions> regions{participants, stripe_owners, stripes,       registry,
                                               cells,        hints,         chunk_classes, buckets,
                                               references,   chunks};
    for (std::size_t i = 0; i < regions.size(); ++i) table[i] = regions[i];
    return table;
}

u64 minimum_bytes(const SegmentOptions& options) {
    if (!are_sound(options)) return 0;
    u64 end = 0;
    lay_out(options, kMinChunks, &end);
    return end;
}

Result<Geometry> plan_geometry(const SegmentOptions& options) {
    if (!are_sound(options)) return fail(Op::store, EINVAL);
    if (options.bytes > kMaxSegmentBytes) return fail(Op::store, EFBIG);
    if (options.bytes < minimum_bytes(options)) return fail(Op::store, ENOSPC);
    u64 chunk_count = options.bytes / kChunkBytes;
    u64 end = 0;
    Geometry plan = lay_out(options, chunk_count, &end);
    while (end > options.bytes) {
        // What is too much, in chunks, each with its share of buckets and references; at least one.
        constexpr u64 kShare = kChunkBytes + kBucketsPerChunk * 8 + kChunkGranules;
        const u64 excess = (end - options.bytes) / (kShare + 8);
        chunk_count -= excess == 0 ? 1 : excess;
        plan = lay_out(options, chunk_count, &end);
    }
    plan.bytes = options.bytes;
    return plan;
}

}  // namespace cluster::store
