// The floor of every supervisor: vfork, exec, waitpid, and nothing else. Prints one JSON object a run.
//
//   floor start N MARKS COMMAND…    starts N processes; seconds until all have left their marks
//   floor crash N MARKS COMMAND…    starts one, kills it N times, starts it again each time
//   floor storm N MARKS COMMAND…    starts N, kills all at once, starts each again; seconds until all are back
//   floor stop N MARKS COMMAND…     starts N, sends SIGTERM to all; seconds until all are reaped
//   floor splice FILE               moves standard input, a pipe, into the file by nothing but splice(2); CPU seconds of that
//
// COMMAND is tests/bench/mark: it appends the instant of its start to the file MARKS, so that "running" means the same for
// everybody that is measured.
#include <fcntl.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string_view>
#include <vector>

namespace {

double now() {
    timespec time{};
    ::clock_gettime(CLOCK_MONOTONIC, &time);
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

pid_t start(char** command) {
    const pid_t pid = ::vfork();
    if (pid == 0) {
        ::setsid();
        ::execv(command[0], command);
        ::_exit(127);
    }
    return pid;
}

std::vector<pid_t> start_all(int count, char** command) {
    std::vector<pid_t> pids;
    for (int i = 0; i < count; ++i) pids.push_back(start(command));
    return pids;
}

void reap(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) ::waitpid(-1, nullptr, 0);
}

void kill_all(const std::vector<pid_t>& pids, int signal) {
    for (const pid_t pid : pids) ::kill(pid, signal);
}

/// Waits until the file has as many 16-byte marks.
void await_marks(const char* path, std::size_t marks) {
    const int file = ::open(path, O_RDONLY | O_CLOEXEC);
    while (::lseek(file, 0, SEEK_END) < static_cast<off_t>(marks * 16)) ::sched_yield();
    ::close(file);
}

double seconds_of(const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
}

int splice_input(const char* path) {
    constexpr std::size_t kBytes = std::size_t{1} << 20U;
    const int file = ::open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ssize_t moved = 1;
    while (moved > 0) moved = ::splice(STDIN_FILENO, nullptr, file, nullptr, kBytes, SPLICE_F_MOVE);
    rusage used{};
    ::getrusage(RUSAGE_SELF, &used);
    std::printf("{\"cpu\": %.6f}\n", seconds_of(used.ru_utime) + seconds_of(used.ru_stime));
    return moved == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc == 3 && std::strcmp(argv[1], "splice") == 0) return splice_input(argv[2]);
    if (argc < 5) return 2;
    const std::string_view mode = argv[1];
    const int count = std::atoi(argv[2]);
    const char* marks = argv[3];
    char** command = argv + 4;
    const double begin = now();
    if (mode == "crash") {
        pid_t pid = start(command);
        std::printf("{\"kills\": [");
        for (int i = 0; i < count; ++i) {
            await_marks(marks, static_cast<std::size_t>(i) + 1);
            std::printf("%s%.9f", i == 0 ? "" : ", ", now());
            ::kill(pid, SIGKILL);
            ::waitpid(pid, nullptr, 0);
            pid = start(command);
        }
        await_marks(marks, static_cast<std::size_t>(count) + 1);
        std::printf("]}\n");
        ::kill(pid, SIGKILL);
        reap(1);
        return 0;
    }
    std::vector<pid_t> pids = start_all(count, command);
    if (mode == "start") {
        await_marks(marks, pids.size());
        std::printf("{\"seconds\": %.6f}\n", now() - begin);
    } else if (mode == "storm") {
        await_marks(marks, pids.size());
        const double struck = now();
        kill_all(pids, SIGKILL);
        for (pid_t& pid : pids) {
            ::waitpid(-1, nullptr, 0);
            pid = start(command);
        }
        await_marks(marks, pids.size() * 2);
        std::printf("{\"seconds\": %.6f}\n", now() - struck);
    } else if (mode == "stop") {
        await_marks(marks, pids.size());
        const double asked = now();
        kill_all(pids, SIGTERM);
        reap(pids.size());
        std::printf("{\"seconds\": %.6f}\n", now() - asked);
        return 0;
    } else {
        return 2;
    }
    kill_all(pids, SIGKILL);
    reap(pids.size());
    return 0;
}
