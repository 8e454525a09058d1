#include "keeper/adopted.hpp"

#include <doctest/doctest.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "sys/clock.hpp"

namespace ev = cluster::ev;
namespace sys = cluster::sys;
using cluster::Instant;
using cluster::keeper::Adopted;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

/// A child that waits for a signal, or ends at once with a code.
struct Child {
    pid_t pid = 0;
    sys::UniqueFd pidfd;

    explicit Child(int code = -1) {
        pid = ::fork();
        if (pid == 0) {
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);
            if (code < 0) ::pause();
            ::_exit(code);
        }
        auto opened = sys::open_pidfd(pid);
        REQUIRE(opened);
        pidfd = std::move(*opened);
    }
    void kill() const {
        REQUIRE(::kill(pid, SIGKILL) == 0);
        siginfo_t info{};
        REQUIRE(::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOWAIT) == 0);
    }
    void bury() const { REQUIRE(::waitpid(pid, nullptr, 0) == pid); }
};

struct Fixture {
    ev::EpollPoller poller;
    ev::Loop loop{poller};
    Adopted adopted{loop};

    /// One turn, at most until `patience` has passed.
    std::vector<Adopted::Ended> turn(cluster::Duration patience) {
        const Instant now = loop.turn(sys::monotonic_now() + patience, sys::monotonic_now);
        return adopted.take_ended(now);
    }
    /// Turns until somebody has ended.
    std::vector<Adopted::Ended> wait() {
        const Instant deadline = sys::monotonic_now() + seconds(20);
        while (sys::monotonic_now() < deadline) {
            const auto due = adopted.next_deadline();
            auto ended = turn(due ? *due - sys::monotonic_now() : seconds(1));
            if (!ended.empty()) return ended;
        }
        return {};
    }
};

}  // namespace

TEST_CASE("keeper/adopted: an end is told once, with its status, before and after the reap") {
    for (const bool is_buried : {true, false}) {
        CAPTURE(is_buried);
        Fixture f;
        const Child child;
        REQUIRE(f.adopted.watch(7, child.pid, child.pidfd.get()));
        CHECK(f.turn(milliseconds(1)).empty());
        CHECK_FALSE(f.adopted.next_deadline().has_value());
        child.kill();
        if (is_buried) child.bury();
        const auto ended = f.wait();
        REQUIRE(ended.size() == 1);
        CHECK(ended.front().name == 7);
        CHECK(ended.front().exit.pid == child.pid);
        // Of a corpse /proc tells on every kernel; after the burial only a newer one does.
        const bool is_known = !is_buried || sys::end_of_process(child.pidfd.get()).has_value();
        CHECK(ended.front().exit.code == (is_known ? CLD_KILLED : 0));
        CHECK(ended.front().exit.status == (is_known ? SIGKILL : 0));
        CHECK_FALSE(f.adopted.next_deadline().has_value());
        CHECK(f.turn(milliseconds(1)).empty());
        if (!is_buried) child.bury();
    }
}

TEST_CASE("keeper/adopted: an exit code is one") {
    Fixture f;
    const Child child(7);
    REQUIRE(f.adopted.watch(7, child.pid, child.pidfd.get()));
    const auto ended = f.wait();
    REQUIRE(ended.size() == 1);
    CHECK(ended.front().exit.code == CLD_EXITED);
    CHECK(ended.front().exit.status == 7);
    child.bury();
}

TEST_CASE("keeper/adopted: who is not reaped is waited for, and not for long") {
    Fixture f;
    const Child child;
    REQUIRE(f.adopted.watch(7, child.pid, child.pidfd.get()));
    child.kill();
    const Instant start = sys::monotonic_now();
    CHECK(f.turn(seconds(5)).empty());
    REQUIRE(f.adopted.next_deadline().has_value());
    CHECK(f.wait().size() == 1);
    CHECK(sys::monotonic_now() - start >= Adopted::kBurialPatience);
    child.bury();
}

TEST_CASE("keeper/adopted: without patience an end is told at once") {
    Fixture f;
    const Child child;
    REQUIRE(f.adopted.watch(7, child.pid, child.pidfd.get(), cluster::Duration::zero()));
    child.kill();
    CHECK(f.turn(seconds(5)).size() == 1);
    child.bury();
}

TEST_CASE("keeper/adopted: several die in one turn") {
    Fixture f;
    const Child first;
    const Child second;
    const Child third;
    std::uint32_t name = 0;
    for (const Child* child : {&first, &second, &third}) {
        REQUIRE(f.adopted.watch(name++, child->pid, child->pidfd.get()));
    }
    first.kill();
    third.kill();
    first.bury();
    third.bury();
    std::size_t ended = f.wait().size();
    if (ended < 2) ended += f.wait().size();
    CHECK(ended == 2);
    CHECK_FALSE(f.adopted.next_deadline().has_value());
    second.kill();
    second.bury();
    CHECK(f.wait().size() == 1);
}
