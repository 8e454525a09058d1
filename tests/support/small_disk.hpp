// A small file system that can be filled; needs root.
#pragma once

#include <doctest/doctest.h>
#include <sys/mount.h>

#include <filesystem>
#include <string>
#include <utility>

namespace cluster::test {

class SmallDisk {
public:
    SmallDisk(std::string path, const std::string& size) : path_(std::move(path)) {
        std::filesystem::create_directories(path_);
        is_mounted_ = ::mount("none", path_.c_str(), "tmpfs", 0, ("size=" + size).c_str()) == 0;
    }
    ~SmallDisk() {
        if (is_mounted_) ::umount2(path_.c_str(), MNT_DETACH);
    }
    SmallDisk(const SmallDisk&) = delete;
    SmallDisk& operator=(const SmallDisk&) = delete;
    [[nodiscard]] bool is_mounted() const { return is_mounted_; }
    void resize(const std::string& size) const {
        REQUIRE(::mount("none", path_.c_str(), "tmpfs", MS_REMOUNT, ("size=" + size).c_str()) == 0);
    }

private:
    std::string path_;
    bool is_mounted_ = false;
};

}  // namespace cluster::test
