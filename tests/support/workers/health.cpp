// health ADDRESS FILE: a server that says of itself what the file says at that moment. ADDRESS is a
// port of 127.0.0.1, or the path of a UNIX socket. Of every connection it writes the first line of
// what it reads to stdout, and answers with the text of the file ("\n" stands for CR LF).
//
//   no file   the connection is closed without an answer
//   "hang"    it is accepted and left open
//   "deaf"    nothing is accepted as long as the file says so
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>

namespace {

int listen_at(const std::string& address) {
    sockaddr_un path{};
    path.sun_family = AF_UNIX;
    std::strncpy(path.sun_path, address.c_str(), sizeof(path.sun_path) - 1);
    sockaddr_in port{};
    port.sin_family = AF_INET;
    port.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    port.sin_port = htons(static_cast<std::uint16_t>(std::atoi(address.c_str())));
    const bool is_path = address.front() == '/';
    if (is_path) ::unlink(address.c_str());
    const int fd = ::socket(is_path ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;
    ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    const auto* const target = is_path ? reinterpret_cast<const sockaddr*>(&path)
                                       : reinterpret_cast<const sockaddr*>(&port);
    const socklen_t size = is_path ? sizeof(path) : sizeof(port);
    if (::bind(fd, target, size) != 0 || ::listen(fd, 0) != 0) return -1;
    return fd;
}

std::string text_of(const char* path) {
    std::ifstream file(path);
    std::string text{std::istreambuf_iterator<char>(file), {}};
    for (std::size_t at = text.find('\n'); at != std::string::npos; at = text.find('\n', at + 2)) {
        text.replace(at, 1, "\r\n");
    }
    return text;
}

/// Of a whole request: what is left unread would make a reset of the close. "": it hung up, or said
/// nothing for a second.
std::string first_line(int connection) {
    std::string text;
    pollfd entry{connection, POLLIN, 0};
    char byte = 0;
    while (::poll(&entry, 1, 1000) == 1 && ::recv(connection, &byte, 1, 0) == 1) {
        text += byte;
        if (text.size() >= 4 && text.substr(text.size() - 4) == "\r\n\r\n") break;
    }
    return text.substr(0, text.find('\r'));
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 3) return 2;
    const int listener = listen_at(argv[1]);
    if (listener < 0) return 1;
    while (true) {
        while (text_of(argv[2]) == "deaf") ::poll(nullptr, 0, 10);
        const int connection = ::accept(listener, nullptr, nullptr);
        if (connection < 0) continue;
        const std::string answer = text_of(argv[2]);
        if (answer == "hang") continue;
        std::printf("%s\n", first_line(connection).c_str());
        std::fflush(stdout);
        static_cast<void>(::send(connection, answer.data(), answer.size(), MSG_NOSIGNAL));
        ::close(connection);
    }
}
