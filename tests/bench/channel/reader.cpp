// bench_channel_reader [--change] WORKERS COMMAND… [-- LISTENERS COMMAND…]: the floor under the
// daemon's part of a message. Has the workers and listeners that primary.js has and reads what
// they write; it only looks at the last line that came, for what has to be done at once
// ("ready", a question to be answered, a message for the listeners), and drops the rest unread.
// From one that sends a stream it reads every 400 us, as the daemon does, so that it is not
// woken for each message. Prints "ready" when all are. A line on stdin goes to worker 0, one
// that begins with "*" to all of them without that. The word INDEX in the listeners' command is
// the number of the listener. --change: makes the change in the store that a rule of the daemon
// makes for each line, unread as it is: what is left when all that the daemon adds of its own is
// taken away.
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "store/participant.hpp"
#include "store/segment.hpp"
#include "store/table.hpp"

namespace {

constexpr std::size_t kReadBytes = 65536;
/// So much at once is a stream.
constexpr std::size_t kStreamBytes = 800;
constexpr timespec kRest{.tv_sec = 0, .tv_nsec = 400'000};

/// A store of its own, and the key that each line changes.
class Changes {
public:
    static std::unique_ptr<Changes> begin() {
        const auto file = cluster::store::create({});
        if (!file) return nullptr;
        auto segment =
            cluster::store::Segment::attach(file->get(), cluster::store::Access::read_write);
        if (!segment) return nullptr;
        std::unique_ptr<Changes> changes{new Changes{std::move(*segment)}};
        auto me = cluster::store::Participant::join(changes->segment_);
        if (!me) return nullptr;
        changes->me_.emplace(std::move(*me));
        return changes;
    }
    void apply() {
        constexpr std::string_view kKey = "globalCounter";
        if (!table_.increment(*me_, std::as_bytes(std::span{kKey.data(), kKey.size()}), 1)) {
            std::exit(1);
        }
    }

private:
    explicit Changes(cluster::store::Segment segment)
        : segment_(std::move(segment)), table_(segment_) {}

    cluster::store::Segment segment_;
    cluster::store::Table table_;
    std::optional<cluster::store::Participant> me_;  // set by begin
};

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

struct Family {
    std::vector<Worker> all;  // the workers, then the listeners
    std::size_t workers = 0;
    std::size_t waiting = 0;           // for so many to be ready
    std::unique_ptr<Changes> changes;  // none: the lines change nothing
};

/// COUNT COMMAND…, up to "--" or the end.
char** start_some(Family& family, char** word) {
    const int count = std::atoi(*word++);
    char** end = word;
    while (*end != nullptr && std::strcmp(*end, "--") != 0) ++end;
    for (int i = 0; i < count; ++i) {
        std::vector<std::string> words(word, end);
        std::vector<char*> command;
        for (std::string& each : words) {
            if (each == "INDEX") each = std::to_string(i);
            command.push_back(each.data());
        }
        command.push_back(nullptr);
        family.all.push_back(start(command.data()));
    }
    family.waiting = family.all.size();
    return *end == nullptr ? end : end + 1;
}

std::string_view number_behind(std::string_view line, std::string_view name) {
    const std::string_view number = line.substr(line.find(name) + name.size());
    return number.substr(0, number.find('}'));
}

void take_line(Family& family, const Worker& worker, std::string_view line) {
    if (line == "\"ready\"") {
        if (--family.waiting == 0) std::puts("ready"), std::fflush(stdout);
    } else if (line.find("\"cluster\":\"counter\"") != std::string_view::npos) {
        send_line(worker, R"({"cluster":"reply","id":)" +
                              std::string{number_behind(line, "\"id\":")} + R"(,"value":1})");
    } else if (line.find("\"cluster\":\"publish\"") != std::string_view::npos) {
        const std::string message = R"({"cluster":"message","topic":"fan",)" +
                                    std::string{line.substr(line.find("\"data\":"))};
        for (std::size_t i = family.workers; i < family.all.size(); ++i) {
            send_line(family.all[i], message);
        }
    }
}

/// Of all that has come only the last line is looked at: whoever asks waits for its answer. True:
/// it was a stream.
bool take(Family& family, Worker& worker) {
    static std::array<char, kReadBytes> bytes;
    const auto count = ::read(worker.fd, bytes.data(), bytes.size());
    if (count <= 0) std::exit(1);
    const std::string_view text{bytes.data(), static_cast<std::size_t>(count)};
    if (family.changes) {
        for (std::size_t at = 0; (at = text.find('\n', at)) != std::string_view::npos; ++at) {
            family.changes->apply();
        }
    }
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
    take_line(family, worker, worker.rest);
    worker.rest.clear();
    return text.size() >= kStreamBytes && text.size() < bytes.size();
}

/// False: there are no more orders.
bool take_order(const Family& family) {
    std::array<char, 1024> order;
    const auto count = ::read(STDIN_FILENO, order.data(), order.size());
    if (count <= 0) return false;
    std::string_view text{order.data(), static_cast<std::size_t>(count - 1)};
    const bool is_to_all = text.front() == '*';
    if (is_to_all) text.remove_prefix(1);
    for (std::size_t i = 0; i < (is_to_all ? family.workers : 1); ++i) {
        send_line(family.all[i], text);
    }
    return true;
}

}  // namespace

int main(int argc, char** argv) {
    Family family;
    if (argc > 1 && std::strcmp(argv[1], "--change") == 0) {
        family.changes = Changes::begin();
        if (!family.changes) return 1;
        --argc;
        ++argv;
    }
    if (argc < 3) return 2;
    char** const rest = start_some(family, argv + 1);
    family.workers = family.all.size();
    if (*rest != nullptr) start_some(family, rest);
    const int epoll = ::epoll_create1(EPOLL_CLOEXEC);
    const auto watch = [&](int fd, std::uint64_t number) {
        epoll_event event{.events = EPOLLIN, .data = {.u64 = number}};
        if (::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0) std::exit(1);
    };
    for (std::size_t i = 0; i < family.all.size(); ++i) watch(family.all[i].fd, i);
    watch(STDIN_FILENO, family.all.size());
    std::array<epoll_event, 128> events;
    for (bool is_ordered = true; is_ordered;) {
        const int count = ::epoll_wait(epoll, events.data(), events.size(), -1);
        bool is_stream = false;
        for (int i = 0; i < count; ++i) {
            const std::uint64_t number = events[static_cast<std::size_t>(i)].data.u64;
            if (number < family.all.size()) {
                is_stream = take(family, family.all[number]) || is_stream;
            } else {
                is_ordered = take_order(family);
            }
        }
        if (is_stream) ::ppoll(nullptr, 0, &kRest, nullptr);
    }
    for (const Worker& worker : family.all) ::kill(worker.pid, SIGTERM);
}
