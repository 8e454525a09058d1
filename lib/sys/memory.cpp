#include "sys/memory.hpp"

#include <fcntl.h>
#include <link.h>
#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "sys/failpoint.hpp"
#include "sys/features.hpp"
#include "sys/file.hpp"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U  // Linux 6.3; not in the headers of glibc 2.36
#endif

namespace cluster::sys {
namespace {

constexpr int kSizeSeals = F_SEAL_SHRINK | F_SEAL_GROW;

Status add_seals(int fd, int seals) {
    if (::fcntl(fd, F_ADD_SEALS, seals) != 0) return fail(Op::seal, errno);
    return {};
}

}  // namespace

Result<UniqueFd> open_memory_file(const char* name, std::size_t bytes) {
    if (const int code = injected_error(Failpoint::sys_memory_file)) return fail(Op::memfd, code);
    const unsigned int newer = has_newer_features() ? MFD_NOEXEC_SEAL : 0U;
    int fd = ::memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | newer);
    if (fd < 0 && errno == EINVAL) fd = ::memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0) return fail(Op::memfd, errno);
    UniqueFd file{fd};
    if (bytes != 0 && ::ftruncate(fd, static_cast<off_t>(bytes)) != 0) {
        return fail(Op::truncate, errno);
    }
    return file;
}

Status seal_size(int fd) {
    return add_seals(fd, kSizeSeals | F_SEAL_SEAL);
}

Status seal_all(int fd) {
    return add_seals(fd, kSizeSeals | F_SEAL_WRITE | F_SEAL_SEAL);
}

Status seal_future_writes(int fd) {
    return add_seals(fd, kSizeSeals | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL);
}

Result<UniqueFd> make_sealed_file(const char* name, std::string_view bytes) {
    auto file = open_memory_file(name, 0);
    if (!file) return file;
    if (auto written = write_all(file->get(), bytes); !written) {
        return tl::unexpected(written.error());
    }
    if (auto sealed = seal_all(file->get()); !sealed) return tl::unexpected(sealed.error());
    return file;
}

bool is_sealed(int fd) {
    constexpr int kNeeded = kSizeSeals | F_SEAL_WRITE;
    const int seals = ::fcntl(fd, F_GET_SEALS);
    return seals >= 0 && (seals & kNeeded) == kNeeded;
}

Mapping::~Mapping() {
    if (address_ != nullptr) ::munmap(address_, bytes_);
}

Mapping& Mapping::operator=(Mapping&& other) noexcept {
    if (this != &other) {
        if (address_ != nullptr) ::munmap(address_, bytes_);
        address_ = std::exchange(other.address_, nullptr);
        bytes_ = std::exchange(other.bytes_, 0);
    }
    return *this;
}

Result<Mapping> map_shared(int fd, std::size_t bytes, bool writable) {
    if (const int code = injected_error(Failpoint::sys_map)) return fail(Op::map, code);
    const int protection = writable ? PROT_READ | PROT_WRITE : PROT_READ;
    void* address = ::mmap(nullptr, bytes, protection, MAP_SHARED, fd, 0);
    if (address == MAP_FAILED) return fail(Op::map, errno);
    return Mapping{address, bytes};
}

void keep_heap_small() {
    // The allocator's own defaults; setting one is what stops it from adapting them.
    constexpr int kDefaultThreshold = 128 * 1024;
    ::mallopt(M_MMAP_THRESHOLD, kDefaultThreshold);
    ::mallopt(M_TRIM_THRESHOLD, kDefaultThreshold);
}

void give_back_free_memory() {
    ::malloc_trim(0);
}

void let_go_of_code() {
    const auto let_go = [](dl_phdr_info* object, std::size_t, void*) {
        const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
        for (int i = 0; i < object->dlpi_phnum; ++i) {
            const ElfW(Phdr)& part = object->dlpi_phdr[i];
            // What can be written was relocated: it is nowhere else.
            if (part.p_type != PT_LOAD || (part.p_flags & PF_W) != 0) continue;
            const std::uintptr_t begin = (object->dlpi_addr + part.p_vaddr) & ~(page - 1);
            const std::uintptr_t end = object->dlpi_addr + part.p_vaddr + part.p_memsz;
            // Of the kernel's own object, which is in nobody's memory, nothing is taken: EINVAL.
            ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
        }
        return 0;
    };
    ::dl_iterate_phdr(let_go, nullptr);
}

}  // namespace cluster::sys
