// One daemon with directories of its own, as an end-to-end test uses it: the real programs of this
// build, driven through clusterctl as a user would. Whatever is still alive when the test ends is
// killed, and what sanitizers wrote meanwhile fails the test.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "support/process.hpp"
#include "support/scratch.hpp"

namespace cluster::test {

using Json = nlohmann::json;

/// A program of tests/support/workers.
[[nodiscard]] std::string worker_program(const std::string& name);

/// One [worker.NAME] table. `more`: further lines, as TOML.
[[nodiscard]] std::string worker_table(const std::string& name,
                                       const std::vector<std::string>& command,
                                       const std::string& more = "");

/// Says why a test cannot run here. ctest then counts it as skipped and not as passed.
void skip(const std::string& reason);
/// Where a program is; empty, and the test is skipped, without it.
[[nodiscard]] std::string program_or_skip(const std::string& name);
[[nodiscard]] bool is_root();

/// One document a line.
[[nodiscard]] std::vector<Json> parse_lines(const std::string& text);

class Daemon {
public:
    Daemon();
    ~Daemon();
    Daemon(const Daemon&) = delete;
    Daemon& operator=(const Daemon&) = delete;

    [[nodiscard]] const Scratch& dir() const { return dir_; }
    [[nodiscard]] std::string control_socket() const { return dir_ / "run/control.sock"; }
    [[nodiscard]] std::string log_dir() const { return dir_ / "log"; }
    /// Variables of every program that this object starts; may be changed.
    std::map<std::string, std::string>& env() { return env_; }

    Outcome ctl(const std::vector<std::string>& arguments, milliseconds limit = seconds{60}) const;
    [[nodiscard]] Process start_ctl(const std::vector<std::string>& arguments) const;
    /// clusterd in the foreground. `wrapper`: words before it, such as prlimit and its options.
    [[nodiscard]] Process start_clusterd(const std::vector<std::string>& arguments,
                                         const std::vector<std::string>& wrapper = {}) const;

    /// Writes a file into the test's directory and returns its path.
    std::string write(const std::string& name, const std::string& text) const;
    /// Copies a program into the test's directory, where any user may execute it.
    std::string copy_in(const std::string& program) const;
    /// `clusterctl start` of a config with this text.
    Outcome start(const std::string& config) const;

    /// The document of `clusterctl status --json`; throws when there is none.
    [[nodiscard]] Json status() const;
    /// One element of its "workers"; throws when there is none.
    [[nodiscard]] Json worker(const std::string& id) const;
    /// All since that sequence number.
    [[nodiscard]] std::vector<Json> events(const std::string& since = "0") const;
    [[nodiscard]] std::string state_of(const std::string& id) const;
    /// 0 when it has none.
    [[nodiscard]] pid_t pid_of(const std::string& id) const;
    [[nodiscard]] pid_t keeper_pid() const;
    [[nodiscard]] pid_t supervisor_pid() const;
    [[nodiscard]] bool wait_for_state(const std::string& id, const std::string& state,
                                      milliseconds limit = seconds{20}) const;
    /// True once a control connection is answered.
    [[nodiscard]] bool is_answering() const;

    [[nodiscard]] std::string out_log(const std::string& id) const;
    [[nodiscard]] std::string err_log(const std::string& id) const;

private:
    /// What the daemon has to say about a test that failed.
    void tell_story() const;

    Scratch dir_;
    std::map<std::string, std::string> env_;
};

/// Kills it, and returns when its successor answers: how long the control socket was silent.
milliseconds kill_supervisor(const Daemon& daemon);

/// A raw client of the control socket, as rude as a test wants it.
class RawClient {
public:
    explicit RawClient(const std::string& socket_path);
    [[nodiscard]] bool is_connected() const { return fd_.is_open(); }
    /// Sends what the peer takes within `limit`; false when it took less or hung up.
    bool send(const std::string& bytes, milliseconds limit = seconds{10});
    void finish_sending();
    /// The next whole line; none when the peer hangs up or `limit` has passed first.
    std::optional<std::string> line(milliseconds limit = seconds{10});
    /// True when the peer has closed the connection within `limit`.
    bool is_closed(milliseconds limit = seconds{10});

private:
    /// Reads once; false at the end of the stream.
    bool read_more(milliseconds limit);

    sys::UniqueFd fd_;
    std::string received_;
    bool has_ended_ = false;
};

}  // namespace cluster::test
