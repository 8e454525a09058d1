// Programs as the end-to-end tests run them: started with an environment of their own, captured
// through pipes, bounded in time, and never left behind.
//
// The test process is the subreaper of everything that it starts, so a daemon that detaches and a
// worker that calls setsid are its descendants all the same: what is still alive can be counted,
// and killed, whatever it did to hide.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "sys/fd.hpp"

namespace cluster::test {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// Sanitizers slow everything down; limits that catch hangs (not promises) are scaled by this.
#ifdef CLUSTER_SANITIZED
inline constexpr int kPatience = 4;
inline constexpr bool kIsSanitized = true;
#else
inline constexpr int kPatience = 1;
inline constexpr bool kIsSanitized = false;
#endif

/// Lets `interval` pass, and buries the dead meanwhile.
void pause(milliseconds interval);

/// Asks every few milliseconds until `condition` holds; false when `limit` (scaled) has passed.
template <class Condition>
bool wait_until(Condition condition, milliseconds limit = seconds{20}) {
    const auto deadline = std::chrono::steady_clock::now() + limit * kPatience;
    while (!condition()) {
        if (std::chrono::steady_clock::now() >= deadline) return condition();
        pause(milliseconds{5});
    }
    return true;
}

struct Command {
    std::vector<std::string> argv;  // argv[0] is looked up in PATH
    std::map<std::string, std::string> env;
    std::string cwd;  // empty: as the test
};

struct Outcome {
    int code = -1;  // exit code; 128 + n when killed by signal n; -1 when it was still running
    bool has_timed_out = false;
    bool is_held_open = false;  // it ended, but somebody else kept its output open
    std::string out;
    std::string err;
    milliseconds took{};
};

class Process {
public:
    explicit Process(const Command& command);
    ~Process();  // kills it, if it still runs
    Process(Process&& other) noexcept;
    Process& operator=(Process&&) = delete;

    [[nodiscard]] pid_t pid() const { return pid_; }
    [[nodiscard]] bool is_running();
    void send(int signal);
    /// What it has written so far.
    const std::string& out();
    const std::string& err();
    /// Waits for its end and the end of its output; kills it when `limit` (scaled) has passed.
    Outcome wait(milliseconds limit = seconds{60});

private:
    void pump(milliseconds patience);

    pid_t pid_ = -1;
    sys::UniqueFd out_pipe_;
    sys::UniqueFd err_pipe_;
    std::string out_;
    std::string err_;
    std::chrono::steady_clock::time_point start_;
};

Outcome run(const Command& command, milliseconds limit = seconds{60});

/// Every living process that descends from this one.
[[nodiscard]] std::set<pid_t> descendants();
/// Kills all descendants. Returns those that it found alive.
std::set<pid_t> kill_descendants();
/// False for a zombie and for a process that is gone.
[[nodiscard]] bool is_alive(pid_t pid);
/// It was stopped by a signal and waits for SIGCONT.
[[nodiscard]] bool is_suspended(pid_t pid);
/// How many descriptors it has open.
[[nodiscard]] std::size_t count_descriptors(pid_t pid);
/// The file of a command in PATH or the system's directories; none when there is none.
[[nodiscard]] std::optional<std::string> find_program(const std::string& name);

}  // namespace cluster::test
