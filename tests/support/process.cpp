#include "support/process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <fstream>
#include <stdexcept>
#include <system_error>
#include <utility>

namespace cluster::test {
namespace {

using Clock = std::chrono::steady_clock;

/// Buries the dead of this process: those of a Process keep their status until it asks, orphans
/// that were inherited are forgotten.
class Cemetery {
public:
    static Cemetery& get() {
        static Cemetery cemetery;
        return cemetery;
    }
    void expect(pid_t pid) { expected_[pid] = std::nullopt; }
    void forget(pid_t pid) { expected_.erase(pid); }
    std::optional<int> status_of(pid_t pid) {
        collect();
        const auto found = expected_.find(pid);
        return found == expected_.end() ? std::optional<int>(-1) : found->second;
    }
    void collect() {
        int status = 0;
        while (true) {
            const pid_t pid = ::waitpid(-1, &status, WNOHANG);
            if (pid <= 0) return;
            if (const auto found = expected_.find(pid); found != expected_.end()) {
                found->second = status;
            }
        }
    }

private:
    Cemetery() { ::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); }
    std::map<pid_t, std::optional<int>> expected_;
};

struct StatFields {
    char state = 'X';
    pid_t parent = 0;
};

std::optional<StatFields> stat_of(pid_t pid) {
    std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
    std::string line;
    if (!std::getline(file, line)) return std::nullopt;
    const auto name_end = line.rfind(')');
    if (name_end == std::string::npos || name_end + 4 >= line.size()) return std::nullopt;
    StatFields fields;
    fields.state = line[name_end + 2];
    fields.parent = std::atoi(line.c_str() + name_end + 4);
    return fields;
}

void read_into(sys::UniqueFd& pipe, std::string& text) {
    std::array<char, 65536> buffer{};
    while (pipe.is_open()) {
        const auto count = ::read(pipe.get(), buffer.data(), buffer.size());
        if (count > 0) {
            text.append(buffer.data(), static_cast<std::size_t>(count));
        } else if (count == 0) {
            pipe.reset();
        } else {
            return;  // EAGAIN: later
        }
    }
}

std::vector<char*> pointers(std::vector<std::string>& words) {
    std::vector<char*> result;
    result.reserve(words.size() + 1);
    for (auto& word : words) result.push_back(word.data());
    result.push_back(nullptr);
    return result;
}

pid_t spawn_captured(const Command& command, int out, int err) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawnattr_init(&attributes);
    ::posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    ::posix_spawn_file_actions_adddup2(&actions, out, 1);
    ::posix_spawn_file_actions_adddup2(&actions, err, 2);
    if (!command.cwd.empty()) {
        ::posix_spawn_file_actions_addchdir_np(&actions, command.cwd.c_str());
    }
    sigset_t none;
    sigset_t all;
    ::sigemptyset(&none);
    ::sigfillset(&all);
    ::posix_spawnattr_setsigmask(&attributes, &none);
    ::posix_spawnattr_setsigdefault(&attributes, &all);
    ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    std::vector<std::string> argv = command.argv;
    std::vector<std::string> env;
    for (const auto& [key, value] : command.env) env.push_back(key + "=" + value);
    pid_t pid = -1;
    const auto program = find_program(argv.at(0));
    const int error = !program ? ENOENT
                               : ::posix_spawn(&pid, program->c_str(), &actions, &attributes,
                                               pointers(argv).data(), pointers(env).data());
    ::posix_spawn_file_actions_destroy(&actions);
    ::posix_spawnattr_destroy(&attributes);
    if (error != 0) {
        throw std::system_error(error, std::generic_category(), "start " + argv.at(0));
    }
    return pid;
}

std::array<sys::UniqueFd, 2> capture_pipe() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw std::runtime_error("pipe2");
    ::fcntl(ends[0], F_SETFL, O_NONBLOCK);
    return {sys::UniqueFd{ends[0]}, sys::UniqueFd{ends[1]}};
}

}  // namespace

void pause(milliseconds interval) {
    const timespec time{interval.count() / 1000, (interval.count() % 1000) * 1'000'000};
    ::ppoll(nullptr, 0, &time, nullptr);
    Cemetery::get().collect();
}

Process::Process(const Command& command) : start_(Clock::now()) {
    Cemetery::get().collect();
    auto out = capture_pipe();
    auto err = capture_pipe();
    pid_ = spawn_captured(command, out[1].get(), err[1].get());
    Cemetery::get().expect(pid_);
    out_pipe_ = std::move(out[0]);
    err_pipe_ = std::move(err[0]);
}

