// Serves a socket that it inherited: answers FD. Says on stdout what it was given, then answers
// every connection with "NAME.NUMBER PID\n", and every datagram likewise. Takes its time with a
// connection whose first byte is 's'.
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

namespace {

const char* variable(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? "-" : value;
}

void serve_connection(int listener, const std::string& answer) {
    const int connection = ::accept(listener, nullptr, nullptr);
    if (connection < 0) return;
    char first = 0;
    const auto count = ::recv(connection, &first, 1, 0);
    if (count == 1 && first == 's') ::poll(nullptr, 0, 300);
    static_cast<void>(::send(connection, answer.data(), answer.size(), MSG_NOSIGNAL));
    ::close(connection);
}

void serve_datagram(int socket, const std::string& answer) {
    char buffer[512];
    sockaddr_storage from{};
    socklen_t size = sizeof(from);
    auto* const address = reinterpret_cast<sockaddr*>(&from);
    if (::recvfrom(socket, buffer, sizeof(buffer), 0, address, &size) < 0) return;
    static_cast<void>(::sendto(socket, answer.data(), answer.size(), MSG_NOSIGNAL, address, size));
}

}  // namespace

int main(int argc, char** argv) {
    const int fd = argc > 1 ? std::atoi(argv[1]) : 0;
    std::printf("fd %d fds %s names %s pid %s own %d extra %s\n", fd, variable("LISTEN_FDS"),
                variable("LISTEN_FDNAMES"), variable("LISTEN_PID"), static_cast<int>(::getpid()),
                variable("EXTRA"));
    std::fflush(stdout);
    const std::string answer = std::string(variable("CLUSTER_WORKER")) + "." +
                               variable("CLUSTER_INSTANCE") + " " + std::to_string(::getpid()) +
                               "\n";
    int type = 0;
    socklen_t size = sizeof(type);
    if (::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) != 0) {
        std::fprintf(stderr, "descriptor %d: %s\n", fd, std::strerror(errno));
        return 1;
    }
    while (true) {
        // Several share the socket, which may be non-blocking: whoever comes too late waits again.
        pollfd entry{fd, POLLIN, 0};
        if (::poll(&entry, 1, -1) <= 0) continue;
        if (type == SOCK_DGRAM) {
            serve_datagram(fd, answer);
        } else {
            serve_connection(fd, answer);
        }
    }
}
