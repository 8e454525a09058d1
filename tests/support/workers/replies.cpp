// replies [BEHAVIOUR]: an HTTP server of one connection at a time on descriptor 3 (LISTEN_FDS), or
// by itself on 127.0.0.1:$PORT: it answers every connection with its pid and closes it. On SIGTERM
// it answers the connection that it has and goes; on SIGHUP it writes "reloaded" to stdout.
//
//   dies       writes "boom" to stderr and ends with 7 before it answers anything
//   ends       answers for 100 ms, writes "no more" to stderr and ends with 3
//   mute       never says that it is ready (READY=1)
//   hup-dies   ends on SIGHUP
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

namespace {

constexpr int kListener = 3;

volatile std::sig_atomic_t g_shall_end = 0;
volatile std::sig_atomic_t g_shall_reload = 0;

void on_signal(int signal, void (*handler)(int)) {
    struct sigaction action {};
    action.sa_handler = handler;
    ::sigaction(signal, &action, nullptr);
}

void say_ready() {
    const char* const path = std::getenv("NOTIFY_SOCKET");
    if (path == nullptr) return;
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
    const int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    constexpr char kReady[] = "READY=1";
    if (::sendto(fd, kReady, sizeof(kReady) - 1, 0, reinterpret_cast<sockaddr*>(&address),
                 sizeof(address)) < 0) {
        std::perror("READY=1");
    }
    ::close(fd);
}

bool listen_by_itself() {
    const char* const port = std::getenv("PORT");
    if (port == nullptr) return false;
    const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
    const int on = 1;
    ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<std::uint16_t>(std::atoi(port)));
    return fd >= 0 && ::dup2(fd, kListener) == kListener &&
           ::bind(kListener, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0 &&
           ::listen(kListener, 128) == 0;
}

void answer(int connection) {
    char request[1024];
    ssize_t count = 0;
    do {
        count = ::recv(connection, request, sizeof(request), 0);
    } while (count < 0 && errno == EINTR);  // a stop signal is no reason to drop whoever is here
    if (count <= 0) return;
    const std::string body = std::to_string(::getpid()) + "\n";
    const std::string text =
        "HTTP/1.0 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
    if (::send(connection, text.data(), text.size(), MSG_NOSIGNAL) < 0) std::perror("send");
}

/// One connection, or 20 ms of waiting for one.
void serve() {
    pollfd entry{kListener, POLLIN, 0};
    if (::poll(&entry, 1, 20) <= 0) return;
    const int connection = ::accept4(kListener, nullptr, nullptr, SOCK_CLOEXEC);
    if (connection < 0) return;
    answer(connection);
    ::close(connection);
}

}  // namespace

int main(int argc, char** argv) {
    const std::string behaviour = argc > 1 ? argv[1] : "";
    if (behaviour == "dies") {
        std::fputs("boom\n", stderr);
        return 7;
    }
    if (std::getenv("LISTEN_FDS") == nullptr && !listen_by_itself()) {
        std::perror("PORT");
        return 111;
    }
    // Others may be faster to accept.
    if (::fcntl(kListener, F_SETFL, O_NONBLOCK) != 0) return 111;
    on_signal(SIGTERM, [](int) { g_shall_end = 1; });
    if (behaviour != "hup-dies") on_signal(SIGHUP, [](int) { g_shall_reload = 1; });
    if (behaviour != "mute") say_ready();
    for (int round = 0; g_shall_end == 0; ++round) {
        if (g_shall_reload != 0) {
            g_shall_reload = 0;
            std::puts("reloaded");
            std::fflush(stdout);
        }
        serve();
        if (behaviour == "ends" && round > 5) {
            std::fputs("no more\n", stderr);
            return 3;
        }
    }
    return 0;
}
