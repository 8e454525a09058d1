// Access to files with the rights of another user, for as long as an object lives.
#pragma once

#include <cstdint>

namespace cluster::sys {

/// Files are looked up, made and removed with these ids (setfsuid(2), setfsgid(2)), and belong to
/// them when they are made: a daemon that runs as root does for a worker only what that could do
/// itself. Without the right to change them nothing changes. One at a time.
class FileRights {
public:
    FileRights(std::uint32_t uid, std::uint32_t gid);
    ~FileRights();
    FileRights(const FileRights&) = delete;
    FileRights& operator=(const FileRights&) = delete;

private:
    std::uint32_t uid_;
    std::uint32_t gid_;
};

}  // namespace cluster::sys
