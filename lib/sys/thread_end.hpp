// A call at the end of a thread.
//
// A C++ thread_local would be called too, but once: what a later destructor of the thread does
// would find it dead. And in the main thread it is called before the functions of atexit, which
// may still want what it holds. A key of POSIX threads has neither flaw.
#pragma once

#include "base/result.hpp"

namespace cluster::sys {

class ThreadEnd {
public:
    /// `function` is called in each thread that has armed it. Meant for objects of static storage,
    /// so there is no way back: the library that holds `function` must not be unloaded.
    explicit ThreadEnd(void (*function)(void*));

    /// The calling thread's end calls the function once; it may arm it again. Errors: {limit,
    /// errno} when this process has no key left.
    [[nodiscard]] Status arm() const;

private:
    unsigned key_ = 0;
    int code_ = 0;  // errno of making the key
};

}  // namespace cluster::sys
