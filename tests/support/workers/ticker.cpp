// ticker MILLISECONDS: prints "tick 0", "tick 1" … one write each, with a pause between them, until
// SIGTERM; then prints "end N", N being the number of ticks, and exits 0. The same on stderr.
#include <poll.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <string>

namespace {

volatile std::sig_atomic_t g_is_over = 0;

void say(const std::string& text) {
    for (const int fd : {1, 2}) {
        if (::write(fd, text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
            ::_exit(111);
        }
    }
}

}  // namespace

int main(int argc, char** argv) {
    const int pause_ms = argc > 1 ? std::atoi(argv[1]) : 10;
    std::signal(SIGTERM, [](int) { g_is_over = 1; });
    int count = 0;
    for (; g_is_over == 0; ++count) {
        say("tick " + std::to_string(count) + "\n");
        ::poll(nullptr, 0, pause_ms);
    }
    say("end " + std::to_string(count) + "\n");
    return 0;
}
