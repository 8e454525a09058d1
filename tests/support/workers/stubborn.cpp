// stubborn [MILLISECONDS]: prints "ready" and waits. On SIGTERM it prints "asked"; with an argument
// it then takes that long to exit with 0, without one it never goes.
#include <poll.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>

namespace {

volatile std::sig_atomic_t g_was_asked = 0;

}  // namespace

int main(int argc, char** argv) {
    std::signal(SIGTERM, [](int) {
        g_was_asked = 1;
        if (::write(1, "asked\n", 6) != 6) ::_exit(111);
    });
    if (::write(1, "ready\n", 6) != 6) return 111;
    while (g_was_asked == 0 || argc < 2) ::poll(nullptr, 0, 50);
    ::poll(nullptr, 0, std::atoi(argv[1]));
    return 0;
}
