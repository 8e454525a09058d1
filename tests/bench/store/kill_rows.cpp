// What a writer that is killed in the middle of its work costs: the next operation of somebody else,
// with nothing settled yet, and the settling.
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>
#include <vector>

#include "base/prng.hpp"
#include "measure.hpp"
#include "store/table.hpp"
#include "sys/clock.hpp"
#include "sys/life.hpp"

namespace cluster::store::bench {
namespace {

constexpr u64 kKeys = 8;  // few, so that the killed one was mostly in what is looked at next

Bytes key_of(const u64& number) {
    return std::as_bytes(std::span{&number, 1});
}

[[noreturn]] void write_for_ever(Segment& segment, int ready) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    auto me = Participant::join(segment);
    Table table{segment};
    const std::string value(64, 'w');
    const char byte = 1;
    if (!me || ::write(ready, &byte, 1) != 1) std::abort();
    for (u64 i = 0;; ++i) {
        (void)table.set(*me, key_of(i % kKeys), std::as_bytes(std::span{value.data(), 64}));
    }
}

double cpu_us() {
    timespec time{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_nsec) / 1e3;
}

double us_since(Instant begin) {
    return static_cast<double>(to_ns(sys::monotonic_now()) - to_ns(begin)) / 1e3;
}

double percentile(std::vector<double>& values, std::size_t percent) {
    std::sort(values.begin(), values.end());
    return values[(values.size() - 1) * percent / 100];
}

struct Times {
    std::vector<double> operation_us;  // each of all keys once, the slowest
    std::vector<double> settling_us;
    std::vector<double> settling_cpu_us;
};

void kill_once(Segment& segment, Participant& me, Prng& prng, Times& times) {
    std::array<int, 2> ready{};
    if (::pipe(ready.data()) != 0) std::abort();
    const pid_t pid = ::fork();
    if (pid == 0) write_for_ever(segment, ready[1]);
    char byte = 0;
    if (::read(ready[0], &byte, 1) != 1) std::abort();
    ::close(ready[0]);
    ::close(ready[1]);
    const sys::ProcessLook look = sys::look_at_process(pid);
    const Instant end = sys::monotonic_now() + std::chrono::microseconds{200 + prng.below(2000)};
    while (sys::monotonic_now() < end) ::sched_yield();
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);

    Table table{segment};
    const std::string value(64, 'j');
    double slowest = 0;
    for (u64 key = 0; key < kKeys; ++key) {
        const Instant begin = sys::monotonic_now();
        const auto done = table.set(me, key_of(key), std::as_bytes(std::span{value.data(), 64}));
        slowest = std::max(slowest, us_since(begin));
        if (!done) std::abort();
    }
    times.operation_us.push_back(slowest);
    const double cpu = cpu_us();
    const Instant begin = sys::monotonic_now();
    if (settle(segment, {.pid = pid, .start_ticks = look.start_ticks}).slots != 1) std::abort();
    times.settling_us.push_back(us_since(begin));
    times.settling_cpu_us.push_back(cpu_us() - cpu);
}

}  // namespace

void run_kill_rows(int kills) {
    const auto file = create({});
    auto segment = Segment::attach(file->get(), Access::read_write);
    auto me = Participant::join(*segment);
    Times times;
    Prng prng{static_cast<u64>(to_ns(sys::monotonic_now()))};
    for (int i = 0; i < kills; ++i) kill_once(*segment, *me, prng, times);
    print_figure("kill", "operation us", percentile(times.operation_us, 50));
    print_figure("kill", "operation us, 99 of 100", percentile(times.operation_us, 99));
    print_figure("kill", "settling us", percentile(times.settling_us, 50));
    print_figure("kill", "settling us, 99 of 100", percentile(times.settling_us, 99));
    print_figure("kill", "settling CPU us", percentile(times.settling_cpu_us, 50));
}

}  // namespace cluster::store::bench
