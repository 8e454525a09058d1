// Memory files and mappings.
#pragma once

#include <cstddef>
#include <string_view>
#include <utility>

#include "base/result.hpp"
#include "sys/fd.hpp"

namespace cluster::sys {

/// A memfd, close-on-exec, sealable, not executable where the kernel has MFD_NOEXEC_SEAL (6.3;
/// probed). `name` is what /proc shows.
[[nodiscard]] Result<UniqueFd> open_memory_file(const char* name, std::size_t bytes);

/// F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL: the size is fixed for good, the contents are not.
[[nodiscard]] Status seal_size(int fd);
/// The above and F_SEAL_WRITE: nobody can change anything any more.
[[nodiscard]] Status seal_all(int fd);
/// The size seals and F_SEAL_FUTURE_WRITE: mappings made so far may write, later ones only read.
[[nodiscard]] Status seal_future_writes(int fd);
/// A memory file with these bytes, sealed against every change. Errors: {memfd|write|seal, errno}.
[[nodiscard]] Result<UniqueFd> make_sealed_file(const char* name, std::string_view bytes);
/// True when the file can neither be written nor change its size.
[[nodiscard]] bool is_sealed(int fd);

/// A shared mapping of a whole file. Move-only; unmaps.
class Mapping {
public:
    Mapping() = default;
    Mapping(void* address, std::size_t bytes) : address_(address), bytes_(bytes) {}
    ~Mapping();
    Mapping(Mapping&& other) noexcept
        : address_(std::exchange(other.address_, nullptr)),
          bytes_(std::exchange(other.bytes_, 0)) {}
    Mapping& operator=(Mapping&& other) noexcept;
    Mapping(const Mapping&) = delete;
    Mapping& operator=(const Mapping&) = delete;

    template <class T>
    [[nodiscard]] T* as() const {
        return static_cast<T*>(address_);
    }
    [[nodiscard]] std::size_t size() const { return bytes_; }
    [[nodiscard]] bool is_mapped() const { return address_ != nullptr; }

private:
    void* address_ = nullptr;
    std::size_t bytes_ = 0;
};

[[nodiscard]] Result<Mapping> map_shared(int fd, std::size_t bytes, bool writable);

/// The heap's large blocks come from the kernel and go back to it one by one, for good: left alone,
/// the allocator keeps ever larger ones after the first that was freed. Source: mallopt(3),
/// M_MMAP_THRESHOLD. Before the first thread.
void keep_heap_small();
/// Gives back what is free between the blocks that are in use. Takes a millisecond for some
/// megabytes.
void give_back_free_memory();
/// Takes the code and the constants of this process out of its memory: what is needed again comes
/// back from the files' pages at a touch, and what only a start or a command needed stays away.
void let_go_of_code();

}  // namespace cluster::sys
