// Shared memory between processes that do not trust one another: what the store needs beyond
// sys/memory.hpp.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/result.hpp"
#include "sys/memory.hpp"

namespace cluster::sys {

struct MemoryFile {
    std::uint64_t bytes = 0;
    std::uint64_t used_bytes = 0;  // what of it has memory
    std::uint64_t inode = 0;
    bool has_fixed_size = false;  // sealed against shrinking and growing
};
/// Errors: {stat, errno}; {seal, EINVAL} when the descriptor is not a memory file.
[[nodiscard]] Result<MemoryFile> inspect_memory_file(int fd);

/// map_shared at an address that is a multiple of `alignment` (a power of two), so that huge pages
/// that somebody else collapsed are mapped as such.
[[nodiscard]] Result<Mapping> map_shared_aligned(int fd, std::size_t bytes, bool writable,
                                                 std::size_t alignment);

/// Private zeroed memory that a forked child finds zeroed again (MADV_WIPEONFORK). A child of
/// vfork shares it.
[[nodiscard]] Result<Mapping> map_wiped_on_fork(std::size_t bytes);

/// Gives every page of the file its memory now and asks the kernel for huge pages. Takes about 3 ms
/// a MiB: for a job, never for a loop. Errors: {map, errno}; EINVAL where the kernel has no
/// MADV_COLLAPSE (before 6.1) or no huge pages, and then only the huge pages are missing.
[[nodiscard]] Status collapse_memory(int fd, std::size_t bytes);

/// Puts those pieces of a huge page's size into huge pages of which at least half has memory; the
/// rest of such a piece gets memory too. Whoever uses a piece meanwhile waits for it once, about a
/// millisecond. Takes as long a piece: for a job. What was done before costs next to nothing. Gives
/// the bytes that lie in such pieces.
/// Errors: {map, errno}; EINVAL as above.
[[nodiscard]] Result<std::uint64_t> collapse_used_memory(int fd, std::size_t bytes);

/// Bytes that nobody can guess. Errors: {read, errno}.
[[nodiscard]] Status fill_random(void* target, std::size_t bytes);

}  // namespace cluster::sys
