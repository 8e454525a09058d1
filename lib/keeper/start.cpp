#include "keeper/start.hpp"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <string>
#include <utility>

#include "keeper/window.hpp"
#include "sys/file.hpp"
#include "sys/process.hpp"
#include "sys/socket.hpp"

namespace cluster::keeper {

namespace {

/// The kernel never chooses this process. Source: proc(5), oom_score_adj.
constexpr const char* kNeverKilled = "-1000";
constexpr const char* kOomScorePath = "/proc/self/oom_score_adj";

std::optional<int> lower_oom_score() {
    const auto before = sys::read_file(kOomScorePath, 32);
    if (!before) return std::nullopt;
    const auto file = sys::open_file(kOomScorePath, O_WRONLY);
    // Lowering needs CAP_SYS_RESOURCE; without it we are as likely a victim as others of our size:
    // small.
    if (!file || !sys::write_all(file->get(), kNeverKilled)) return std::nullopt;
    return std::atoi(before->c_str());
}

}  // namespace

void ensure_standard_descriptors() {
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
        if (sys::file_info(fd)) continue;
        // The lowest free number is this one: all below are open.
        if (auto null = sys::open_file("/dev/null", O_RDWR)) static_cast<void>(null->take());
    }
}

Status claim_descriptors(bool inherits) {
    // Whatever else it left (a lock, a pipe of its test runner) is not ours to keep for a lifetime.
    if (!inherits) sys::close_from(STDERR_FILENO + 1);
    if (auto reserved = window::reserve(); !reserved) {
        const auto [op, code] = reserved.error();
        return fail(op, op == Op::dup ? EMFILE : code);
    }
    return {};
}

Result<Process> prepare_process() {
    Process process;
    if (auto done = sys::become_subreaper(); !done) return tl::unexpected(done.error());
    sys::block_all_signals();
    sys::stop_ignoring_signals();
    auto signals = sys::open_signal_descriptor();
    if (!signals) return tl::unexpected(signals.error());
    process.signals = std::move(*signals);

    rlimit before{};
    if (::getrlimit(RLIMIT_NOFILE, &before) != 0) return fail(Op::limit, errno);
    process.max_descriptors = sys::raise_descriptor_limit();
    process.defaults.descriptors = {.soft = before.rlim_cur, .hard = before.rlim_max};
    process.defaults.oom_score = lower_oom_score();
    return process;
}

Result<sys::UniqueFd> take_runtime(const place::Directories& directories) {
    if (auto prepared = place::prepare_runtime(directories, sys::current_uid()); !prepared) {
        return tl::unexpected(prepared.error());
    }
    return place::take_lock(directories);
}

Status write_pid_file(const place::Directories& directories) {
    const std::string pid = std::to_string(sys::current_pid()) + "\n";
    return sys::replace_file(directories.pid_file(), pid, 0644);
}

Result<sys::UniqueFd> open_control(const place::Directories& directories) {
    const std::string path = directories.control_socket();
    if (auto removed = sys::remove_file(path); !removed && removed.error().code != ENOENT) {
        return tl::unexpected(removed.error());
    }
    return sys::listen_unix(path, kControlBacklog);
}

}  // namespace cluster::keeper
