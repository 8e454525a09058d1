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
//   store=NAME:TEXT   stores a memory file with this text (FDSTORE=1); without NAME, none is said
//   drop=NAME         FDSTOREREMOVE=1
//   hang-up=NAME      stores one end of a socket pair whose other end is closed
//   show=FD           the text of a file, from its begin, to stdout
//   barrier=          BARRIER=1, and waits until the daemon has closed what came with it
//   background=FORKS[:pidfd|:id|:wrong-id]
//                     goes on in a child of a session of its own, which says MAINPID= and READY=1
//                     before the parent ends; with MAINPIDFD=1 in place of it, with MAINPIDFDID=,
//                     or with one that is not its own
//   reloads=PATH      from now on, on SIGHUP: RELOADING=1, then waits for the file, then READY=1
//   end=CODE      ends
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
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

bool say_with(const std::string& text, int descriptor) {
    const char* const path = std::getenv("NOTIFY_SOCKET");
    if (path == nullptr) return false;
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
    const int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    iovec part{const_cast<char*>(text.data()), text.size()};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))]{};
    msghdr message{};
    message.msg_name = &address;
    message.msg_namelen = sizeof(address);
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof(control);
    cmsghdr* const header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(header), &descriptor, sizeof(int));
    const bool is_sent = ::sendmsg(fd, &message, 0) >= 0;
    ::close(fd);
    return is_sent;
}

std::string store_text(const std::string& name) {
    return "FDSTORE=1" + (name.empty() ? "" : "\nFDNAME=" + name);
}

bool store(const std::string& value) {
    const std::size_t colon = value.find(':');
    const std::string text = value.substr(colon + 1);
    const int fd = ::memfd_create("speaks", 0);
    if (::write(fd, text.data(), text.size()) < 0) return false;
    return say_with(store_text(value.substr(0, colon)), fd) && ::close(fd) == 0;
}

bool hang_up(const std::string& name) {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0 || ::close(ends[1]) != 0) return false;
    return say_with(store_text(name), ends[0]) && ::close(ends[0]) == 0;
}

bool show(int fd) {
    char text[256];
    const ssize_t count = ::pread(fd, text, sizeof(text), 0);
    if (count < 0) return false;
    std::printf("%d: %.*s\n", fd, static_cast<int>(count), text);
    return std::fflush(stdout) == 0;
}

bool wait_at_barrier() {
    int ends[2];
    if (::pipe(ends) != 0 || !say_with("BARRIER=1", ends[1]) || ::close(ends[1]) != 0) return false;
    char byte;
    return ::read(ends[0], &byte, 1) == 0;
}

bool say_main_process(const std::string& how) {
    const std::string number = "MAINPID=" + std::to_string(::getpid()) + "\n";
    if (how.empty()) return say(number + "READY=1");
    const int pidfd = static_cast<int>(::syscall(SYS_pidfd_open, ::getpid(), 0));
    if (how == "pidfd") return say_with("MAINPIDFD=1\nREADY=1", pidfd);
    struct stat status {};
    if (::fstat(pidfd, &status) != 0) return false;
    const auto id = status.st_ino + (how == "wrong-id" ? 1 : 0);
    return say(number + "MAINPIDFDID=" + std::to_string(id) + "\nREADY=1");
}

bool go_into_background(const std::string& value) {
    const int forks = std::atoi(value.c_str());
    const std::size_t colon = value.find(':');
    const std::string how = colon == std::string::npos ? "" : value.substr(colon + 1);
    int ends[2];
    if (::pipe(ends) != 0) return false;
    for (int i = 0; i < forks; ++i) {
        const pid_t child = ::fork();
        if (child < 0) return false;
        if (child > 0) {
            char byte;
            ::close(ends[1]);
            static_cast<void>(::read(ends[0], &byte, 1));
            ::_exit(0);
        }
        if (i == 0) ::setsid();
    }
    // Its parent is alive until the word is out; it may be read after that.
    const bool is_said = say_main_process(how);
    ::close(ends[0]);
    ::close(ends[1]);
    return is_said;
}

std::string g_reload_file;
volatile sig_atomic_t g_shall_reload = 0;

void reload() {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    const long long us = now.tv_sec * 1'000'000LL + now.tv_nsec / 1000;
    say("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(us));
    while (::access(g_reload_file.c_str(), F_OK) != 0) ::poll(nullptr, 0, 5);
    say("READY=1");
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
    if (step == "store") return store(value);
    if (step == "drop") return say("FDSTOREREMOVE=1\nFDNAME=" + value);
    if (step == "hang-up") return hang_up(value);
    if (step == "show") return show(std::atoi(value.c_str()));
    if (step == "barrier") return wait_at_barrier();
    if (step == "background") return go_into_background(value);
    if (step == "reloads") {
        g_reload_file = value;
        ::signal(SIGHUP, [](int) { g_shall_reload = 1; });
    }
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
    while (true) {
        ::poll(nullptr, 0, 1000);  // not pause(): the signal may have come just before
        if (g_shall_reload != 0) {
            g_shall_reload = 0;
            reload();
        }
    }
}
