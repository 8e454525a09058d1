// bench_channel_hops COUNT OUT: the floor under a message between two workers. Three processes in a
// row with socketpairs between them; the one in the middle does nothing but to pass 100 bytes on, as
// a daemon without a thought would. Each is in a session of its own, as workers and daemons are: the
// kernel gives time to sessions (sched_autogroup), which beside other work decides more than anything
// else. Writes the nanoseconds there and back of each to OUT.
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>

namespace {

constexpr std::size_t kBytes = 100;

std::int64_t now_ns() {
    timespec time{};
    ::clock_gettime(CLOCK_MONOTONIC, &time);
    return static_cast<std::int64_t>(time.tv_sec) * 1'000'000'000 + time.tv_nsec;
}

bool take(int from, char* bytes) {
    for (std::size_t have = 0; have < kBytes;) {
        const auto came = ::read(from, bytes + have, kBytes - have);
        if (came <= 0) return false;
        have += static_cast<std::size_t>(came);
    }
    return true;
}

/// Passes what comes at one end on to the other, in turn.
[[noreturn]] void pass(int from, int to) {
    char bytes[kBytes];
    while (take(from, bytes) && ::write(to, bytes, kBytes) > 0 && take(to, bytes) &&
           ::write(from, bytes, kBytes) > 0) {
    }
    ::_exit(0);
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 3) return 2;
    int left[2];
    int right[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM, 0, left) != 0) return 1;
    if (::socketpair(AF_UNIX, SOCK_STREAM, 0, right) != 0) return 1;
    const pid_t middle = ::fork();
    if (middle == 0) {
        ::setsid();
        ::close(left[0]), ::close(right[1]);
        pass(left[1], right[0]);
    }
    const pid_t far = ::fork();
    if (far == 0) {
        ::setsid();
        ::close(left[0]), ::close(left[1]), ::close(right[0]);
        char bytes[kBytes];
        while (take(right[1], bytes) && ::write(right[1], bytes, kBytes) > 0) {
        }
        ::_exit(0);
    }
    ::close(left[1]), ::close(right[0]), ::close(right[1]);
    std::FILE* const out = std::fopen(argv[2], "w");
    char bytes[kBytes] = {};
    for (long i = std::atol(argv[1]); i > 0; --i) {
        const std::int64_t begin = now_ns();
        if (::write(left[0], bytes, kBytes) < 0 || !take(left[0], bytes)) return 1;
        std::fprintf(out, "%lld\n", static_cast<long long>(now_ns() - begin));
    }
    std::fclose(out);
    ::close(left[0]);
    ::waitpid(middle, nullptr, 0);
    ::waitpid(far, nullptr, 0);
}
