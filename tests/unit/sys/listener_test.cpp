#include "sys/listener.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>
#include <vector>

#include "support/client.hpp"
#include "support/scratch.hpp"
#include "sys/file.hpp"

namespace cluster::sys {
namespace {

using Family = ListenAddress::Family;
using Type = ListenAddress::Type;

ListenAddress internet_at(const std::string& host, std::uint16_t port = 0) {
    ListenAddress address;
    address.host = host;
    address.port = port;
    return address;
}

ListenAddress local_at(Family family, const std::string& path, Type type = Type::stream) {
    ListenAddress address;
    address.family = family;
    address.type = type;
    address.path = path;
    return address;
}

std::uint16_t port_in(const std::string& text) {
    return static_cast<std::uint16_t>(std::stoi(text.substr(text.rfind(':') + 1)));
}

const std::array<std::uint32_t, 1> kOwn{static_cast<std::uint32_t>(::getuid())};

TEST_CASE("sys/listener: a port of the kernel's choice can be asked for, and is taken then") {
    const auto listener = open_listener(internet_at("127.0.0.1"), {});
    REQUIRE(listener);
    const auto address = bound_address(listener->get());
    REQUIRE(address);
    CHECK(address->rfind("127.0.0.1:", 0) == 0);
    const std::uint16_t port = port_in(*address);
    REQUIRE(port != 0);
    CHECK((::fcntl(listener->get(), F_GETFD) & FD_CLOEXEC) != 0);
    CHECK((::fcntl(listener->get(), F_GETFL) & O_NONBLOCK) == 0);
    const auto second = open_listener(internet_at("127.0.0.1", port), {});
    REQUIRE_FALSE(second);
    CHECK(second.error().code == EADDRINUSE);
    const auto holder = find_holder(internet_at("127.0.0.1", port), std::chrono::seconds{20});
    REQUIRE(holder);
    CHECK(holder->pid == ::getpid());
    CHECK(holder->name == "unit_sys");
    CHECK_FALSE(find_holder(internet_at("127.0.0.1", 1), std::chrono::seconds{20}));
}

TEST_CASE("sys/listener: connections that nobody accepted are counted") {
    const auto listener = open_listener(internet_at("127.0.0.1"), {});
    REQUIRE(listener);
    const int port = port_in(*bound_address(listener->get()));
    CHECK(waiting_in(listener->get()) == 0);
    const test::Client one(test::internet(port));
    const test::Client two(test::internet(port));
    for (int i = 0; i < 1000 && waiting_in(listener->get()) != 2; ++i) ::poll(nullptr, 0, 10);
    CHECK(waiting_in(listener->get()) == 2);
}

TEST_CASE("sys/listener: reuse_port lets two have a port, also when it is said later") {
    ListenOptions options;
    options.reuse_port = true;
    const auto first = open_listener(internet_at("127.0.0.1"), {});
    REQUIRE(first);
    const ListenAddress same = internet_at("127.0.0.1", port_in(*bound_address(first->get())));
    CHECK_FALSE(open_listener(same, options));
    REQUIRE(adjust_listener(first->get(), same, options));
    CHECK(open_listener(same, options));
}

TEST_CASE("sys/listener: every address is IPv6 and IPv4, or IPv6 alone") {
    const auto both = open_listener(internet_at(""), {});
    REQUIRE(both);
    const std::string text = *bound_address(both->get());
    CHECK(test::Client(test::internet(port_in(text))).is_connected());
    if (text.rfind("[::]:", 0) != 0) return;  // a machine without IPv6
    ListenAddress six = internet_at("::");
    six.ipv6_only = true;
    const auto only = open_listener(six, {});
    REQUIRE(only);
    CHECK_FALSE(test::Client(test::internet(port_in(*bound_address(only->get())))).is_connected());
}

TEST_CASE("sys/listener: blocking and back, for all who share it") {
    const ListenAddress address = internet_at("127.0.0.1");
    ListenOptions options;
    options.nonblocking = true;
    const auto listener = open_listener(address, options);
    REQUIRE(listener);
    CHECK((::fcntl(listener->get(), F_GETFL) & O_NONBLOCK) != 0);
    REQUIRE(adjust_listener(listener->get(), address, {}));
    CHECK((::fcntl(listener->get(), F_GETFL) & O_NONBLOCK) == 0);
}

TEST_CASE("sys/listener: what is no address is refused") {
    CHECK(open_listener(internet_at("localhost"), {}).error() == Error{Op::bind, EINVAL});
    CHECK(open_listener(internet_at("192.0.2.1"), {}).error() == Error{Op::bind, EADDRNOTAVAIL});
    const std::string path = "/" + std::string(107, 'x');
    CHECK(open_listener(local_at(Family::path, path), {}).error() == Error{Op::bind, ENAMETOOLONG});
}

TEST_CASE("sys/listener: UNIX sockets of every type, with and without a file") {
    const test::Scratch dir;
    for (const Type type : {Type::stream, Type::datagram, Type::seqpacket}) {
        const std::string path = dir / "s";
        const auto listener = open_listener(local_at(Family::path, path, type), {});
        REQUIRE(listener);
        CHECK(bound_address(listener->get()) == path);
        REQUIRE(set_socket_file(path, 0604, kKeepId, kKeepId));
        CHECK((file_info(path)->mode & 07777) == 0604);
        // Asked for as whatever type: it is listened to.
        CHECK(remove_stale_socket(path, Type::stream, kOwn).error() == Error{Op::bind, EADDRINUSE});
        const auto holder =
            find_holder(local_at(Family::path, path, type), std::chrono::seconds{20});
        REQUIRE(holder);
        CHECK(holder->pid == ::getpid());
        REQUIRE(remove_file(path));
    }
    const std::string name = "clusterd-unit-" + std::to_string(::getpid());
    const auto abstract = open_listener(local_at(Family::abstract, name), {});
    REQUIRE(abstract);
    CHECK(bound_address(abstract->get()) == "@" + name);
    CHECK(test::Client(test::local("@" + name)).is_connected());
}

TEST_CASE("sys/listener: only a stale socket of ours makes way") {
    const test::Scratch dir;
    const std::string path = dir / "s";
    CHECK(remove_stale_socket(path, Type::stream, kOwn));
    for (const Type type : {Type::stream, Type::datagram, Type::seqpacket}) {
        REQUIRE(open_listener(local_at(Family::path, path, type), {}));
        const std::array<std::uint32_t, 1> other{kOwn[0] + 1};
        CHECK(remove_stale_socket(path, Type::stream, other).error() ==
              Error{Op::check_owner, EPERM});
        CHECK(remove_stale_socket(path, Type::stream, kOwn));
        CHECK(file_info(path).error().code == ENOENT);
    }
    REQUIRE(::symlink("/dev/null", path.c_str()) == 0);
    CHECK(remove_stale_socket(path, Type::stream, kOwn).error() == Error{Op::bind, ENOTSOCK});
    CHECK_FALSE(set_socket_file(path, 0666, kKeepId, kKeepId));
}

}  // namespace
}  // namespace cluster::sys
