#include "sys/file_rights.hpp"

#include <sys/fsuid.h>

namespace cluster::sys {

// The group first: whoever has given up being root cannot choose it any more.
FileRights::FileRights(std::uint32_t uid, std::uint32_t gid)
    : gid_(static_cast<std::uint32_t>(::setfsgid(gid))) {
    uid_ = static_cast<std::uint32_t>(::setfsuid(uid));
}

FileRights::~FileRights() {
    ::setfsuid(uid_);
    ::setfsgid(gid_);
}

}  // namespace cluster::sys
