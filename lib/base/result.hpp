// Result<T>: a value, or an eight-byte Error that says which step failed and with which errno.
//
// An Error never holds a string, so the failure path cannot allocate. Text is made once, at the
// edge of a program, from the operation, the errno and whatever the caller knows (a path, a
// worker's name).
#pragma once

#include <cstdint>
#include <tl/expected.hpp>

#include "base/op.hpp"

namespace cluster {

struct Error {
    Op op = Op::none;
    std::int32_t code = 0;  // an errno; 0 where the operation has no errno of its own

    friend bool operator==(const Error&, const Error&) = default;
};
static_assert(sizeof(Error) == 8);

/// A plain alias of tl::expected would lose [[nodiscard]], hence the thin class.
template <class T>
class [[nodiscard]] Result : public tl::expected<T, Error> {
public:
    using tl::expected<T, Error>::expected;
};

using Status = Result<void>;

[[nodiscard]] inline tl::unexpected<Error> fail(Op op, int code) {
    return tl::unexpected<Error>(Error{op, code});
}

}  // namespace cluster
