#include "keeper/service.hpp"

#include <cstdlib>
#include <string>

#include "keeper/say.hpp"
#include "sys/clock.hpp"
#include "sys/file.hpp"
#include "sys/life.hpp"
#include "sys/packet_socket.hpp"
#include "sys/socket.hpp"
#include "sys/succession.hpp"

namespace cluster::keeper {

namespace {

constexpr Duration kPatience = std::chrono::seconds(5);
constexpr Duration kPause = std::chrono::milliseconds(20);
constexpr std::size_t kMaxGroupBytes = 64 * 1024;

/// 0: the pid file says nothing, or somebody who is gone.
std::int32_t living_keeper(const place::Directories& directories) {
    const auto text = sys::read_file(directories.pid_file(), 32);
    const int pid = text ? std::atoi(text->c_str()) : 0;
    return pid > 0 && sys::look_at_process(pid).presence == sys::Presence::present ? pid : 0;
}

bool is_of_our_group(std::int32_t pid) {
    const auto ours = sys::read_file("/proc/self/cgroup", kMaxGroupBytes);
    const auto theirs =
        sys::read_file("/proc/" + std::to_string(pid) + "/cgroup", kMaxGroupBytes);
    return ours && theirs && *ours == *theirs;
}

/// sd_notify's BARRIER: the manager closes the descriptor when it has acted on what came before.
/// It would not know any more whose messages these were once we are gone.
void wait_until_heard(const std::string& manager) {
    auto pipe = sys::open_pipe();
    if (!pipe || !sys::send_datagram(manager, "BARRIER=1", pipe->write_end.get())) return;
    pipe->write_end.reset();
    static_cast<void>(sys::wait_readable(pipe->read_end.get(), kPatience));
}

}  // namespace

bool leave_service_to_other(const place::Directories& directories) {
    const char* manager = std::getenv("NOTIFY_SOCKET");
    if (manager == nullptr || *manager == '\0') return false;
    const Instant deadline = sys::monotonic_now() + kPatience;
    std::int32_t keeper = 0;
    while ((keeper = living_keeper(directories)) == 0 && sys::monotonic_now() < deadline) {
        sys::let_pass(kPause);
    }
    if (keeper == 0 || !is_of_our_group(keeper)) return false;
    const std::string words = "MAINPID=" + std::to_string(keeper) + "\nREADY=1\n";
    if (!sys::send_datagram(manager, words)) return false;
    wait_until_heard(manager);
    say("the keeper (pid %d) goes on; the service manager was told", keeper);
    return true;
}

}  // namespace cluster::keeper
