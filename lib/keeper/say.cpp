#include "keeper/say.hpp"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cstdarg>
#include <cstddef>
#include <cstdio>

namespace cluster::keeper {

void say(const char* format, ...) {
    // Shorter than PIPE_BUF: a pipe that is writable takes it whole, without waiting (pipe(7),
    // poll(2)).
    char line[1024];
    const int head = std::snprintf(line, sizeof line, "clusterd: ");
    std::size_t length = static_cast<std::size_t>(head);
    std::va_list arguments;
    va_start(arguments, format);
    const int body = std::vsnprintf(line + length, sizeof line - length - 1, format, arguments);
    va_end(arguments);
    if (body < 0) return;
    length = std::min(length + static_cast<std::size_t>(body), sizeof line - 2);
    line[length++] = '\n';
    pollfd log{.fd = STDERR_FILENO, .events = POLLOUT, .revents = 0};
    if (::poll(&log, 1, 0) != 1 || (log.revents & POLLOUT) == 0) return;
    if (::write(STDERR_FILENO, line, length) < 0) return;  // nobody is left to be told
}

}  // namespace cluster::keeper
