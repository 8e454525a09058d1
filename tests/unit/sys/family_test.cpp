#include "sys/family.hpp"

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <functional>
#include <vector>

namespace cluster::sys {
namespace {

/// A child that does something, says so, and waits for its end.
class Child {
public:
    explicit Child(const std::function<void()>& work) {
        std::array<int, 2> ends{};
        REQUIRE(::pipe(ends.data()) == 0);
        pid_ = ::fork();
        if (pid_ == 0) {
            work();
            static_cast<void>(!::write(ends[1], "x", 1));
            while (true) ::pause();
        }
        ::close(ends[1]);
        char byte = 0;
        REQUIRE(::read(ends[0], &byte, 1) == 1);
        ::close(ends[0]);
    }
    ~Child() {
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
    }
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;
    [[nodiscard]] pid_t pid() const { return pid_; }

private:
    pid_t pid_ = -1;
};

void touch_memory(std::size_t bytes) {
    void* memory =
        ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory != MAP_FAILED) std::memset(memory, 1, bytes);
}

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20U;

TEST_CASE("sys/family: session, parent and children") {
    const Child leader([] { ::setsid(); });
    const Child other([] {});
    CHECK(session_of(leader.pid()) == leader.pid());
    CHECK(session_of(other.pid()) == ::getsid(0));
    CHECK(parent_of(leader.pid()) == ::getpid());
    const auto children = children_of(::getpid());
    REQUIRE(children);
    for (const pid_t pid : {leader.pid(), other.pid()}) {
        CHECK(std::find(children->begin(), children->end(), pid) != children->end());
    }
}

// The session of whoever started the tests may lie outside of this pid namespace and have no number
// in it, so the orphan comes from a session that is made here.
TEST_CASE("sys/family: an orphan is found by the session that its dead parent led") {
    REQUIRE(::prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
    std::array<int, 2> ends{};
    REQUIRE(::pipe(ends.data()) == 0);
    const pid_t leader = ::fork();
    if (leader == 0) {
        ::setsid();
        const pid_t orphan = ::fork();
        if (orphan == 0) {
            while (true) ::pause();
        }
        static_cast<void>(!::write(ends[1], &orphan, sizeof(orphan)));
        ::_exit(0);
    }
    pid_t orphan = 0;
    REQUIRE(::read(ends[0], &orphan, sizeof(orphan)) == sizeof(orphan));
    REQUIRE(::waitpid(leader, nullptr, 0) == leader);
    const Orphans orphans = orphans_of(::getpid());
    const auto found = orphans.find(leader);
    const bool is_there = found != orphans.end();
    CHECK(is_there);
    if (is_there) CHECK(found->second == std::vector<std::int32_t>{orphan});
    ::kill(orphan, SIGKILL);
    ::waitpid(orphan, nullptr, 0);
    ::prctl(PR_SET_CHILD_SUBREAPER, 0);
    for (const int end : ends) ::close(end);
    CHECK_FALSE(orphans_of(::getpid()).contains(leader));
}

TEST_CASE("sys/family: who is gone is gone, and nobody else") {
    const pid_t child = ::fork();
    if (child == 0) ::_exit(0);
    siginfo_t info{};
    REQUIRE(::waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT) == 0);
    CHECK_FALSE(is_gone(child));
    REQUIRE(::waitpid(child, nullptr, 0) == child);
    CHECK(is_gone(child));
    CHECK_FALSE(is_gone(::getpid()));
    // Its session may lie outside of this pid namespace, which makes it no less alive.
    CHECK_FALSE(is_gone(::getppid() > 0 ? ::getppid() : ::getpid()));
}

TEST_CASE("sys/family: a process belongs by session or by descent, a stranger by neither") {
    const Child leader([] { ::setsid(); });
    const Child stranger([] { ::setsid(); });
    CHECK(is_of_family(leader.pid(), leader.pid()));
    CHECK_FALSE(is_of_family(stranger.pid(), leader.pid()));
    CHECK(is_of_family(stranger.pid(), ::getpid()));
    CHECK_FALSE(is_of_family(1, leader.pid()));
    CHECK(session_of(0x3FFFFF) == 0);
    CHECK(parent_of(0x3FFFFF) == 0);
}

TEST_CASE("sys/family: memory is that of all, and a shared page counts once") {
    const Child leader([] {
        ::setsid();
        touch_memory(32 * kMiB);
        std::array<int, 2> ends{};
        if (::pipe(ends.data()) != 0) return;
        if (::fork() == 0) {  // shares all of it, and adds some
            touch_memory(16 * kMiB);
            static_cast<void>(!::write(ends[1], "x", 1));
            while (true) ::pause();
        }
        char byte = 0;
        static_cast<void>(!::read(ends[0], &byte, 1));
    });
    const std::uint64_t sum = family_memory(leader.pid(), {}, ~std::uint64_t{0});
    CHECK(sum > 75 * kMiB);  // the shared part twice
    const std::uint64_t fair = family_memory(leader.pid(), {}, 0);
    CHECK(fair > 47 * kMiB);
    CHECK(fair < 65 * kMiB);
    const auto children = children_of(leader.pid());
    REQUIRE(children);
    for (const std::int32_t pid : *children) ::kill(pid, SIGKILL);
    CHECK(family_memory(0x3FFFFF, {}, 0) == 0);
}

}  // namespace
}  // namespace cluster::sys
