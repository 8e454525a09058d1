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
    const int room = static_cast<int>(std::min(events.size(), ready.size()));
    timespec limit{};
    if (timeout) {
        const auto ns = std::max<std::int64_t>(timeout->count(), 0);
        limit.tv_sec = ns / 1'000'000'000;
        limit.tv_nsec = ns % 1'000'000'000;
    }
    const int count =
        ::epoll_pwait2(epoll_, events.data(), room, timeout ? &limit : nullptr, nullptr);
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

}  // namespace cluster::ev
