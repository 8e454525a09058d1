// speaks STEP…: does one step after the other, then waits for a signal that ends it.
//   say=TEXT      to NOTIFY_SOCKET; "\n" in it stands for a newline
//   child=TEXT    a child says it, and is gone before anybody can ask who it was
//   session=TEXT  a child in a session of its own says it and stays
//   flood=COUNT   STATUS=0, STATUS=1, … as fast as it is taken
//   alive=COUNT   WATCHDOG=1, COUNT times, ten in a second
//   needs=NAME    ends with 1 unless the variable is set; "pid" in place of it: unless WATCHDOG_PID
//                 is its own
//   until=PATH    waits for a file
//   after=MS      waits that long
//   listen=PORT   on 127.0.0.1
//   hold=MIB      of memory
//   fork=MIB      in a child
//   print=TEXT    to stdout
//   write=FD:TEXT to a descriptor; "\n" as above
//   close=FD
//   end=CODE      ends
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

namespace {

std::string with_newlines(std::string text) {
    for (std::size_t at = text.find("\\n"); at != std::string::npos; at = text.find("\\n")) {
        text.replace(at, 2, "\n");
    }
    return text;
}

bool say(const std::string& words) {
    const std::string text = with_newlines(words);
    const char* const path = std::getenv("NOTIFY_SOCKET");
    if (path == nullptr) return false;
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
    static const int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    return ::sendto(fd, text.data(), text.size(), 0, reinterpret_cast<sockaddr*>(&address),
                    sizeof(address)) >= 0;
}

void hold(int mib) {
    const std::size_t bytes = static_cast<std::size_t>(mib) << 20U;
    // volatile: memory that is never read need not be written, and would cost nothing.
    volatile char* const memory = static_cast<char*>(std::malloc(bytes));
    for (std::size_t i = 0; i < bytes; i += 512) memory[i] = static_cast<char>(i);
}

bool listen_at(int port) {
    const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
    const int on = 1;
    ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    return ::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0 &&
           ::listen(fd, 8) == 0;
}

bool write_to(const std::string& value) {
    const std::size_t colon = value.find(':');
    const std::string text = with_newlines(value.substr(colon + 1));
    return ::write(std::atoi(value.c_str()), text.data(), text.size()) ==
           static_cast<ssize_t>(text.size());
}

bool in_child(bool stays, const std::string& step, const std::string& value) {
    const pid_t child = ::fork();
    if (child != 0) return stays || ::waitpid(child, nullptr, 0) == child;
    if (step == "session") ::setsid();
    bool is_done = true;
    if (step == "fork") {
        hold(std::atoi(value.c_str()));
    } else {
        is_done = say(value);
    }
    if (!stays) ::_exit(is_done ? 0 : 1);
    while (true) ::pause();
}

bool act(const std::string& step, const std::string& value) {
    if (step == "say") return say(value);
    if (step == "child") return in_child(false, step, value);
    if (step == "session" || step == "fork") return in_child(true, step, value);
    if (step == "print") return std::printf("%s\n", value.c_str()) > 0 && std::fflush(stdout) == 0;
    if (step == "write") return write_to(value);
    if (step == "close") return ::close(std::atoi(value.c_str())) == 0;
    if (step == "listen") return listen_at(std::atoi(value.c_str()));
    if (step == "end") std::exit(std::atoi(value.c_str()));
    if (step == "hold") hold(std::atoi(value.c_str()));
    if (step == "after") ::poll(nullptr, 0, std::atoi(value.c_str()));
    if (step == "needs" && value == "pid") {
        const char* const pid = std::getenv("WATCHDOG_PID");
        if (pid == nullptr || std::atoi(pid) != ::getpid()) std::exit(1);
    } else if (step == "needs" && std::getenv(value.c_str()) == nullptr) {
        std::exit(1);
    }
    if (step == "alive") {
        for (int i = std::atoi(value.c_str()); i > 0; --i) {
            say("WATCHDOG=1");
            ::poll(nullptr, 0, 100);
        }
    }
    if (step == "until") {
        while (::access(value.c_str(), F_OK) != 0) ::poll(nullptr, 0, 5);
    }
    if (step == "flood") {
        const int count = std::atoi(value.c_str());
        for (int i = 0; i < count; ++i) say("STATUS=" + std::to_string(i));
    }
    return true;
}

}  // namespace

int main(int argc, char** argv) {
    for (int i = 1; i < argc; ++i) {
        const std::string argument = argv[i];
        const std::size_t equals = argument.find('=');
        if (!act(argument.substr(0, equals), argument.substr(equals + 1))) return 111;
    }
    while (true) ::pause();
}
