#include "store/segment.hpp"

#include <cerrno>
#include <cstring>

#include "sys/shared_memory.hpp"

namespace cluster::store {
namespace {

constexpr std::size_t kHugePageBytes = std::size_t{2} << 20U;

tl::unexpected<Error> refused(const Error& error) {
    return tl::unexpected<Error>(error);
}

/// The options that a header was made from, by its counts alone.
SegmentOptions options_of(const Header& header) {
    const auto count = [&header](RegionKind kind) {
        const u64 value = header.regions[static_cast<std::size_t>(kind) - 1].count;
        return value > UINT32_MAX ? UINT32_MAX : static_cast<u32>(value);
    };
    return {.bytes = header.segment_bytes,
            .counters = count(RegionKind::registry),
            .participants = count(RegionKind::participants),
            .striped = count(RegionKind::stripe_owners)};
}

Result<Geometry> checked_geometry(const Header& header, u64 file_bytes) {
    if (header.magic != kMagic) return fail(Op::store, EBADF);
    if (header.version != kLayoutVersion || header.abi != kAbi) {
        return fail(Op::store, EPROTONOSUPPORT);
    }
    if (header.header_bytes != sizeof(Header) || header.segment_bytes != file_bytes) {
        return fail(Op::store, EBADMSG);
    }
    const auto geometry = plan_geometry(options_of(header));
    if (!geometry || geometry->table() != header.regions) return fail(Op::store, EBADMSG);
    return *geometry;
}

}  // namespace

Result<sys::UniqueFd> create(const SegmentOptions& options) {
    const auto geometry = plan_geometry(options);
    if (!geometry) return refused(geometry.error());
    auto file = sys::open_memory_file("cluster-store", geometry->bytes);
    if (!file) return refused(file.error());

    Header header;
    header.magic = kMagic;
    header.version = kLayoutVersion;
    header.header_bytes = sizeof(Header);
    header.segment_bytes = geometry->bytes;
    header.abi = kAbi;
    header.regions = geometry->table();
    struct {
        u64 generation;
        Seed seed;
    } random{};
    if (const auto filled = sys::fill_random(&random, sizeof random); !filled) {
        return refused(filled.error());
    }
    header.generation = random.generation;
    header.seed = random.seed;

    const auto mapping = sys::map_shared(file->get(), geometry->bytes, true);
    if (!mapping) return refused(mapping.error());
    std::memcpy(mapping->as<void>(), &header, sizeof header);
    // The first chunk is for the smallest blocks, so that large entries never leave descriptors
    // without room.
    const u64 smallest = 1;
    std::memcpy(mapping->as<std::byte>() + geometry->chunk_classes.offset, &smallest,
                sizeof smallest);
    if (const auto sealed = sys::seal_size(file->get()); !sealed) return refused(sealed.error());
    return file;
}

Result<Segment> Segment::attach(int fd, Access access) {
    const auto file = sys::inspect_memory_file(fd);
    if (!file || !file->has_fixed_size || file->bytes < kPageBytes) {
        return fail(Op::store, EBADF);
    }
    Segment segment;
    segment.is_writable_ = access == Access::read_write;
    auto mapping = sys::map_shared_aligned(fd, file->bytes, segment.is_writable_, kHugePageBytes);
    if (!mapping) return refused(mapping.error());
    segment.mapping_ = std::move(*mapping);

    Header header;
    copy_out(Buffer{reinterpret_cast<std::byte*>(&header), sizeof header}, segment.word_at(0));
    const auto geometry = checked_geometry(header, file->bytes);
    if (!geometry) return refused(geometry.error());
    segment.geometry_ = *geometry;
    segment.seed_ = header.seed;
    segment.generation_ = header.generation;
    segment.inode_ = file->inode;
    if (const auto mapped = segment.map_private_pages(); !mapped) return refused(mapped.error());
    return segment;
}

Result<Segment> Segment::attach_known(int fd, const SegmentOptions& options, u64 generation) {
    const auto geometry = plan_geometry(options);
    if (!geometry) return refused(geometry.error());
    const auto file = sys::inspect_memory_file(fd);
    if (!file || !file->has_fixed_size || file->bytes != geometry->bytes) {
        return fail(Op::store, EBADF);
    }
    Segment segment;
    segment.is_writable_ = true;
    auto mapping = sys::map_shared_aligned(fd, file->bytes, true, kHugePageBytes);
    if (!mapping) return refused(mapping.error());
    segment.mapping_ = std::move(*mapping);
    segment.geometry_ = *geometry;
    segment.generation_ = generation;
    segment.inode_ = file->inode;
    if (const auto mapped = segment.map_private_pages(); !mapped) return refused(mapped.error());
    return segment;
}

Status Segment::map_private_pages() {
    if (!is_writable_) return {};
    auto pages = sys::map_wiped_on_fork((u64{geometry_.participants_count} + 1) * kPageBytes);
    if (!pages) return refused(pages.error());
    private_pages_ = std::move(*pages);
    return {};
}

}  // namespace cluster::store
