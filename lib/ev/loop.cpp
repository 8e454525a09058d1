#include "ev/loop.hpp"

#include <algorithm>
#include <utility>

namespace cluster::ev {
namespace {

std::uint64_t token_of(Watch watch) {
    return (static_cast<std::uint64_t>(watch.generation) << 32U) | watch.index;
}

Watch watch_of(std::uint64_t token) {
    return Watch{.index = static_cast<std::uint32_t>(token),
                 .generation = static_cast<std::uint32_t>(token >> 32U)};
}

}  // namespace

Loop::Entry* Loop::find(Watch watch) {
    if (!watch.is_set() || watch.index >= entries_.size()) return nullptr;
    Entry& entry = entries_[watch.index];
    return entry.generation == watch.generation ? &entry : nullptr;
}

Result<Watch> Loop::add(int fd, Interest interest, Handler handler) {
    if (free_.empty()) {
        free_.push_back(static_cast<std::uint32_t>(entries_.size()));
        entries_.emplace_back();
    }
    const std::uint32_t index = free_.back();
    Entry& entry = entries_[index];
    const Watch watch{.index = index, .generation = entry.generation + 1};
    if (auto added = poller_.add(fd, interest, token_of(watch)); !added) {
        return tl::unexpected(added.error());
    }
    free_.pop_back();
    entry.fd = fd;
    entry.generation = watch.generation;
    entry.handler = std::move(handler);
    return watch;
}

Status Loop::modify(Watch watch, Interest interest) {
    Entry* entry = find(watch);
    if (entry == nullptr) return fail(Op::epoll, 0);
    return poller_.modify(entry->fd, interest, token_of(watch));
}

void Loop::remove(Watch watch) {
    Entry* entry = find(watch);
    if (entry == nullptr) return;
    poller_.remove(entry->fd);
    ++entry->generation;  // even: free; a token of the old, odd generation finds nothing
    entry->fd = -1;
    entry->handler = nullptr;
    free_.push_back(watch.index);
}

Instant Loop::turn(std::optional<Instant> deadline, Instant (*now)()) {
    std::optional<Duration> timeout;
    if (deadline) timeout = std::max(*deadline - now(), Duration::zero());
    const std::size_t count = poller_.wait(timeout, ready_);
    const Instant instant = now();
    for (std::size_t i = 0; i < count; ++i) {
        const Watch watch = watch_of(ready_[i].token);
        Entry* const entry = find(watch);
        if (entry == nullptr) continue;
        // It may remove itself, or add others, and then the entries may be somewhere else.
        Handler handler = std::move(entry->handler);
        handler(ready_[i]);
        if (Entry* const again = find(watch)) again->handler = std::move(handler);
    }
    return instant;
}

}  // namespace cluster::ev
