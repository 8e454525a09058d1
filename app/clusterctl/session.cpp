#include "clusterctl/session.hpp"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "sys/clock.hpp"

namespace cluster::clusterctl {
namespace {

std::optional<std::string> runtime_option(const CommonOptions& options) {
    if (options.runtime_dir.empty()) return std::nullopt;
    return options.runtime_dir;
}

/// For poll(2): milliseconds until the deadline, rounded up, so that a wait never ends just before
/// it.
int poll_timeout(std::optional<Instant> deadline) {
    if (!deadline) return -1;
    constexpr std::int64_t kMostMs = 3'600'000;
    const Duration left = *deadline - sys::monotonic_now();
    if (left <= Duration::zero()) return 0;
    return static_cast<int>(std::min(to_ms(left) + 1, kMostMs));
}

}  // namespace

Session::Session(const CommonOptions& options)
    : options_(options),
      environment_(place::from_environment()),
      directories_(place::resolve(environment_, runtime_option(options))),
      out_(look_at(STDOUT_FILENO)),
      err_(look_at(STDERR_FILENO)) {}

ViewOptions Session::view() const {
    return {out_.width(), out_.has_colour, sys::wall_ms()};
}

void print(std::string_view text) {
    std::fwrite(text.data(), 1, text.size(), stdout);
}

void print_error(std::string_view text) {
    std::fwrite(text.data(), 1, text.size(), stderr);
}

bool finish_output() {
    return std::fflush(stdout) == 0 && std::ferror(stdout) == 0;
}

std::string describe(const Error& error, std::string_view what) {
    std::string text = op_name(error.op);
    if (!what.empty()) text += " " + std::string(what);
    if (error.code != 0) text += std::string(": ") + std::strerror(error.code);
    return text;
}

Woken wait_for(int descriptor, bool for_writing, int interrupt, std::optional<Instant> deadline) {
    // poll(2) ignores entries with a negative descriptor.
    std::array<pollfd, 2> entries{
        pollfd{descriptor, static_cast<short>(for_writing ? POLLOUT : POLLIN), 0},
        pollfd{interrupt, POLLIN, 0}};
    while (true) {
        const int count = ::poll(entries.data(), entries.size(), poll_timeout(deadline));
        if (count < 0 && errno == EINTR) continue;
        if (entries[1].revents != 0) return Woken::interrupted;
        if (count != 0) return Woken::ready;
        if (deadline && sys::monotonic_now() >= *deadline) return Woken::timed_out;
    }
}

}  // namespace cluster::clusterctl
