// Ports of this machine that nobody listens on.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sys/fd.hpp"

namespace cluster::test {

/// The first of `count` free ports in a row, below those that the kernel gives to clients (from
/// 32768 on: a load test next door uses thousands of them a second). They stay free as long as no
/// other test happens to take them; processes of the same run begin to look at different places.
inline int free_ports(int count) {
    static int next = 10'000 + (::getpid() * 41) % 20'000;
    for (int base = next;; base += count) {
        int good = 0;
        for (; good < count; ++good) {
            const sys::UniqueFd socket{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
            sockaddr_in address{};
            address.sin_family = AF_INET;
            address.sin_port = htons(static_cast<std::uint16_t>(base + good));
            address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
            if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address),
                       sizeof(address)) != 0) {
                break;
            }
        }
        next = base + count;
        if (good == count) return base;
    }
}

}  // namespace cluster::test
