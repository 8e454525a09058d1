#include "sys/socket.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string>
#include <string_view>
#include <vector>

#include "support/scratch.hpp"
#include "sys/file.hpp"

namespace cluster::sys {
namespace {

std::span<const std::byte> bytes_of(std::string_view text) {
    return std::as_bytes(std::span{text.data(), text.size()});
}

std::string text_of_packet(std::span<const std::byte> buffer, const Packet& packet) {
    return {reinterpret_cast<const char*>(buffer.data()), packet.bytes};
}

bool is_close_on_exec(int fd) {
    return (::fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0;
}

TEST_CASE("sys/packets: one datagram in is one datagram out") {
    const auto pair = open_seqpacket_pair();
    REQUIRE(pair);
    REQUIRE(send_packet(pair->first.get(), bytes_of("one"), {}));
    REQUIRE(send_packet(pair->first.get(), bytes_of("second"), {}));
    std::array<std::byte, 64> buffer{};
    Packet packet;
    REQUIRE(receive_packet(pair->second.get(), buffer, packet));
    CHECK(text_of_packet(buffer, packet) == "one");
    REQUIRE(receive_packet(pair->second.get(), buffer, packet));
    CHECK(text_of_packet(buffer, packet) == "second");
    CHECK_FALSE(packet.is_truncated);
    const auto empty = receive_packet(pair->second.get(), buffer, packet);
    REQUIRE_FALSE(empty);
    CHECK(empty.error() == Error{Op::receive, EAGAIN});
}

TEST_CASE("sys/streams: a descriptor goes with the byte that it was sent with") {
    std::array<int, 2> ends{};
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data()) == 0);
    const UniqueFd a{ends[0]};
    const UniqueFd b{ends[1]};
    const auto pipe = open_pipe();
    REQUIRE(pipe);
    CHECK(send_some(a.get(), "before ").value_or(0) == 7);
    CHECK(send_with_descriptor(a.get(), "with", pipe->write_end.get()).value_or(0) == 4);
    std::array<std::byte, 64> buffer{};
    UniqueFd received;
    std::string text;
    while (text.size() < 11) {
        const auto count = receive_some(b.get(), buffer, received);
        REQUIRE(count);
        REQUIRE(*count > 0);
        text.append(reinterpret_cast<const char*>(buffer.data()), *count);
    }
    CHECK(text == "before with");
    REQUIRE(received.is_open());
    CHECK(is_close_on_exec(received.get()));
    CHECK(::write(received.get(), "x", 1) == 1);
    CHECK(read_some(pipe->read_end.get(), buffer).value_or(0) == 1);
    CHECK(receive_some(b.get(), buffer, received).error() == Error{Op::receive, EAGAIN});
}

TEST_CASE("sys/packets: descriptors arrive in order, work, and are close-on-exec") {
    const auto pair = open_seqpacket_pair();
    const auto first = open_pipe();
    const auto second = open_pipe();
    REQUIRE(pair);
    REQUIRE(first);
    REQUIRE(second);
    const std::array<int, 2> fds{first->write_end.get(), second->write_end.get()};
    REQUIRE(send_packet(pair->first.get(), bytes_of("two"), fds));
    std::array<std::byte, 16> buffer{};
    Packet packet;
    REQUIRE(receive_packet(pair->second.get(), buffer, packet));
    REQUIRE(packet.fd_count == 2);
    CHECK(is_close_on_exec(packet.fds[0].get()));
    CHECK(is_close_on_exec(packet.fds[1].get()));
    REQUIRE(write_all(packet.fds[0].get(), "a"));
    REQUIRE(write_all(packet.fds[1].get(), "bb"));
    CHECK(read_some(first->read_end.get(), buffer).value_or(0) == 1);
    CHECK(read_some(second->read_end.get(), buffer).value_or(0) == 2);
}

TEST_CASE("sys/packets: 64 descriptors fit and 65 are refused before anything is sent") {
    const auto pair = open_seqpacket_pair();
    const auto pipe = open_pipe();
    REQUIRE(pair);
    REQUIRE(pipe);
    std::vector<int> fds(kMaxFdsInFlight + 1, pipe->read_end.get());
    const auto refused = send_packet(pair->first.get(), bytes_of("x"), fds);
    REQUIRE_FALSE(refused);
    CHECK(refused.error() == Error{Op::send, EINVAL});
    fds.pop_back();
    REQUIRE(send_packet(pair->first.get(), bytes_of("x"), fds));
    const std::size_t before = count_open_descriptors();
    std::array<std::byte, 16> buffer{};
    {
        Packet packet;
        REQUIRE(receive_packet(pair->second.get(), buffer, packet));
        CHECK(packet.fd_count == kMaxFdsInFlight);
        CHECK(count_open_descriptors() == before + kMaxFdsInFlight);
    }
    CHECK(count_open_descriptors() == before);
}

TEST_CASE("sys/packets: a datagram larger than the buffer is marked and leaks no descriptor") {
    const auto pair = open_seqpacket_pair();
    const auto pipe = open_pipe();
    REQUIRE(pair);
    REQUIRE(pipe);
    const std::array<int, 1> fds{pipe->read_end.get()};
    REQUIRE(send_packet(pair->first.get(), bytes_of(std::string(100, 'x')), fds));
    const std::size_t before = count_open_descriptors();
    std::array<std::byte, 16> buffer{};
    Packet packet;
    REQUIRE(receive_packet(pair->second.get(), buffer, packet));
    CHECK(packet.is_truncated);
    packet = Packet{};
    CHECK(count_open_descriptors() == before);
}

TEST_CASE("sys/packets: a full link says EAGAIN and loses nothing that it took") {
    const auto pair = open_seqpacket_pair();
    REQUIRE(pair);
    const std::string message(128, 'm');
    std::size_t sent = 0;
    Status last;
    while ((last = send_packet(pair->first.get(), bytes_of(message), {}))) ++sent;
    CHECK(last.error() == Error{Op::send, EAGAIN});
    std::array<std::byte, 256> buffer{};
    Packet packet;
    std::size_t received = 0;
    while (receive_packet(pair->second.get(), buffer, packet)) received += packet.bytes == 128;
    CHECK(received == sent);
}

TEST_CASE("sys/packets: a peer that is gone is zero bytes, and sending to it is no signal") {
    auto pair = open_seqpacket_pair();
    REQUIRE(pair);
    pair->first.reset();
    std::array<std::byte, 16> buffer{};
    Packet packet;
    REQUIRE(receive_packet(pair->second.get(), buffer, packet));
    CHECK(packet.bytes == 0);
    const auto sent = send_packet(pair->second.get(), bytes_of("x"), {});
    REQUIRE_FALSE(sent);
    CHECK(sent.error() == Error{Op::send, EPIPE});
}

TEST_CASE("sys/control socket: only its owner may connect, and the peer is known") {
    const test::Scratch scratch;
    const auto listener = listen_unix(scratch / "s", 8);
    REQUIRE(listener);
    struct stat info {};
    REQUIRE(::stat((scratch / "s").c_str(), &info) == 0);
    CHECK((info.st_mode & 0777U) == 0600);
    const auto nobody = accept_connection(listener->get());
    REQUIRE_FALSE(nobody);
    CHECK(nobody.error() == Error{Op::accept, EAGAIN});

    const auto client = connect_unix(scratch / "s");
    REQUIRE(client);
    const auto server = accept_connection(listener->get());
    REQUIRE(server);
    CHECK(is_close_on_exec(server->get()));
    const auto peer = peer_credentials(server->get());
    REQUIRE(peer);
    CHECK(peer->pid == ::getpid());
    CHECK(peer->uid == ::geteuid());
    CHECK(send_some(client->get(), "hello\n").value_or(0) == 6);
    std::array<std::byte, 16> buffer{};
    CHECK(read_some(server->get(), buffer).value_or(0) == 6);
}

TEST_CASE("sys/control socket: a path of 107 bytes fits and one of 108 does not") {
    const test::Scratch scratch;
    const std::string head = scratch.path() + "/";
    const std::string longest = head + std::string(107 - head.size(), 'p');
    const auto listener = listen_unix(longest, 1);
    REQUIRE(listener);
    CHECK(connect_unix(longest));
    const auto bound = listen_unix(longest + "p", 1);
    REQUIRE_FALSE(bound);
    CHECK(bound.error() == Error{Op::bind, ENAMETOOLONG});
    const auto connected = connect_unix(longest + "p");
    REQUIRE_FALSE(connected);
    CHECK(connected.error() == Error{Op::connect, ENAMETOOLONG});
}

TEST_CASE("sys/control socket: a dead socket file is a refused connection, none is ENOENT") {
    const test::Scratch scratch;
    REQUIRE(listen_unix(scratch / "s", 1));  // the listener is closed again, its file stays
    const auto dead = connect_unix(scratch / "s");
    REQUIRE_FALSE(dead);
    CHECK(dead.error() == Error{Op::connect, ECONNREFUSED});
    const auto none = connect_unix(scratch / "t");
    REQUIRE_FALSE(none);
    CHECK(none.error() == Error{Op::connect, ENOENT});
}

TEST_CASE("sys/send_some: a peer that reads nothing costs EAGAIN and not a wait") {
    const test::Scratch scratch;
    const auto listener = listen_unix(scratch / "s", 1);
    REQUIRE(listener);
    const auto client = connect_unix(scratch / "s");
    REQUIRE(client);
    const std::string block(65536, 'b');
    Result<std::size_t> last = 0U;
    int rounds = 0;
    while (rounds < 10000 && (last = send_some(client->get(), block))) ++rounds;
    REQUIRE_FALSE(last);
    CHECK(last.error() == Error{Op::send, EAGAIN});
}

}  // namespace
}  // namespace cluster::sys
