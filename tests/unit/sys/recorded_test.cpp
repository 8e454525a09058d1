#include "sys/recorded.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>

namespace cluster::sys {
namespace {

struct alignas(8) Call {
    std::array<std::byte, kRecordedCallBytes> head{};

    [[nodiscard]] std::uint32_t bytes() const {
        std::uint32_t count = 0;
        std::memcpy(&count, head.data() + kRecordedBytesAt, sizeof count);
        return count;
    }
};

std::span<std::byte> writable(std::string& text) {
    return std::as_writable_bytes(std::span{text.data(), text.size()});
}

TEST_CASE("sys/recorded: bytes go over two pieces each way, and their number is in the record") {
    auto pair = open_stream_pair(65536);
    REQUIRE(pair);
    std::string first = "abc";
    std::string second = "defgh";
    Call sending;
    REQUIRE(send_recorded(pair->first.get(), &sending, writable(first), writable(second)));
    CHECK(sending.bytes() == 8);
    std::string begin(6, ' ');
    std::string rest(10, ' ');
    Call receiving;
    std::uint64_t descriptors = 0;
    const auto received = receive_recorded(pair->second.get(), &receiving, writable(begin),
                                           writable(rest), descriptors);
    REQUIRE(received);
    CHECK(*received);
    CHECK(receiving.bytes() == 8);
    CHECK(begin == "abcdef");
    CHECK(rest.substr(0, 2) == "gh");
    CHECK(descriptors == 0);
}

TEST_CASE("sys/recorded: nothing there, no room, and the end") {
    auto pair = open_stream_pair(65536);
    REQUIRE(pair);
    std::string buffer(4096, 'x');
    Call call;
    std::uint64_t descriptors = 0;
    const auto nothing =
        receive_recorded(pair->first.get(), &call, writable(buffer), {}, descriptors);
    REQUIRE_FALSE(nothing);
    CHECK(nothing.error().code == EAGAIN);
    Status sent;
    for (int i = 0; i < 10'000 && sent; ++i) {
        sent = send_recorded(pair->first.get(), &call, writable(buffer), {});
    }
    REQUIRE_FALSE(sent);
    CHECK(sent.error().code == EAGAIN);
    pair->second.reset();
    const auto broken = send_recorded(pair->first.get(), &call, writable(buffer), {});
    REQUIRE_FALSE(broken);
    CHECK(broken.error().code == EPIPE);
    auto other = open_stream_pair(65536);
    REQUIRE(other);
    other->second.reset();
    const auto end = receive_recorded(other->first.get(), &call, writable(buffer), {}, descriptors);
    REQUIRE(end);
    CHECK_FALSE(*end);
}

TEST_CASE("sys/recorded: descriptors that come uninvited are closed and counted") {
    auto pair = open_stream_pair(65536);
    REQUIRE(pair);
    std::array<int, 2> pipe{};
    REQUIRE(::pipe2(pipe.data(), O_CLOEXEC) == 0);
    char byte = 'x';
    iovec part{&byte, 1};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(header), &pipe[1], sizeof(int));
    REQUIRE(::sendmsg(pair->second.get(), &message, 0) == 1);
    REQUIRE(::close(pipe[1]) == 0);
    std::string buffer(8, ' ');
    Call call;
    std::uint64_t descriptors = 0;
    REQUIRE(receive_recorded(pair->first.get(), &call, writable(buffer), {}, descriptors));
    CHECK(descriptors == 1);
    // Nobody holds the pipe's write end any more.
    char nothing = 0;
    CHECK(::read(pipe[0], &nothing, 1) == 0);
    ::close(pipe[0]);
}

}  // namespace
}  // namespace cluster::sys
