// A client of one connection or datagram, as the tests of listening sockets use it.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <string>

#include "support/process.hpp"

namespace cluster::test {

struct Address {
    sockaddr_storage storage{};
    socklen_t size = 0;
    [[nodiscard]] const sockaddr* get() const {
        return reinterpret_cast<const sockaddr*>(&storage);
    }
};

inline Address internet(int port) {
    sockaddr_in four{};
    four.sin_family = AF_INET;
    four.sin_port = htons(static_cast<std::uint16_t>(port));
    four.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    Address address;
    std::memcpy(&address.storage, &four, sizeof(four));
    address.size = sizeof(four);
    return address;
}

/// A path, or an abstract name behind '@'.
inline Address local(const std::string& path) {
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    std::memcpy(name.sun_path, path.data(), path.size());
    if (path.front() == '@') name.sun_path[0] = '\0';
    Address address;
    std::memcpy(&address.storage, &name, sizeof(name));
    const std::size_t end = path.front() == '@' ? 0 : 1;
    address.size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + end);
    return address;
}

class Client {
public:
    explicit Client(const Address& address, int type = SOCK_STREAM)
        : fd_(::socket(address.storage.ss_family, type | SOCK_CLOEXEC, 0)) {
        is_connected_ = ::connect(fd_.get(), address.get(), address.size) == 0;
        error_ = is_connected_ ? 0 : errno;
    }
    [[nodiscard]] bool is_connected() const { return is_connected_; }
    [[nodiscard]] int error() const { return error_; }
    void send(const std::string& text) const {
        static_cast<void>(::send(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL));
    }
    /// The first line, or one datagram; what has come when the peer closes or `limit` has passed.
    [[nodiscard]] std::string read(milliseconds limit = seconds{20}) const {
        std::string text;
        std::array<char, 512> buffer{};
        pollfd entry{fd_.get(), POLLIN, 0};
        while (::poll(&entry, 1, static_cast<int>(limit.count()) * kPatience) > 0) {
            const auto count = ::recv(fd_.get(), buffer.data(), buffer.size(), 0);
            if (count <= 0) break;
            text.append(buffer.data(), static_cast<std::size_t>(count));
            if (text.find('\n') != std::string::npos) break;
        }
        return text;
    }

    /// What comes until the peer closes or `limit` has passed without anything.
    [[nodiscard]] std::string read_all(milliseconds limit = seconds{20}) const {
        std::string text;
        std::array<char, 4096> buffer{};
        pollfd entry{fd_.get(), POLLIN, 0};
        while (::poll(&entry, 1, static_cast<int>(limit.count()) * kPatience) > 0) {
            const auto count = ::recv(fd_.get(), buffer.data(), buffer.size(), 0);
            if (count <= 0) break;
            text.append(buffer.data(), static_cast<std::size_t>(count));
        }
        return text;
    }

private:
    sys::UniqueFd fd_;
    bool is_connected_ = false;
    int error_ = 0;
};

}  // namespace cluster::test
