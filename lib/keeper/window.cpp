#include "keeper/window.hpp"

#include <fcntl.h>

#include <cerrno>

#include "sys/file.hpp"
#include "sys/succession.hpp"

namespace cluster::keeper::window {

Status reserve() {
    const auto null = sys::open_file("/dev/null", O_RDWR);
    if (!null) return tl::unexpected(null.error());
    for (int number = kBegin; number < kEnd; ++number) {
        if (sys::file_info(number)) continue;
        if (auto placed = sys::place_descriptor(null->get(), number); !placed) return placed;
    }
    return {};
}

Result<int> move_out(int fd) {
    if (fd < kBegin || fd >= kEnd) return fd;
    auto moved = sys::duplicate_from(fd, kEnd);
    if (!moved) return tl::unexpected(moved.error());
    const auto null = sys::open_file("/dev/null", O_RDWR);
    if (!null) return tl::unexpected(null.error());
    if (auto placed = sys::place_descriptor(null->get(), fd); !placed) {
        return tl::unexpected(placed.error());
    }
    return moved->take();
}

Status put(std::span<const int> fds) {
    int number = kBegin;
    for (const int fd : fds) {
        if (auto placed = sys::place_descriptor(fd, number++); !placed) return placed;
    }
    return {};
}

void clear(std::size_t count) {
    // The last number is never attached by anybody: what is there is what belongs there.
    const int null = kEnd - 1;
    for (int number = kBegin; number < kBegin + static_cast<int>(count); ++number) {
        static_cast<void>(sys::place_descriptor(null, number));
    }
}

}  // namespace cluster::keeper::window
