#include "sys/process.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <string>
#include <vector>

#include "sys/clock.hpp"
#include "sys/file.hpp"

namespace cluster::sys {
namespace {

/// A shell command in a process group of its own; killed and reaped at the end, if it still is.
class Child {
public:
    explicit Child(const std::string& script) {
        posix_spawnattr_t attributes;
        ::posix_spawnattr_init(&attributes);
        ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
        ::posix_spawnattr_setpgroup(&attributes, 0);
        std::string shell = "/bin/sh";
        std::string option = "-c";
        std::string text = script;
        std::array<char*, 4> argv{shell.data(), option.data(), text.data(), nullptr};
        if (::posix_spawn(&pid_, "/bin/sh", nullptr, &attributes, argv.data(), environ) != 0) {
            pid_ = -1;
        }
        ::posix_spawnattr_destroy(&attributes);
    }
    ~Child() {
        if (pid_ <= 0) return;
        ::kill(-pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
    }
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;

    [[nodiscard]] pid_t pid() const { return pid_; }
    void was_reaped() { pid_ = -1; }

private:
    pid_t pid_ = -1;
};

bool wait_readable(int fd, int timeout_ms = 10'000) {
    pollfd entry{fd, POLLIN, 0};
    return ::poll(&entry, 1, timeout_ms) == 1;
}

TEST_CASE("sys/reap: an exit code and a signal are told apart, and then there is nobody") {
    Child exits("exit 7");
    const auto exits_fd = open_pidfd(exits.pid());
    REQUIRE(exits_fd);
    REQUIRE(wait_readable(exits_fd->get()));
    const auto exited = reap_any();
    REQUIRE(exited);
    REQUIRE(exited->has_value());
    CHECK((*exited)->pid == exits.pid());
    CHECK((*exited)->code == CLD_EXITED);
    CHECK((*exited)->status == 7);
    CHECK((*exited)->max_rss_kib > 0);
    exits.was_reaped();

    Child killed("kill -9 $$");
    const auto killed_fd = open_pidfd(killed.pid());
    REQUIRE(killed_fd);
    REQUIRE(wait_readable(killed_fd->get()));
    const auto died = reap_any();
    REQUIRE(died);
    REQUIRE(died->has_value());
    CHECK((*died)->code == CLD_KILLED);
    CHECK((*died)->status == SIGKILL);
    killed.was_reaped();

    const auto nobody = reap_any();
    REQUIRE(nobody);
    CHECK_FALSE(nobody->has_value());
}

TEST_CASE("sys/reap: children that live are not waited for") {
    const Child child("exec cat /dev/zero > /dev/null");
    const auto nobody = reap_any();
    REQUIRE(nobody);
    CHECK_FALSE(nobody->has_value());
}

TEST_CASE("sys/pidfd: signals reach the process, and nobody once it was reaped") {
    Child child("exec cat /dev/zero > /dev/null");
    const auto pidfd = open_pidfd(child.pid());
    REQUIRE(pidfd);
    CHECK((::fcntl(pidfd->get(), F_GETFD) & FD_CLOEXEC) != 0);
    REQUIRE(signal_pidfd(pidfd->get(), SIGKILL));
    REQUIRE(wait_readable(pidfd->get()));
    const auto died = reap_any();
    REQUIRE(died);
    REQUIRE(died->has_value());
    const auto late = signal_pidfd(pidfd->get(), SIGKILL);
    REQUIRE_FALSE(late);
    CHECK(late.error() == Error{Op::signal, ESRCH});
    child.was_reaped();
}

TEST_CASE("sys/group: only zombies left means that nobody lives there") {
    Child child("exit 0");
    const auto pidfd = open_pidfd(child.pid());
    REQUIRE(pidfd);
    REQUIRE(wait_readable(pidfd->get()));
    CHECK(group_exists(child.pid()));
    CHECK_FALSE(group_has_living_member(child.pid()));
    REQUIRE(reap_any());
    CHECK_FALSE(group_exists(child.pid()));
    const auto signalled = signal_group(child.pid(), 0);
    REQUIRE_FALSE(signalled);
    CHECK(signalled.error() == Error{Op::signal, ESRCH});
    child.was_reaped();
}

TEST_CASE("sys/group: a grandchild keeps the group alive after its leader") {
    Child child("cat /dev/zero > /dev/null & exit 0");
    const auto pidfd = open_pidfd(child.pid());
    REQUIRE(pidfd);
    REQUIRE(wait_readable(pidfd->get()));
    CHECK(group_has_living_member(child.pid()));
    CHECK(signal_group(child.pid(), SIGKILL));
}

TEST_CASE("sys/identity: start ticks are stable for a process and gone with it") {
    const auto own = process_start_ticks(::getpid());
    REQUIRE(own);
    CHECK(*own > 0);
    CHECK(process_start_ticks(::getpid()).value_or(0) == *own);
    const auto parentless = process_start_ticks(999'999'999);
    REQUIRE_FALSE(parentless);
    CHECK(parentless.error() == Error{Op::read, ESRCH});
}

TEST_CASE("sys/identity: a process name with blanks and brackets does not shift the fields") {
    const Child child(
        "ln -s /bin/cat '/tmp/clt-a) R 1 2'$$; exec '/tmp/clt-a) R 1 2'$$ /dev/zero >/dev/null");
    const auto ticks = process_start_ticks(child.pid());
    REQUIRE(ticks);
    const auto own = process_start_ticks(::getpid());
    REQUIRE(own);
    CHECK(*ticks >= *own);
    CHECK(*ticks < *own + 1'000'000);
    ::unlink(("/tmp/clt-a) R 1 2" + std::to_string(child.pid())).c_str());
}

TEST_CASE("sys/usage: this process has memory, and its processor time grows with its work") {
    const auto rss = process_rss(::getpid());
    const auto before = process_cpu_ns(::getpid());
    REQUIRE(rss);
    REQUIRE(before);
    CHECK(*rss > 100'000);
    const Instant deadline = monotonic_now() + std::chrono::seconds{20};
    std::uint64_t used = *before;
    while (used < *before + 20'000'000 && monotonic_now() < deadline) {
        used = process_cpu_ns(::getpid()).value_or(0);
    }
    CHECK(used >= *before + 20'000'000);
    constexpr std::int32_t kNobody = (1 << 22) + 1;  // pids end before (proc(5), pid_max)
    CHECK(process_rss(kNobody).error().code == ESRCH);
    CHECK(process_cpu_ns(kNobody).error().code == ESRCH);
}

TEST_CASE("sys/signals: a blocked signal is taken from its descriptor, once") {
    sigset_t before;
    ::sigprocmask(SIG_SETMASK, nullptr, &before);
    block_all_signals();
    const auto signals = open_signal_descriptor();
    REQUIRE(signals);
    CHECK_FALSE(take_signal(signals->get()).has_value());
    REQUIRE(signal_process(::getpid(), SIGUSR1));
    REQUIRE(wait_readable(signals->get()));
    CHECK(take_signal(signals->get()) == SIGUSR1);
    CHECK_FALSE(take_signal(signals->get()).has_value());
    ::sigprocmask(SIG_SETMASK, &before, nullptr);
}

TEST_CASE("sys/boot: the id of this boot is not empty and does not change") {
    const BootId first = boot_id();
    const BootId second = boot_id();
    CHECK(first.low != 0);
    CHECK(first.high != 0);
    CHECK(first.low == second.low);
    CHECK(first.high == second.high);
}

TEST_CASE("sys/clock: monotonic time does not go back and the wall clock is after 2020") {
    const Instant first = monotonic_now();
    const Instant second = monotonic_now();
    CHECK(second >= first);
    CHECK(wall_ms() > 1'577'836'800'000);
}

TEST_CASE("sys/executable: our own file can be found and run") {
    const auto path = own_executable();
    REQUIRE(path);
    CHECK(::access(path->c_str(), X_OK) == 0);
    CHECK(path->find("unit_sys") != std::string::npos);
}

}  // namespace
}  // namespace cluster::sys
