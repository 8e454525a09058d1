// bench_channel_reader WORKERS COMMAND…: the floor under the daemon's part of a message. Has the
// workers that primary.js has and reads what they write, as much at a time as comes; it only looks for
// what has to be answered ("ready", a question), and drops the rest unread. Prints "ready" when all are.
// A line on stdin goes to worker 0, one that begins with "*" to all of them without that.
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace {

constexpr std::size_t kReadBytes = 65536;

struct Worker {
    int fd = -1;
    pid_t pid = 0;
    std::string rest;  // of a line whose end has not come yet
};

/// In a session of its own, with the channel that Node looks for.
Worker start(char** command) {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) std::exit(1);
    const pid_t pid = ::fork();
    if (pid == 0) {
        ::setsid();
        ::close(ends[0]);
        ::setenv("NODE_CHANNEL_FD", std::to_string(ends[1]).c_str(), 1);
        ::execvp(command[0], command);
        ::_exit(127);
    }
    ::close(ends[1]);
    return {.fd = ends[0], .pid = pid, .rest = {}};
}

void send_line(const Worker& worker, std::string_view text) {
    const std::string line = std::string{text} + "\n";
    if (::write(worker.fd, line.data(), line.size()) < 0) std::exit(1);
}

/// Answers it if it is a question. True: it says that the worker is ready.
bool take_line(const Worker& worker, std::string_view line) {
    if (line == "\"ready\"") return true;
    if (line.find("\"cluster\":\"counter\"") == std::string_view::npos) return false;
    const std::size_t id = line.find("\"id\":");
    const std::string_view number = line.substr(id + std::strlen("\"id\":"));
    send_line(worker, R"({"cluster":"reply","id":)" +
                          std::string{number.substr(0, number.find('}'))} + R"(,"value":1})");
    return false;
}

/// Of all that has come only the last line is looked at: whoever asks waits for its answer.
bool take(Worker& worker) {
    static std::array<char, kReadBytes> bytes;
    const auto count = ::read(worker.fd, bytes.data(), bytes.size());
    if (count <= 0) std::exit(1);
    const std::string_view text{bytes.data(), static_cast<std::size_t>(count)};
    if (text.back() != '\n') {
        const std::size_t newline = text.rfind('\n');
        if (newline != std::string_view::npos) worker.rest.clear();
        worker.rest += text.substr(newline + 1);  // npos + 1 is 0
        return false;
    }
    const std::size_t before = text.rfind('\n', text.size() - 2);
    const bool has_begin = before != std::string_view::npos;
    worker.rest += text.substr(has_begin ? before + 1 : 0);
    if (has_begin) worker.rest = text.substr(before + 1);
    worker.rest.pop_back();
    const bool is_ready = take_line(worker, worker.rest);
    worker.rest.clear();
    return is_ready;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 3) return 2;
    std::vector<Worker> workers;
    std::vector<pollfd> polled{{.fd = STDIN_FILENO, .events = POLLIN, .revents = 0}};
    for (int i = std::atoi(argv[1]); i > 0; --i) {
        workers.push_back(start(argv + 2));
        polled.push_back({.fd = workers.back().fd, .events = POLLIN, .revents = 0});
    }
    for (std::size_t waiting = workers.size(); ::poll(polled.data(), polled.size(), -1) > 0;) {
        for (std::size_t i = 0; i < workers.size(); ++i) {
            if (polled[i + 1].revents == 0 || !take(workers[i])) continue;
            if (--waiting == 0) std::puts("ready"), std::fflush(stdout);
        }
        if (polled[0].revents == 0) continue;
        std::array<char, 1024> order;
        const auto count = ::read(STDIN_FILENO, order.data(), order.size());
        if (count <= 0) break;
        std::string_view text{order.data(), static_cast<std::size_t>(count - 1)};
        const bool is_to_all = text.front() == '*';
        if (is_to_all) text.remove_prefix(1);
        for (std::size_t i = 0; i < (is_to_all ? workers.size() : 1); ++i) {
            send_line(workers[i], text);
        }
    }
    for (const Worker& worker : workers) ::kill(worker.pid, SIGTERM);
}
