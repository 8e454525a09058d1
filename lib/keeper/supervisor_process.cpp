#include "keeper/supervisor_process.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <string_view>
#include <utility>

#include "sys/failpoint.hpp"
#include "sys/file.hpp"
#include "sys/socket.hpp"
#include "wire/plan.hpp"

namespace cluster::keeper {

namespace {

constexpr std::uint32_t kLinkDescriptor = 3;
constexpr const char* kLinkArgument = "--keeper-fd=3";

std::string_view base_name(std::string_view path) {
    const std::size_t slash = path.rfind('/');
    return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

/// Attached descriptors: 0, 1 and 2 are the standard ones, 3 the link.
Result<std::vector<std::byte>> make_plan(const SupervisorProcess::Command& command) {
    wire::PlanBuilder plan;
    // Its own session: a Ctrl-C on our terminal is for us, and reaches it as a message.
    plan.session();
    for (std::uint32_t fd = 0; fd <= kLinkDescriptor; ++fd) plan.dup(fd, fd);
    plan.add_argument(base_name(command.path));
    plan.add_argument(kLinkArgument);
    for (const std::string& argument : command.arguments) plan.add_argument(argument);
    for (char** entry = environ; *entry != nullptr; ++entry) {
        const std::string_view text = *entry;
        const std::size_t equals = text.find('=');
        if (equals == std::string_view::npos) continue;
        plan.add_environment(text.substr(0, equals), text.substr(equals + 1));
    }
    plan.exec(command.path);
    return plan.finish();
}

}  // namespace

Result<sys::UniqueFd> SupervisorProcess::start(const Command& command, PlanRunner& runner,
                                               const ChildDefaults& defaults,
                                               std::int32_t* pid_cell) {
    auto ends = sys::open_seqpacket_pair();
    if (!ends) return tl::unexpected(ends.error());
    const auto null = sys::open_file("/dev/null", O_RDONLY);
    if (!null) return tl::unexpected(null.error());
    const auto bytes = make_plan(command);
    if (!bytes) return tl::unexpected(bytes.error());
    const std::array<int, 4> sources{null->get(), STDOUT_FILENO, STDERR_FILENO, ends->second.get()};
    const auto plan = runner.load(*bytes, sources.size());
    if (!plan) return tl::unexpected(plan.error());
    auto spawned = runner.spawn(*plan, sources, defaults, pid_cell);
    sys::pass(Failpoint::supervisor_cloned);
    if (!spawned) return tl::unexpected(spawned.error());
    if (spawned->failure) return fail(spawned->failure->op, spawned->failure->code);
    pid_ = spawned->pid;
    pidfd_ = std::move(spawned->pidfd);
    return std::move(ends->first);
}

void SupervisorProcess::kill() {
    if (!is_alive()) return;
    // It cannot have been reaped, so the worst is that it is a zombie already.
    static_cast<void>(sys::signal_pidfd(pidfd_.get(), SIGKILL));
}

void SupervisorProcess::note_died() {
    pid_ = 0;
    pidfd_.reset();
}

}  // namespace cluster::keeper
