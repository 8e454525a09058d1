#include "clusterctl/launch.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "clusterctl/view/text.hpp"
#include "place/explain.hpp"
#include "sys/clock.hpp"
#include "sys/file.hpp"
#include "sys/process.hpp"

namespace cluster::clusterctl {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration kStartPatience = seconds{15};
/// A daemon that dies because another one was quicker leaves us that one to talk to.
constexpr Duration kRivalPatience = seconds{2};
constexpr Duration kPause = milliseconds{10};
constexpr std::size_t kShownLogBytes = 4096;
constexpr std::uint32_t kLogDirectoryMode = 0750;

bool is_program(const std::string& path) {
    struct stat info {};
    return ::stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode) &&
           ::access(path.c_str(), X_OK) == 0;
}

/// Our environment, with the directories as we understand them: the daemon's working directory is
/// another one.
std::vector<std::string> daemon_environment(const Session& session) {
    std::vector<std::string> variables;
    const place::Environment& given = session.environment();
    for (char** variable = environ; *variable != nullptr; ++variable) {
        const std::string text = *variable;
        const bool is_state = given.state_dir && text.rfind("CLUSTER_STATE_DIR=", 0) == 0;
        const bool is_log = given.log_dir && text.rfind("CLUSTER_LOG_DIR=", 0) == 0;
        if (is_state) {
            variables.push_back("CLUSTER_STATE_DIR=" + session.directories().state);
        } else if (is_log) {
            variables.push_back("CLUSTER_LOG_DIR=" + session.directories().log);
        } else {
            variables.push_back(text);
        }
    }
    return variables;
}

std::vector<char*> pointers_to(std::vector<std::string>& texts) {
    std::vector<char*> pointers;
    for (std::string& text : texts) pointers.push_back(text.data());
    pointers.push_back(nullptr);
    return pointers;
}

/// posix_spawn's two objects, freed whatever happens.
struct SpawnSettings {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;

    SpawnSettings() {
        posix_spawn_file_actions_init(&actions);
        posix_spawnattr_init(&attributes);
    }
    ~SpawnSettings() {
        posix_spawn_file_actions_destroy(&actions);
        posix_spawnattr_destroy(&attributes);
    }
    SpawnSettings(const SpawnSettings&) = delete;
    SpawnSettings& operator=(const SpawnSettings&) = delete;

    void prepare(const std::string& log) {
        posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
        posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, log.c_str(),
                                         O_WRONLY | O_CREAT | O_APPEND, 0640);
        posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
        posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
        // The daemon must not keep the file system busy from which it happened to be started.
        posix_spawn_file_actions_addchdir_np(&actions, "/");
        sigset_t none;
        sigemptyset(&none);
        sigset_t every;
        sigfillset(&every);
        posix_spawnattr_setsigmask(&attributes, &none);
        posix_spawnattr_setsigdefault(&attributes, &every);
        posix_spawnattr_setflags(
            &attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    }
};

pid_t spawn_daemon(const Session& session) {
    const std::string program = find_daemon();
    std::vector<std::string> arguments = {program, "--runtime-dir", session.directories().runtime};
    std::vector<std::string> variables = daemon_environment(session);
    SpawnSettings settings;
    settings.prepare(session.directories().daemon_log());
    pid_t pid = 0;
    const int code = ::posix_spawn(&pid, program.c_str(), &settings.actions, &settings.attributes,
                                   pointers_to(arguments).data(), pointers_to(variables).data());
    if (code != 0) {
        throw Failure(kFailed, "failed", "start " + program + ": " + std::strerror(code));
    }
    return pid;
}

void prepare_directories(const Session& session) {
    const place::Directories& directories = session.directories();
    if (const Status made = place::prepare_runtime(directories, session.environment().uid); !made) {
        throw Failure(kFailed, "failed", place::explain(directories, made.error()));
    }
    if (const Status made = sys::make_directories(directories.log, kLogDirectoryMode); !made) {
        throw Failure(kFailed, "failed", describe(made.error(), directories.log),
                      "choose another log directory with CLUSTER_LOG_DIR");
    }
}

std::uint64_t log_size(const std::string& path) {
    const Result<sys::FileInfo> info = sys::file_info(path);
    return info ? info->size : 0;
}

