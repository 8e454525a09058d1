#include "supervisor/manager.hpp"

#include <fmt/core.h>

#include <chrono>
#include <cstdlib>
#include <string>

#include "supervisor/log.hpp"
#include "sys/process.hpp"
#include "sys/socket.hpp"

namespace cluster::supervisor {
namespace {

void tell_manager(const std::string& message) {
    const char* address = std::getenv("NOTIFY_SOCKET");
    if (address == nullptr || *address == '\0') return;
    if (!sys::send_datagram(address, message)) {
        log::warn("the service manager could not be told how the daemon is");
    }
}

}  // namespace

void tell_manager_ready(std::int32_t keeper_pid, std::size_t workers) {
    tell_manager(fmt::format("READY=1\nMAINPID={}\nSTATUS={} worker{}, supervisor {}\n", keeper_pid,
                             workers, workers == 1 ? "" : "s", sys::current_pid()));
}

void tell_manager_stopping() {
    tell_manager("STOPPING=1\nSTATUS=Stopping all workers\n");
}

void tell_manager_reloading(Instant now) {
    const auto since_boot =
        std::chrono::duration_cast<std::chrono::microseconds>(now.time_since_epoch());
    tell_manager(fmt::format("RELOADING=1\nMONOTONIC_USEC={}\n", since_boot.count()));
}

}  // namespace cluster::supervisor
