#include "channel/store_door.hpp"

#include <cerrno>

namespace cluster::channel {

std::string_view store_refusal(int code) {
    switch (code) {
        case ENOENT:
            return "not there";
        case EEXIST:
            return "already there";
        case ESTALE:
            return "changed meanwhile";
        case EMEDIUMTYPE:
            return "not a number";
        case EOVERFLOW:
            return "the number would not fit in 64 bits";
        case ENOSPC:
        case ENFILE:
            return "the store is full";
        case EFBIG:
            return "the value is too large";
        case ENAMETOOLONG:
            return "the key is too long";
        case EINVAL:
        case EILSEQ:
            return "not a valid key";
        default:
            return "the store is not available";
    }
}

}  // namespace cluster::channel
