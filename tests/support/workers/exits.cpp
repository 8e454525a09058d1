// exits CODE [MILLISECONDS [TEXT]]: prints TEXT to stderr, lives that long, and exits with CODE. A
// negative CODE is a signal that it sends to itself.
#include <poll.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <string>

int main(int argc, char** argv) {
    const int code = argc > 1 ? std::atoi(argv[1]) : 1;
    if (argc > 3) {
        const std::string text = std::string(argv[3]) + "\n";
        if (::write(2, text.data(), text.size()) < 0) return 111;
    }
    if (argc > 2) ::poll(nullptr, 0, std::atoi(argv[2]));
    if (code < 0) {
        std::signal(-code, SIG_DFL);
        ::kill(::getpid(), -code);
    }
    return code;
}
