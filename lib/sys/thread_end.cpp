#include "sys/thread_end.hpp"

#include <pthread.h>

#include <type_traits>

namespace cluster::sys {

static_assert(std::is_same_v<pthread_key_t, unsigned>);

ThreadEnd::ThreadEnd(void (*function)(void*)) : code_(::pthread_key_create(&key_, function)) {}

Status ThreadEnd::arm() const {
    if (code_ != 0) return fail(Op::limit, code_);
    // Any value but a null pointer.
    const int code = ::pthread_setspecific(key_, this);
    if (code != 0) return fail(Op::limit, code);
    return {};
}

}  // namespace cluster::sys
