#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>

#include "ev/loop.hpp"
#include "sys/failpoint.hpp"

namespace cluster::ev {
namespace {

Status control(int epoll, int operation, int fd, Interest interest, std::uint64_t token) {
    epoll_event event{};
    event.events = (interest.readable ? EPOLLIN : 0U) | (interest.writable ? EPOLLOUT : 0U);
    event.data.u64 = token;
    if (::epoll_ctl(epoll, operation, fd, &event) != 0) return fail(Op::epoll, errno);
    return {};
}

}  // namespace

EpollPoller::EpollPoller() : epoll_(::epoll_create1(EPOLL_CLOEXEC)) {}

EpollPoller::~EpollPoller() {
    if (epoll_ >= 0) ::close(epoll_);
}

Status EpollPoller::add(int fd, Interest interest, std::uint64_t token) {
    if (const int code = sys::injected_error(Failpoint::sys_watch)) return fail(Op::epoll, code);
    return control(epoll_, EPOLL_CTL_ADD, fd, interest, token);
}

Status EpollPoller::modify(int fd, Interest interest, std::uint64_t token) {
    return control(epoll_, EPOLL_CTL_MOD, fd, interest, token);
}

void EpollPoller::remove(int fd) {
    ::epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, nullptr);
}

std::size_t EpollPoller::wait(std::optional<Duration> timeout, std::span<Ready> ready) {
    std::array<epoll_event, 512> events;
    const std::size_t room = std::min(events.size(), ready.size());
    const int count = wait_for(timeout, std::span{events}.first(room));
    for (int i = 0; i < count; ++i) {
        const epoll_event& event = events[static_cast<std::size_t>(i)];
        const bool is_over = (event.events & (EPOLLHUP | EPOLLERR)) != 0;
        ready[static_cast<std::size_t>(i)] =
            Ready{.token = event.data.u64,
                  .readable = (event.events & EPOLLIN) != 0 || is_over,
                  .writable = (event.events & EPOLLOUT) != 0,
                  .hung_up = is_over,
                  .is_drained = (event.events & (EPOLLHUP | EPOLLERR | EPOLLIN)) == EPOLLHUP};
    }
    return count < 0 ? 0 : static_cast<std::size_t>(count);
}

int EpollPoller::wait_for(std::optional<Duration> timeout, std::span<epoll_event> events) {
    const int room = static_cast<int>(events.size());
    const std::int64_t ns = timeout ? std::max<std::int64_t>(timeout->count(), 0) : 0;
    if (is_fine_) {
        const timespec limit{.tv_sec = ns / 1'000'000'000, .tv_nsec = ns % 1'000'000'000};
        const int count =
            ::epoll_pwait2(epoll_, events.data(), room, timeout ? &limit : nullptr, nullptr);
        // A sandbox that is older than the call (seccomp of old container engines) denies it.
        is_fine_ = count >= 0 || (errno != ENOSYS && errno != EPERM);
        if (is_fine_) return count;
    }
    // Rounded up: woken too early, the loop would only ask again.
    constexpr std::int64_t kMaxMs = 24 * 3600 * 1000;
    const std::int64_t ms = std::min(ns / 1'000'000 + (ns % 1'000'000 == 0 ? 0 : 1), kMaxMs);
    return ::epoll_wait(epoll_, events.data(), room, timeout ? static_cast<int>(ms) : -1);
}

}  // namespace cluster::ev