/// What the daemon has written since we started it.
std::string words_since(const std::string& log, std::uint64_t offset) {
    const Result<sys::UniqueFd> file = sys::open_file(log, O_RDONLY);
    const std::uint64_t size = log_size(log);
    if (!file || size <= offset) return {};
    const std::uint64_t from =
        std::max(offset, size - std::min<std::uint64_t>(size, kShownLogBytes));
    std::vector<std::byte> buffer(kShownLogBytes);
    const Result<std::size_t> count = sys::read_at(file->get(), buffer, from);
    if (!count) return {};
    std::string text;
    std::string words(reinterpret_cast<const char*>(buffer.data()), *count);
    while (!words.empty()) {
        const std::size_t newline = words.find('\n');
        text += "  | " + harmless_line(words.substr(0, newline)) + "\n";
        words = newline == std::string::npos ? std::string() : words.substr(newline + 1);
    }
    return text;
}

/// Connected, and the supervisor behind the socket has answered.
bool is_up(Client& client) {
    if (!client.try_connect()) return false;
    try {
        (void)client.version();
        return true;
    } catch (const Failure& failure) {
        // A supervisor that died while it was asked: the keeper starts the next one.
        if (failure.exit_code == kNoDaemon) return false;
        throw;
    }
}

/// `failure` with what the daemon has said about itself.
Failure with_words(Failure failure, const std::string& log, std::uint64_t log_offset) {
    const std::string words = words_since(log, log_offset);
    if (!words.empty()) failure.diagnostics.push_back(words);
    failure.hint = "its log: " + log;
    return failure;
}

void wait_until_up(Client& client, pid_t pid, const std::string& log, std::uint64_t log_offset) {
    const sys::UniqueFd process = [pid] {
        Result<sys::UniqueFd> opened = sys::open_pidfd(pid);
        return opened ? std::move(*opened) : sys::UniqueFd();
    }();
    Instant deadline = sys::monotonic_now() + kStartPatience;
    bool has_died = false;
    try {
        while (!is_up(client)) {
            const Instant now = sys::monotonic_now();
            if (now >= deadline) {
                throw Failure(kFailed, "failed",
                              has_died ? "the daemon ended as soon as it was started"
                                       : "the daemon was started, but does not answer");
            }
            const Woken woken = wait_for(has_died ? -1 : process.get(), false, -1, now + kPause);
            if (woken == Woken::ready && !has_died) {
                has_died = true;
                ::waitpid(pid, nullptr, WNOHANG);
                deadline = now + kRivalPatience;
            }
        }
    } catch (const Failure& failure) {
        throw with_words(failure, log, log_offset);
    }
}

}  // namespace

std::string find_daemon() {
    const Result<std::string> own = sys::own_executable();
    if (own) {
        const std::string beside =
            (std::filesystem::path(*own).parent_path() / "clusterd").string();
        if (is_program(beside)) return beside;
    }
    const char* variable = std::getenv("PATH");
    std::string path = variable == nullptr ? "/usr/local/bin:/usr/bin:/bin" : variable;
    while (!path.empty()) {
        const std::size_t colon = path.find(':');
        const std::string candidate = path.substr(0, colon) + "/clusterd";
        if (candidate.front() == '/' && is_program(candidate)) return candidate;
        path = colon == std::string::npos ? std::string() : path.substr(colon + 1);
    }
    throw Failure(kFailed, "failed",
                  "the daemon's program, clusterd, is neither beside clusterctl nor in PATH",
                  "install it, or put its directory into PATH");
}

KnownWorkers known_workers(const Session& session) {
    Client client(session.directories());
    if (!client.try_connect()) {
        const bool is_remembering =
            sys::file_info(session.directories().state + "/state.json").has_value();
        return is_remembering ? std::nullopt : KnownWorkers{std::vector<std::string>{}};
    }
    std::vector<std::string> names;
    for (const ctl::WorkerStatus& worker : client.status({}, {"name"}).workers) {
        names.push_back(worker.name);
    }
    return names;
}

bool connect_or_launch(const Session& session, Client& client) {
    if (client.try_connect()) return false;
    prepare_directories(session);
    const std::string log = session.directories().daemon_log();
    const std::uint64_t log_offset = log_size(log);
    const pid_t pid = spawn_daemon(session);
    client.set_reconnecting(false);
    wait_until_up(client, pid, log, log_offset);
    client.set_reconnecting(true);
    return true;
}

}  // namespace cluster::clusterctl
