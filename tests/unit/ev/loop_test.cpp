#include "ev/loop.hpp"

#include <doctest/doctest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <map>
#include <optional>
#include <vector>

#include "sys/clock.hpp"
#include "sys/file.hpp"

namespace cluster::ev {
namespace {

using std::chrono::milliseconds;

/// Readiness by hand: what `ready` holds is what the next wait reports, level or not.
class FakePoller final : public Poller {
public:
    Status add(int fd, Interest interest, std::uint64_t token) override {
        if (refuses) return fail(Op::epoll, ENOSPC);
        tokens[fd] = token;
        interests[fd] = interest;
        return {};
    }
    Status modify(int fd, Interest interest, std::uint64_t token) override {
        if (tokens.at(fd) != token) return fail(Op::epoll, EINVAL);
        interests[fd] = interest;
        return {};
    }
    void remove(int fd) override { tokens.erase(fd); }
    std::size_t wait(std::optional<Duration> limit, std::span<Ready> ready) override {
        timeout = limit;
        const std::size_t count = std::min(ready.size(), next.size());
        std::copy_n(next.begin(), count, ready.begin());
        next.erase(next.begin(), next.begin() + static_cast<std::ptrdiff_t>(count));
        return count;
    }
    void make_ready(int fd) { next.push_back(Ready{.token = tokens.at(fd), .readable = true}); }

