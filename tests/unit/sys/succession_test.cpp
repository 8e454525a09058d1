#include "sys/succession.hpp"

#include <doctest/doctest.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <string>

#include "sys/clock.hpp"
#include "sys/file.hpp"
#include "sys/packet_socket.hpp"
#include "sys/process.hpp"

namespace sys = cluster::sys;
using cluster::Error;
using cluster::Op;
using std::chrono::seconds;

namespace {

std::string read_all(int pipe) {
    std::string text;
    std::array<std::byte, 256> buffer{};
    while (sys::wait_readable(pipe, seconds(20))) {
        const auto count = sys::read_some(pipe, buffer);
        if (!count || *count == 0) break;
        text.append(reinterpret_cast<const char*>(buffer.data()), *count);
    }
    return text;
}

struct Sleeper {
    pid_t pid;
    sys::UniqueFd pidfd;

    explicit Sleeper(bool leads_group) : pid(::fork()) {
        if (pid == 0) {
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);
            if (leads_group) ::setpgid(0, 0);
            while (true) ::pause();
        }
        if (leads_group) ::setpgid(pid, pid);
        pidfd = std::move(*sys::open_pidfd(pid));
    }
    ~Sleeper() {
        ::kill(pid, SIGKILL);
        ::waitpid(pid, nullptr, 0);
    }
};

}  // namespace

TEST_CASE("sys/succession: an heir has what it was given, under the same numbers") {
    auto pipe = sys::open_pipe();
    REQUIRE(pipe);
    const int number = pipe->write_end.get();
    const std::array<int, 1> inherited{number};
    ::signal(SIGPIPE, SIG_IGN);
    sigset_t all;
    sigset_t before;
    ::sigfillset(&all);
    ::sigprocmask(SIG_SETMASK, &all, &before);
    // Not a shell, which has its own mind about signals.
    const auto heir = sys::start_heir(
        "/bin/dd", {"dd", "status=none", "if=/proc/self/status", "of=/proc/self/fd/" +
                    std::to_string(number)}, inherited);
    ::signal(SIGPIPE, SIG_DFL);
    ::sigprocmask(SIG_SETMASK, &before, nullptr);
    REQUIRE(heir);
    const auto pid = sys::pid_of_pidfd(heir->get());
    REQUIRE(pid);
    pipe->write_end.reset();
    const std::string text = read_all(pipe->read_end.get());
    INFO(text);
    CHECK(text.find("\nPid:\t" + std::to_string(*pid) + "\n") != std::string::npos);
    CHECK(text.find("\nNSsid:\t" + std::to_string(*pid) + "\n") != std::string::npos);
    // What comes early waits, and nothing is ignored.
    CHECK(text.find("\nSigIgn:\t0000000000000000\n") != std::string::npos);
    CHECK(text.find("\nSigBlk:\tfffffff") != std::string::npos);
    siginfo_t info{};
    REQUIRE(::waitid(P_PID, static_cast<id_t>(*pid), &info, WEXITED) == 0);
    CHECK(info.si_status == 0);
}

TEST_CASE("sys/succession: what cannot be executed is told, and leaves nobody behind") {
    const auto started = sys::start_heir("/nonexistent/program", {"program"}, {});
    REQUIRE_FALSE(started);
    CHECK(started.error() == Error{Op::exec, ENOENT});
    const std::array<int, 1> closed{9999};
    const auto without = sys::start_heir("/bin/true", {"true"}, closed);
    REQUIRE_FALSE(without);
    CHECK(without.error() == Error{Op::dup, EBADF});
    CHECK((::waitpid(-1, nullptr, WNOHANG) == -1 && errno == ECHILD));
    CHECK(sys::replace_process("/nonexistent/program", {"program"}) == Error{Op::exec, ENOENT});
}

TEST_CASE("sys/succession: own children are told from others") {
    const Sleeper child(false);
    CHECK(sys::is_own_child(child.pidfd.get()));
    const auto init = sys::open_pidfd(1);
    REQUIRE(init);
    CHECK_FALSE(sys::is_own_child(init->get()));
}

TEST_CASE("sys/succession: a group is signalled by its leader's handle, and only its own") {
    for (const char* features : {"all", "none"}) {
        CAPTURE(std::string(features));
        ::setenv("CLUSTER_KERNEL_FEATURES", features, 1);
        const Sleeper leader(true);
        CHECK(sys::signal_group_of(leader.pidfd.get(), leader.pid, 0));
        CHECK(sys::signal_group_of(leader.pidfd.get(), leader.pid, SIGKILL));
        siginfo_t info{};
        REQUIRE(::waitid(P_PID, static_cast<id_t>(leader.pid), &info, WEXITED | WNOWAIT) == 0);
        CHECK(info.si_status == SIGKILL);
        CHECK(::waitpid(leader.pid, nullptr, 0) == leader.pid);
        const auto sent = sys::signal_group_of(leader.pidfd.get(), leader.pid, SIGKILL);
        REQUIRE_FALSE(sent);
        CHECK(sent.error() == Error{Op::signal, ESRCH});
        const Sleeper member(false);
        CHECK_FALSE(sys::signal_group_of(member.pidfd.get(), member.pid, 0));
        ::unsetenv("CLUSTER_KERNEL_FEATURES");
    }
}

TEST_CASE("sys/process: the ticks of now are those of a process that is made now") {
    const std::uint64_t before = sys::ticks_now();
    const Sleeper child(false);
    const auto ticks = sys::process_start_ticks(child.pid);
    REQUIRE(ticks);
    CHECK(*ticks >= before);
    CHECK(*ticks <= sys::ticks_now());
    CHECK(::sysconf(_SC_CLK_TCK) == static_cast<long>(sys::kTicksPerSecond));
}

TEST_CASE("sys/process: how a process ended that nobody has reaped") {
    const pid_t child = ::fork();
    if (child == 0) ::_exit(9);
    siginfo_t info{};
    REQUIRE(::waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT) == 0);
    const auto end = sys::end_of_zombie(child);
    REQUIRE(end);
    CHECK(end->code == 9);
    CHECK(end->signal == 0);
    CHECK(::waitpid(child, nullptr, 0) == child);
    CHECK_FALSE(sys::end_of_zombie(child));
    CHECK_FALSE(sys::end_of_zombie(::getpid()));
}
