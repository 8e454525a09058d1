#include "sys/failpoint.hpp"

#ifdef CLUSTER_FAILPOINTS

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace cluster::sys {
namespace {

struct Order {
    int code = 0;  // 0: crash
    unsigned first = 1;
    unsigned count = 1;
};

int code_of(const char* action) {
    if (std::strcmp(action, "EMFILE") == 0) return EMFILE;
    if (std::strcmp(action, "EAGAIN") == 0) return EAGAIN;
    if (std::strcmp(action, "ENOSPC") == 0) return ENOSPC;
    if (std::strcmp(action, "ENOMEM") == 0) return ENOMEM;
    return 0;
}

/// False when the point is not armed. By raw calls: those of this room have points themselves.
bool read_order(const char* path, Order& order) {
    const int file = ::open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return false;
    std::array<char, 64> text{};
    const auto length = ::read(file, text.data(), text.size() - 1);
    ::close(file);
    std::array<char, 16> action{};
    if (length <= 0 ||
        std::sscanf(text.data(), "%15s %u %u", action.data(), &order.first, &order.count) < 1) {
        return false;
    }
    order.code = code_of(action.data());
    return true;
}

[[noreturn]] void crash() {
    ::kill(::getpid(), SIGKILL);
    std::abort();  // as PID 1 of a namespace, which cannot kill itself
}

}  // namespace

int injected_error(Failpoint point) {
    static const char* const directory = std::getenv("CLUSTER_FAILPOINTS");
    static std::array<unsigned, kFailpointCount> passings{};
    if (directory == nullptr) return 0;
    const int saved = errno;
    std::array<char, 512> path{};
    std::snprintf(path.data(), path.size(), "%s/%s.%s", directory, program_invocation_short_name,
                  failpoint_name(point));
    unsigned& passing = passings[static_cast<std::size_t>(point)];
    Order order;
    const bool is_armed = read_order(path.data(), order);
    passing = is_armed ? passing + 1 : 0;
    int code = 0;
    if (is_armed && passing >= order.first) {
        const bool is_last = order.count != 0 && passing - order.first + 1 >= order.count;
        if (is_last) ::unlink(path.data());
        if (order.code == 0) crash();
        code = order.code;
    }
    errno = saved;
    return code;
}

}  // namespace cluster::sys

#endif
