#include "sys/shared_memory.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23  // Linux 5.14
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25  // Linux 6.1; not in the headers of glibc 2.36
#endif

namespace cluster::sys {
namespace {

constexpr std::size_t kPage = 4096;
constexpr std::size_t kHugePage = std::size_t{2} << 20U;

}  // namespace

Result<MemoryFile> inspect_memory_file(int fd) {
    struct stat info {};
    if (::fstat(fd, &info) != 0) return fail(Op::stat, errno);
    const int seals = ::fcntl(fd, F_GET_SEALS);
    if (seals < 0) return fail(Op::seal, errno);
    constexpr int kNeeded = F_SEAL_SHRINK | F_SEAL_GROW;
    return MemoryFile{.bytes = static_cast<std::uint64_t>(info.st_size),
                      .used_bytes = static_cast<std::uint64_t>(info.st_blocks) * 512,
                      .inode = static_cast<std::uint64_t>(info.st_ino),
                      .has_fixed_size = (seals & kNeeded) == kNeeded};
}

Result<Mapping> map_shared_aligned(int fd, std::size_t bytes, bool writable,
                                   std::size_t alignment) {
    // Room for the mapping and the distance to the next aligned address; what is too much goes
    // back.
    const std::size_t reserved = bytes + alignment;
    void* room =
        ::mmap(nullptr, reserved, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (room == MAP_FAILED) return fail(Op::map, errno);
    auto* const start = static_cast<std::byte*>(room);
    const std::size_t past = reinterpret_cast<std::uintptr_t>(room) & (alignment - 1);
    const std::size_t skipped = past == 0 ? 0 : alignment - past;
    const int protection = writable ? PROT_READ | PROT_WRITE : PROT_READ;
    void* const address = ::mmap(start + skipped, bytes, protection, MAP_SHARED | MAP_FIXED, fd, 0);
    if (address == MAP_FAILED) {
        const int code = errno;
        ::munmap(room, reserved);
        return fail(Op::map, code);
    }
    const std::size_t whole_pages = (bytes + kPage - 1) / kPage * kPage;
    const std::size_t end = skipped + whole_pages;
    if (skipped != 0) ::munmap(room, skipped);
    if (end < reserved) ::munmap(start + end, reserved - end);
    return Mapping{address, bytes};
}

Result<Mapping> map_wiped_on_fork(std::size_t bytes) {
    void* address =
        ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (address == MAP_FAILED) return fail(Op::map, errno);
    Mapping mapping{address, bytes};
    if (::madvise(address, bytes, MADV_WIPEONFORK) != 0) return fail(Op::map, errno);
    return mapping;
}

Status collapse_memory(int fd, std::size_t bytes) {
    auto mapping = map_shared_aligned(fd, bytes, true, kHugePage);
    if (!mapping) return tl::unexpected<Error>(mapping.error());
    if (::madvise(mapping->as<void>(), bytes, MADV_POPULATE_WRITE) != 0)
        return fail(Op::map, errno);
    const std::size_t whole = bytes / kHugePage * kHugePage;
    if (whole != 0 && ::madvise(mapping->as<void>(), whole, MADV_COLLAPSE) != 0) {
        return fail(Op::map, errno);
    }
    return {};
}

Result<std::uint64_t> collapse_used_memory(int fd, std::size_t bytes) {
    auto mapping = map_shared_aligned(fd, bytes, true, kHugePage);
    if (!mapping) return tl::unexpected<Error>(mapping.error());
    constexpr std::size_t kPages = kHugePage / kPage;
    std::uint64_t done = 0;
    for (std::size_t at = 0; at + kHugePage <= bytes; at += kHugePage) {
        std::byte* const piece = mapping->as<std::byte>() + at;
        std::array<unsigned char, kPages> pages;
        if (::mincore(piece, kHugePage, pages.data()) != 0) return fail(Op::map, errno);
        const auto used = std::count_if(pages.begin(), pages.end(),
                                        [](unsigned char page) { return (page & 1U) != 0; });
        if (static_cast<std::size_t>(used) < kPages / 2) continue;
        if (::madvise(piece, kHugePage, MADV_COLLAPSE) == 0) {
            done += kHugePage;
        } else if (errno != EAGAIN && errno != EBUSY) {  // in use this moment: the next time
            return fail(Op::map, errno);
        }
    }
    return done;
}

Status fill_random(void* target, std::size_t bytes) {
    auto* at = static_cast<std::byte*>(target);
    while (bytes != 0) {
        const auto count = ::getrandom(at, bytes, 0);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return fail(Op::read, errno);
        at += count;
        bytes -= static_cast<std::size_t>(count);
    }
    return {};
}

}  // namespace cluster::sys