    std::map<int, std::uint64_t> tokens;
    std::map<int, Interest> interests;
    std::vector<Ready> next;
    std::optional<Duration> timeout;
    bool refuses = false;
};

Instant g_now = from_ns(1'000'000'000);
Instant fake_now() {
    return g_now;
}

TEST_CASE("ev/loop: the watcher of what is ready is called, and no other") {
    FakePoller poller;
    Loop loop(poller);
    int first = 0;
    int second = 0;
    REQUIRE(loop.add(10, {}, [&](const Ready&) { ++first; }));
    REQUIRE(loop.add(11, {}, [&](const Ready&) { ++second; }));
    poller.make_ready(11);
    loop.turn(std::nullopt, fake_now);
    CHECK(first == 0);
    CHECK(second == 1);
}

TEST_CASE("ev/loop: a watcher removed earlier in the turn is not called any more") {
    FakePoller poller;
    Loop loop(poller);
    int calls = 0;
    Watch victim;
    REQUIRE(loop.add(10, {}, [&](const Ready&) { loop.remove(victim); }));
    victim = loop.add(11, {}, [&](const Ready&) { ++calls; }).value();
    poller.make_ready(10);
    poller.make_ready(11);
    loop.turn(std::nullopt, fake_now);
    CHECK(calls == 0);
    CHECK(poller.tokens.count(11) == 0);
}

TEST_CASE("ev/loop: a descriptor number given to another does not inherit readiness") {
    FakePoller poller;
    Loop loop(poller);
    int old_calls = 0;
    int new_calls = 0;
    Watch victim;
    REQUIRE(loop.add(10, {}, [&](const Ready&) {
        loop.remove(victim);
        REQUIRE(loop.add(11, {}, [&](const Ready&) { ++new_calls; }));
    }));
    victim = loop.add(11, {}, [&](const Ready&) { ++old_calls; }).value();
    poller.make_ready(10);
    poller.make_ready(11);
    loop.turn(std::nullopt, fake_now);
    CHECK(old_calls == 0);
    CHECK(new_calls == 0);
    poller.make_ready(11);
    loop.turn(std::nullopt, fake_now);
    CHECK(new_calls == 1);
}

TEST_CASE("ev/loop: a watcher may remove itself while it runs and use what it captured") {
    FakePoller poller;
    Loop loop(poller);
    Watch self;
    std::vector<int> seen;
    const std::vector<int> captured(1000, 7);
    self = loop.add(10, {},
                    [&, captured](const Ready&) {
                        loop.remove(self);
                        seen = captured;
                    })
               .value();
    poller.make_ready(10);
    poller.make_ready(10);
    loop.turn(std::nullopt, fake_now);
    CHECK(seen == captured);
}

TEST_CASE("ev/loop: a stale or unset watch changes nothing") {
    FakePoller poller;
    Loop loop(poller);
    const Watch old = loop.add(10, {}, [](const Ready&) {}).value();
    loop.remove(old);
    int calls = 0;
    const Watch fresh = loop.add(12, {}, [&](const Ready&) { ++calls; }).value();
    CHECK(fresh.index == old.index);
    CHECK_FALSE(fresh == old);
    loop.remove(old);
    loop.remove(Watch{});
    CHECK_FALSE(loop.modify(old, Interest{}));
    poller.make_ready(12);
    loop.turn(std::nullopt, fake_now);
    CHECK(calls == 1);
}

TEST_CASE("ev/loop: adding inside a watcher keeps the others' watchers valid") {
    FakePoller poller;
    Loop loop(poller);
    int calls = 0;
    REQUIRE(loop.add(1, {}, [&](const Ready&) {
        for (int fd = 100; fd < 1100; ++fd) REQUIRE(loop.add(fd, {}, [](const Ready&) {}));
        ++calls;
    }));
    REQUIRE(loop.add(2, {}, [&](const Ready&) { ++calls; }));
    poller.make_ready(1);
    poller.make_ready(2);
    loop.turn(std::nullopt, fake_now);
    CHECK(calls == 2);
}

TEST_CASE("ev/loop: a refused descriptor leaves no watch behind") {
    FakePoller poller;
    Loop loop(poller);
    poller.refuses = true;
    const auto refused = loop.add(10, {}, [](const Ready&) {});
    REQUIRE_FALSE(refused);
    CHECK(refused.error() == Error{Op::epoll, ENOSPC});
    poller.refuses = false;
    const auto added = loop.add(10, {}, [](const Ready&) {});
    REQUIRE(added);
    CHECK(added->index == 0);
}

TEST_CASE("ev/loop: the deadline becomes the time to wait, and one in the past no wait at all") {
    FakePoller poller;
    Loop loop(poller);
    CHECK(loop.turn(g_now + milliseconds{250}, fake_now) == g_now);
    CHECK(poller.timeout == Duration{milliseconds{250}});
    loop.turn(g_now - milliseconds{250}, fake_now);
    CHECK(poller.timeout == Duration::zero());
    loop.turn(std::nullopt, fake_now);
    CHECK_FALSE(poller.timeout.has_value());
}

TEST_CASE("ev/loop: interest can be changed") {
    FakePoller poller;
    Loop loop(poller);
    const Watch watch = loop.add(10, {}, [](const Ready&) {}).value();
    CHECK_FALSE(poller.interests[10].writable);
    REQUIRE(loop.modify(watch, Interest{.readable = false, .writable = true}));
    CHECK(poller.interests[10].writable);
    CHECK_FALSE(poller.interests[10].readable);
}

TEST_CASE("ev/epoll: readiness is a level, and a hang-up is readable") {
    EpollPoller poller;
    REQUIRE(poller.is_open());
    auto pipe = sys::open_pipe();
    REQUIRE(pipe);
    REQUIRE(poller.add(pipe->read_end.get(), Interest{}, 42));
    std::array<Ready, 4> ready{};
    CHECK(poller.wait(Duration::zero(), ready) == 0);
    REQUIRE(sys::write_all(pipe->write_end.get(), "x"));
    for (int round = 0; round < 2; ++round) {
        REQUIRE(poller.wait(std::nullopt, ready) == 1);
        CHECK(ready[0].token == 42);
        CHECK(ready[0].readable);
        CHECK_FALSE(ready[0].hung_up);
    }
    pipe->write_end.reset();
    REQUIRE(poller.wait(std::nullopt, ready) == 1);
    CHECK(ready[0].readable);
    CHECK(ready[0].hung_up);
    poller.remove(pipe->read_end.get());
    CHECK(poller.wait(Duration::zero(), ready) == 0);
}

TEST_CASE("ev/epoll: a wait ends when its time has passed, not earlier") {
    EpollPoller poller;
    std::array<Ready, 4> ready{};
    const Instant start = sys::monotonic_now();
    CHECK(poller.wait(milliseconds{20}, ready) == 0);
    CHECK(sys::monotonic_now() - start >= milliseconds{20});
}

/// From now on the kernel answers this process as an old sandbox would.
bool deny_fine_waits(std::uint16_t error) {
    std::array<sock_filter, 4> program{{
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_epoll_pwait2, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    }};
    const sock_fprog filter{.len = program.size(), .filter = program.data()};
    return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

TEST_CASE("ev/epoll: a sandbox that denies epoll_pwait2 is waited in all the same") {
    for (const int error : {ENOSYS, EPERM}) {
        const pid_t child = ::fork();
        if (child == 0) {
            constexpr auto kWait = std::chrono::microseconds{1500};
            EpollPoller poller;
            int ends[2];
            bool is_right = deny_fine_waits(static_cast<std::uint16_t>(error)) && ::pipe(ends) == 0;
            std::array<Ready, 4> ready;
            const Instant begin = sys::monotonic_now();
            is_right = is_right && poller.wait(kWait, ready) == 0 &&
                       sys::monotonic_now() - begin >= kWait;
            is_right = is_right && poller.add(ends[0], {}, 7).has_value() &&
                       ::write(ends[1], "x", 1) == 1 && poller.wait(std::nullopt, ready) == 1 &&
                       ready[0].token == 7;
            ::_exit(is_right ? 0 : 1);
        }
        int status = -1;
        REQUIRE(::waitpid(child, &status, 0) == child);
        CHECK(status == 0);
    }
}

TEST_CASE("ev/loop: with epoll, a closed end is seen through the loop") {
    EpollPoller poller;
    Loop loop(poller);
    auto pipe = sys::open_pipe();
    REQUIRE(pipe);
    std::vector<Ready> seen;
    const Watch watch =
        loop.add(pipe->read_end.get(), {}, [&](const Ready& ready) { seen.push_back(ready); })
            .value();
    pipe->write_end.reset();
    loop.turn(sys::monotonic_now() + std::chrono::seconds{10}, sys::monotonic_now);
    REQUIRE(seen.size() == 1);
    CHECK(seen[0].hung_up);
    loop.remove(watch);
    loop.turn(sys::monotonic_now(), sys::monotonic_now);
    CHECK(seen.size() == 1);
}

}  // namespace
}  // namespace cluster::ev
