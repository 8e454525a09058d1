#include "sys/datagram.hpp"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string_view>

#include "support/scratch.hpp"
#include "sys/file.hpp"
#include "sys/socket.hpp"

namespace cluster::sys {
namespace {

UniqueFd connected_to(const std::string& path) {
    UniqueFd fd{::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
    REQUIRE(::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
    return fd;
}

std::span<const std::byte> bytes_of(std::string_view text) {
    return std::as_bytes(std::span{text.data(), text.size()});
}

std::string text_of(const Datagram& datagram, std::span<const std::byte> buffer) {
    return {reinterpret_cast<const char*>(buffer.data()), datagram.bytes};
}

TEST_CASE("sys/datagram: the sender is named, a peek leaves everything where it is") {
    const test::Scratch dir;
    const std::string path = dir / "s";
    test::write_text(path, "in the way");
    const auto socket = bind_datagrams(path, ::geteuid(), ::getegid());
    REQUIRE(socket);
    struct stat info {};
    REQUIRE(::stat(path.c_str(), &info) == 0);
    CHECK((info.st_mode & 07777) == 0600);

    std::array<std::byte, 16> buffer{};
    Datagram datagram;
    CHECK(receive_datagram(socket->get(), buffer, false, datagram).error().code == EAGAIN);
    const UniqueFd sender = connected_to(path);
    const int attached[] = {sender.get()};
    const std::size_t before = count_open_descriptors();
    REQUIRE(send_packet(sender.get(), bytes_of("READY=1"), attached));
    for (const bool is_peek : {true, true, false}) {
        REQUIRE(receive_datagram(socket->get(), buffer, is_peek, datagram));
        CHECK(text_of(datagram, buffer) == "READY=1");
        CHECK(datagram.pid == ::getpid());
        CHECK(datagram.uid == ::geteuid());
        CHECK(datagram.fd_count == 1);
        CHECK_FALSE(datagram.is_truncated);
        CHECK(count_open_descriptors() == before + 1);
    }
    CHECK(receive_datagram(socket->get(), buffer, false, datagram).error().code == EAGAIN);
    CHECK(count_open_descriptors() == before);
}

TEST_CASE("sys/datagram: what does not fit is truncated, and says so") {
    const test::Scratch dir;
    const auto socket = bind_datagrams(dir / "s", ::geteuid(), ::getegid());
    REQUIRE(socket);
    const UniqueFd sender = connected_to(dir / "s");
    std::array<std::byte, 4> buffer{};
    Datagram datagram;
    REQUIRE(send_packet(sender.get(), bytes_of("12345"), {}));
    REQUIRE(receive_datagram(socket->get(), buffer, false, datagram));
    CHECK(datagram.is_truncated);
    CHECK(datagram.bytes == 4);
    const std::vector<int> many(kMaxDatagramFds + 8, sender.get());
    const std::size_t before = count_open_descriptors();
    REQUIRE(send_packet(sender.get(), bytes_of("1"), many));
    REQUIRE(receive_datagram(socket->get(), buffer, false, datagram));
    CHECK(datagram.is_truncated);
    datagram = Datagram{};
    CHECK(count_open_descriptors() == before);
}

TEST_CASE("sys/datagram: a path that is too long is refused") {
    const auto socket = bind_datagrams("/tmp/" + std::string(120, 'x'), 0, 0);
    REQUIRE_FALSE(socket);
    CHECK(socket.error() == Error{Op::bind, ENAMETOOLONG});
}

/// True once the connection is decided for good.
bool connects(const std::string& host, std::uint16_t port) {
    const auto socket = begin_connect(host, port);
    if (!socket) return false;
    REQUIRE(wait_ready(socket->get(), false, true));
    return is_connected(socket->get());
}

TEST_CASE("sys/datagram: a connection stands only where somebody listens") {
    UniqueFd listener{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    REQUIRE(::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), size) == 0);
    REQUIRE(::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
    const std::uint16_t port = ntohs(address.sin_port);
    CHECK_FALSE(connects("127.0.0.1", port));
    REQUIRE(::listen(listener.get(), 4) == 0);
    CHECK(connects("127.0.0.1", port));
    CHECK_FALSE(begin_connect("localhost", port));
    CHECK(begin_connect("nobody", port).error() == Error{Op::connect, EINVAL});
    listener.reset();
    // Often enough for the kernel to choose this very port as the source of a connection to it.
    for (int i = 0; i < 200; ++i) REQUIRE_FALSE(connects("127.0.0.1", port));
}

}  // namespace
}  // namespace cluster::sys
