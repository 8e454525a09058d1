// family LEADER CHILD [PIDFILE]: a worker with a child of its own, which says "child tick N" on the
// same stdout every 20 ms for ever.
//   LEADER  exit: exits 3 after 50 ms · stay: waits for a signal · obey: exits 0 on SIGTERM
//   CHILD   same: stays in the group · session: calls setsid · stubborn: in the group, ignores TERM
// The child's pid is written to PIDFILE.
#include <poll.h>
#include <spawn.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstring>
#include <string>

namespace {

int tick() {
    for (int i = 0;; ++i) {
        const std::string text = "child tick " + std::to_string(i) + "\n";
        if (::write(1, text.data(), text.size()) < 0) return 111;
        ::poll(nullptr, 0, 20);
    }
}

}  // namespace

int main(int argc, char** argv) {
    if (argc > 2 && std::strcmp(argv[1], "child") == 0) {
        if (std::strcmp(argv[2], "stubborn") == 0) std::signal(SIGTERM, SIG_IGN);
        return tick();
    }
    if (argc < 3) return 100;
    posix_spawnattr_t attributes;
    ::posix_spawnattr_init(&attributes);
    if (std::strcmp(argv[2], "session") == 0) {
        ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);
    }
    char role[] = "child";
    char* child_argv[] = {argv[0], role, argv[2], nullptr};
    pid_t child = -1;
    if (::posix_spawn(&child, "/proc/self/exe", nullptr, &attributes, child_argv, environ) != 0) {
        return 101;
    }
    if (argc > 3) {
        // Whole or not at all: this process may be killed at any moment.
        const std::string unfinished = std::string(argv[3]) + ".new";
        FILE* file = std::fopen(unfinished.c_str(), "w");
        if (file == nullptr) return 102;
        std::fprintf(file, "%d\n", child);
        std::fclose(file);
        if (std::rename(unfinished.c_str(), argv[3]) != 0) return 103;
    }
    if (std::strcmp(argv[1], "exit") == 0) {
        ::poll(nullptr, 0, 50);
        return 3;
    }
    if (std::strcmp(argv[1], "obey") == 0) std::signal(SIGTERM, [](int) { ::_exit(0); });
    while (true) ::pause();
}