Process::Process(Process&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      out_pipe_(std::move(other.out_pipe_)),
      err_pipe_(std::move(other.err_pipe_)),
      out_(std::move(other.out_)),
      err_(std::move(other.err_)),
      start_(other.start_) {}

Process::~Process() {
    if (pid_ > 0 && is_running()) {
        ::kill(pid_, SIGKILL);
        wait_until([&] { return !is_running(); });
    }
    if (pid_ > 0) Cemetery::get().forget(pid_);
}

bool Process::is_running() {
    return !Cemetery::get().status_of(pid_).has_value();
}

void Process::send(int signal) {
    if (is_running()) ::kill(pid_, signal);
}

const std::string& Process::out() {
    pump(milliseconds{0});
    return out_;
}

const std::string& Process::err() {
    pump(milliseconds{0});
    return err_;
}

void Process::pump(milliseconds patience) {
    std::array<pollfd, 2> entries{pollfd{out_pipe_.get(), POLLIN, 0},
                                  pollfd{err_pipe_.get(), POLLIN, 0}};
    ::poll(entries.data(), entries.size(), static_cast<int>(patience.count()));
    read_into(out_pipe_, out_);
    read_into(err_pipe_, err_);
}

Outcome Process::wait(milliseconds limit) {
    Outcome outcome;
    const auto deadline = Clock::now() + limit * kPatience;
    std::optional<Clock::time_point> ended;
    while (true) {
        pump(milliseconds{5});
        if (!ended && !is_running()) {
            ended = Clock::now();
            outcome.took = std::chrono::duration_cast<milliseconds>(*ended - start_);
        }
        if (ended && !out_pipe_.is_open() && !err_pipe_.is_open()) break;
        // Its output should end with it: one who still holds the pipe would hang `x=$(clusterctl
        // …)`.
        if (ended && Clock::now() > *ended + seconds{2}) {
            outcome.is_held_open = true;
            break;
        }
        if (!ended && Clock::now() > deadline) {
            outcome.has_timed_out = true;
            outcome.took = limit * kPatience;
            ::kill(pid_, SIGKILL);
            break;
        }
    }
    outcome.out = out_;
    outcome.err = err_;
    if (ended) {
        const int status = *Cemetery::get().status_of(pid_);
        outcome.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }
    return outcome;
}

Outcome run(const Command& command, milliseconds limit) {
    return Process(command).wait(limit);
}

std::set<pid_t> descendants() {
    Cemetery::get().collect();
    std::multimap<pid_t, pid_t> children;
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
        const pid_t pid = std::atoi(entry.path().filename().c_str());
        if (pid <= 0) continue;
        const auto fields = stat_of(pid);
        if (fields && fields->state != 'Z' && fields->state != 'X') {
            children.emplace(fields->parent, pid);
        }
    }
    std::set<pid_t> found;
    std::vector<pid_t> open{::getpid()};
    while (!open.empty()) {
        const auto [first, last] = children.equal_range(open.back());
        open.pop_back();
        for (auto at = first; at != last; ++at) {
            if (found.insert(at->second).second) open.push_back(at->second);
        }
    }
    return found;
}

std::set<pid_t> kill_descendants() {
    const std::set<pid_t> before = descendants();
    wait_until([] {
        const auto left = descendants();
        for (const pid_t pid : left) ::kill(pid, SIGKILL);
        return left.empty();
    });
    return before;
}

bool is_alive(pid_t pid) {
    Cemetery::get().collect();
    const auto fields = stat_of(pid);
    return fields && fields->state != 'Z' && fields->state != 'X';
}

bool is_suspended(pid_t pid) {
    const auto fields = stat_of(pid);
    return fields && fields->state == 'T';
}

std::size_t count_descriptors(pid_t pid) {
    const std::filesystem::directory_iterator open("/proc/" + std::to_string(pid) + "/fd");
    return static_cast<std::size_t>(std::distance(begin(open), end(open)));
}

std::optional<std::string> find_program(const std::string& name) {
    if (name.find('/') != std::string::npos) return name;
    const char* variable = std::getenv("PATH");
    const std::string path =
        std::string(variable == nullptr ? "" : variable) + ":/usr/bin:/bin:/usr/sbin:/sbin";
    for (std::size_t start = 0; start < path.size();) {
        const std::size_t end = std::min(path.find(':', start), path.size());
        const std::string candidate = path.substr(start, end - start) + "/" + name;
        if (end > start && ::access(candidate.c_str(), X_OK) == 0) return candidate;
        start = end + 1;
    }
    return std::nullopt;
}

}  // namespace cluster::test
