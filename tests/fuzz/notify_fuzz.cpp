// A datagram of sd_notify(3): whatever a worker says, what is made of it keeps its bounds. Input:
// one byte for the number of descriptors that came with it, then the datagram.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/assert.hpp"
#include "ready/notification.hpp"

namespace {

constexpr cluster::Duration kYear = std::chrono::hours{365 * 24};

/// It goes to terminals: one line, no control characters.
bool is_showable(std::string_view text) {
    for (const char c : text) {
        if ((c >= 0 && c < ' ') || c == '\x7f') return false;
    }
    return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* input, std::size_t size) {
    if (size == 0) return 0;
    const std::size_t fds = input[0] % 4;
    const std::string_view datagram(reinterpret_cast<const char*>(input + 1), size - 1);
    const auto notification = cluster::ready::parse_notification(datagram, fds);
    if (!notification) {
        CLUSTER_ASSERT(datagram.size() > cluster::ready::kMaxNotification ||
                       datagram.find('\0') != std::string_view::npos);
        return 0;
    }
    CLUSTER_ASSERT(datagram.size() <= cluster::ready::kMaxNotification);
    CLUSTER_ASSERT(!notification->is_barrier || fds == 1);
    CLUSTER_ASSERT(!notification->main_pid || *notification->main_pid > 0);
    if (notification->status) {
        CLUSTER_ASSERT(notification->status->size() <= cluster::ready::kMaxStatus);
        CLUSTER_ASSERT(is_showable(*notification->status));
    }
    if (notification->extend_timeout) {
        CLUSTER_ASSERT(*notification->extend_timeout >= cluster::Duration::zero());
        CLUSTER_ASSERT(*notification->extend_timeout <= kYear);
    }
    return 0;
}
