// The trivial worker of the benchmarks: notes in the file argv[1] when it began to run (pid and CLOCK_MONOTONIC in
// nanoseconds, 16 bytes, one append), then waits for a signal.
#include <fcntl.h>
#include <unistd.h>

#include <cstdint>
#include <ctime>

int main(int argc, char** argv) {
    if (argc != 2) return 2;
    timespec time{};
    ::clock_gettime(CLOCK_MONOTONIC, &time);
    const std::int64_t mark[2] = {::getpid(), static_cast<std::int64_t>(time.tv_sec) * 1'000'000'000 + time.tv_nsec};
    const int file = ::open(argv[1], O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    if (::write(file, mark, sizeof(mark)) != static_cast<ssize_t>(sizeof(mark))) return 1;
    ::close(file);
    ::pause();
}
