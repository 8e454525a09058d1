#include "heap.hpp"

#include <cstdio>
#include <cstdlib>
#include <new>

#include "sys/failpoint.hpp"

namespace {

[[noreturn]] void end_without_memory() {
    std::fputs("cluster-supervisor: out of memory\n", stderr);
    std::_Exit(EXIT_FAILURE);
}

}  // namespace

void end_when_out_of_memory() {
    std::set_new_handler(&end_without_memory);
}

// A sanitizer has forms of its own, and every one of them has to be.
#if defined(CLUSTER_FAILPOINTS) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

// The default forms for arrays, and of delete with a size, come down to these two ([new.delete]).
void* operator new(std::size_t size) {
    const bool is_refused = cluster::sys::injected_error(cluster::Failpoint::heap) != 0;
    void* const memory = is_refused ? nullptr : std::malloc(size > 0 ? size : 1);
    if (memory == nullptr) end_without_memory();
    return memory;
}

void operator delete(void* memory) noexcept {
    std::free(memory);
}

void operator delete(void* memory, std::size_t) noexcept {
    std::free(memory);
}

#endif
