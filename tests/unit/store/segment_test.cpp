#include "store/segment.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "store_fixture.hpp"
#include "sys/shared_memory.hpp"

namespace cluster::store::test {
namespace {

int attach_code(int fd) {
    return code_of(Segment::attach(fd, Access::read_write));
}

/// A memory file with the contents of another, sealed in size, with one word changed.
sys::UniqueFd altered_copy(int from, std::uint64_t offset, std::uint64_t value) {
    const auto info = sys::inspect_memory_file(from);
    REQUIRE(info);
    auto copy = sys::open_memory_file("copy", info->bytes);
    REQUIRE(copy);
    std::array<char, 4096> page{};
    REQUIRE(::pread(from, page.data(), page.size(), 0) == 4096);
    std::memcpy(page.data() + offset, &value, sizeof value);
    REQUIRE(::pwrite(copy->get(), page.data(), page.size(), 0) == 4096);
    REQUIRE(sys::seal_size(copy->get()));
    return std::move(*copy);
}

TEST_CASE("store/segment: a segment is sealed in size and has a generation of its own") {
    const auto first = create(small_options());
    const auto second = create(small_options());
    REQUIRE(first);
    REQUIRE(second);
    const auto info = sys::inspect_memory_file(first->get());
    REQUIRE(info);
    CHECK(info->has_fixed_size);
    CHECK(info->bytes == small_options().bytes);
    CHECK(::ftruncate(first->get(), 4096) != 0);
    CHECK((::fcntl(first->get(), F_GETFD) & FD_CLOEXEC) != 0);
    const auto a = Segment::attach(first->get(), Access::read_only);
    const auto b = Segment::attach(second->get(), Access::read_only);
    REQUIRE(a);
    REQUIRE(b);
    CHECK(a->generation() != b->generation());
    CHECK(a->inode() == info->inode);
}

TEST_CASE("store/segment: who made it knows it without asking its header") {
    const auto file = create(small_options());
    REQUIRE(file);
    const std::uint64_t generation = Segment::attach(file->get(), Access::read_only)->generation();
    const std::string nonsense(4096, '\xA5');
    REQUIRE(::pwrite(file->get(), nonsense.data(), nonsense.size(), 0) == 4096);
    CHECK(attach_code(file->get()) == EBADF);
    auto known = Segment::attach_known(file->get(), small_options(), generation);
    REQUIRE(known);
    CHECK(known->generation() == generation);
    CHECK(known->geometry().participants_count == small_options().participants);
    CHECK(settle_all_dead(*known).slots == 0);
    SegmentOptions other = small_options();
    other.bytes += 4096;
    CHECK(code_of(Segment::attach_known(file->get(), other, generation)) == EBADF);
    const auto plain = sys::open_memory_file("plain", small_options().bytes);
    REQUIRE(plain);
    CHECK(code_of(Segment::attach_known(plain->get(), small_options(), generation)) == EBADF);
}

TEST_CASE("store/segment: too small is refused, and the minimum is told and is enough") {
    SegmentOptions options = small_options();
    options.bytes = minimum_bytes(options) - 1;
    CHECK(code_of(create(options)) == ENOSPC);
    options.bytes = minimum_bytes(options);
    CHECK(code_of(create(options)) == 0);
    const SegmentOptions defaults;
    CHECK(minimum_bytes(defaults) < defaults.bytes);
    CHECK(minimum_bytes(defaults) < std::uint64_t{8} << 20U);
}

TEST_CASE("store/segment: counts out of range are refused") {
    for (const SegmentOptions& options :
         {SegmentOptions{.participants = 0}, SegmentOptions{.participants = kMaxParticipants + 1},
          SegmentOptions{.counters = 0, .participants = 1},
          SegmentOptions{.counters = kMaxCounters + 1},
          SegmentOptions{.striped = kMaxStriped + 1}}) {
        CHECK(code_of(create(options)) == EINVAL);
    }
    CHECK(code_of(create({.bytes = kMaxSegmentBytes + 1})) == EFBIG);
}

TEST_CASE("store/segment: every size makes regions that fit and do not overlap") {
    SegmentOptions options = small_options();
    for (u64 bytes = minimum_bytes(options); bytes < (u64{80} << 20U); bytes += 700'001) {
        options.bytes = bytes;
        const auto geometry = plan_geometry(options);
        REQUIRE(geometry);
        u64 end = kPageBytes;
        for (std::size_t i = 0; i < kRegions; ++i) {
            const Region region = geometry->table()[i];
            REQUIRE(region.offset == end);
            REQUIRE(region.bytes >= region.count * region.stride);
            end = region.offset + region.bytes;
        }
        REQUIRE(end <= bytes);
        REQUIRE(geometry->chunk_count >= kMinChunks);
        // Nothing worth a chunk is left over.
        REQUIRE(bytes - end < kChunkBytes + kBucketsPerChunk * 8 + kChunkGranules + 3 * kPageBytes);
    }
}

TEST_CASE("store/segment: what is no segment, or another's, is refused") {
    const auto file = create(small_options());
    REQUIRE(file);
    CHECK(attach_code(-1) == EBADF);
    const sys::UniqueFd null{::open("/dev/null", O_RDWR | O_CLOEXEC)};
    CHECK(attach_code(null.get()) == EBADF);
    const auto unsealed = sys::open_memory_file("unsealed", small_options().bytes);
    REQUIRE(unsealed);
    CHECK(attach_code(unsealed->get()) == EBADF);
    const auto tiny = sys::open_memory_file("tiny", 100);
    REQUIRE(tiny);
    REQUIRE(sys::seal_size(tiny->get()));
    CHECK(attach_code(tiny->get()) == EBADF);

    const auto code_with = [&](u64 offset, u64 value) {
        return attach_code(altered_copy(file->get(), offset, value).get());
    };
    CHECK(code_with(32, 7) == 0);  // another generation only
    CHECK(code_with(0, 7) == EBADF);
    CHECK(code_with(8, (u64{sizeof(Header)} << 32U) | 2) == EPROTONOSUPPORT);
    CHECK(code_with(24, 7) == EPROTONOSUPPORT);
    CHECK(code_with(16, u64{1} << 40U) == EBADMSG);
    for (u64 offset = 128; offset < 128 + 16 * 32; offset += 8) {
        CAPTURE(offset);
        CHECK(code_with(offset, 0x7777'7777'7777'7777U) == EBADMSG);
    }
}

TEST_CASE("store/segment: an attachment for reading reads and cannot write") {
    Place place;
    REQUIRE(place.set("k", "v"));
    const auto counter = place.counters.open(place.me, "c");
    REQUIRE(counter);
    counter->add(5);
    auto reader = Segment::attach(place.file.get(), Access::read_only);
    REQUIRE(reader);
    std::array<std::byte, 8> buffer{};
    CHECK(Table{*reader}.get(bytes("k"), buffer)->size == 1);
    CHECK(code_of(Participant::join(*reader)) == EROFS);
    const auto same = Counters{*reader}.find("c");
    REQUIRE(same);
    CHECK(same->add(1) == 5);
    CHECK(same->get() == 5);
    CHECK(take_census(*reader).keys == 1);
}

TEST_CASE("store/segment: the address suits huge pages, and collapsing keeps what is there") {
    Place place;
    REQUIRE(place.set("k", "v"));
    CHECK(reinterpret_cast<std::uintptr_t>(place.segment->word_at(0)) % (2U << 20U) == 0);
    // Whether the kernel has huge pages is not ours to say.
    const auto collapsed = sys::collapse_memory(place.file.get(), small_options().bytes);
    const int code = collapsed ? 0 : collapsed.error().code;
    CHECK((code == 0 || code == EINVAL || code == ENOMEM || code == EAGAIN || code == EBUSY));
    CHECK(place.get("k") == "v");
}

TEST_CASE("store/segment: huge pages are given to what is in use, and change nothing of it") {
    constexpr std::size_t kPiece = std::size_t{2} << 20U;
    constexpr std::size_t kPage = 4096;
    const auto file = sys::open_memory_file("pieces", 3 * kPiece + kPage);
    REQUIRE(file);
    auto mapping = sys::map_shared_aligned(file->get(), 3 * kPiece + kPage, true, kPiece);
    REQUIRE(mapping);
    auto* const bytes = mapping->as<std::byte>();
    const auto fill = [bytes](std::size_t from, std::size_t pages) {
        for (std::size_t i = 0; i < pages; ++i) bytes[from + i * kPage] = std::byte{7};
    };
    fill(0, 256);           // half of the first piece
    fill(kPiece, 255);      // not quite half of the second one
    fill(3 * kPiece, 1);    // what is no whole piece
    const auto before = sys::inspect_memory_file(file->get());
    REQUIRE(before);
    CHECK(before->used_bytes == 512 * kPage);
    const auto done = sys::collapse_used_memory(file->get(), 3 * kPiece + kPage);
    if (!done) {
        CHECK(done.error().code == EINVAL);  // a kernel without
        return;
    }
    // No piece but the first may have been taken; that one may have been in somebody's use.
    CHECK((*done == kPiece || *done == 0));
    const auto after = sys::inspect_memory_file(file->get());
    REQUIRE(after);
    CHECK(after->used_bytes == (*done == 0 ? 512 : 512 + 256) * kPage);
    for (std::size_t i = 0; i < 512; ++i) {
        CHECK(bytes[i * kPage] == (i < 256 ? std::byte{7} : std::byte{0}));
        CHECK(bytes[i * kPage + 1] == std::byte{0});
    }
    CHECK(sys::collapse_used_memory(file->get(), 3 * kPiece + kPage).value_or(0) == *done);
}

}  // namespace
}  // namespace cluster::store::test
