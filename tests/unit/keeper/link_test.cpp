#include "keeper/link.hpp"

#include <doctest/doctest.h>

#include <cerrno>
#include <utility>

using cluster::Error;
using cluster::Op;
using cluster::keeper::Link;
namespace sys = cluster::sys;
namespace wire = cluster::wire;
using wire::Kind;

namespace {

struct Fixture {
    std::pair<sys::UniqueFd, sys::UniqueFd> ends = [] {
        auto pair = sys::open_seqpacket_pair();
        REQUIRE(pair);
        return std::move(*pair);
    }();
    Link link{std::move(ends.first), [](wire::Message&, std::span<int>) { return 0; }};
    sys::UniqueFd& peer = ends.second;

    void send(const wire::Message& message) {
        REQUIRE(sys::send_packet(peer.get(), std::as_bytes(std::span(&message, 1)), {}));
    }
    std::optional<wire::Message> receive() {
        wire::Message message;
        sys::Packet packet;
        const auto bytes = std::as_writable_bytes(std::span(&message, 1));
        if (!sys::receive_packet(peer.get(), bytes, packet)) return std::nullopt;
        return message;
    }
    /// Doorbells until one does not fit.
    std::uint32_t fill() {
        std::uint32_t count = 0;
        while (!link.interest().writable) link.ring(std::array{cluster::Slot{count++}});
        return count - 1;
    }
    Error receive_error() {
        sys::Packet packet;
        const auto request = link.receive(packet);
        REQUIRE_FALSE(request);
        return request.error();
    }
};

}  // namespace

TEST_CASE("keeper/link: doorbells that do not fit become one for all slots, in the end") {
    Fixture f;
    const std::uint32_t sent = f.fill();
    CHECK(sent > 10);
    f.link.ring(std::array{cluster::Slot{1}});
    f.link.ring(std::array{cluster::Slot{2}});
    for (std::uint32_t i = 0; i < sent; ++i) CHECK(f.receive()->slot == i);
    CHECK_FALSE(f.receive());
    f.link.flush();
    CHECK(f.receive()->slot == wire::kNoSlot);
    CHECK_FALSE(f.receive());
    CHECK_FALSE(f.link.interest().writable);
}

TEST_CASE(
    "keeper/link: an answer that does not fit is kept, and no request is read before it is gone") {
    Fixture f;
    const std::uint32_t sent = f.fill();
    wire::Message answer = wire::make_message(Kind::refused);
    answer.sequence = 5;
    f.link.answer(answer);
    f.link.pass_on(Kind::terminate);
    f.send(wire::make_message(Kind::fetch));
    CHECK_FALSE(f.link.interest().readable);
    CHECK(f.receive_error() == Error{Op::receive, EAGAIN});
    for (std::uint32_t i = 0; i < sent; ++i) REQUIRE(f.receive());
    f.link.flush();
    CHECK(f.receive()->sequence == 5);
    CHECK(f.receive()->kind == Kind::terminate);
    CHECK(f.receive()->kind == Kind::changed);
    CHECK_FALSE(f.receive());
    sys::Packet packet;
    CHECK(f.link.receive(packet));
    CHECK(f.link.interest().readable);
}

TEST_CASE("keeper/link: what a peer sent before it died is read, unread doorbells or not") {
    Fixture f;
    f.link.ring(std::array{cluster::Slot{3}});
    f.send(wire::make_message(Kind::fetch));
    f.send(wire::make_message(Kind::finish));
    f.peer.reset();
    sys::Packet packet;
    CHECK(f.link.receive(packet)->kind == Kind::fetch);
    f.link.ring(std::array{cluster::Slot{4}});
    CHECK(f.link.is_broken());
    CHECK(f.link.receive(packet)->kind == Kind::finish);
    CHECK(f.receive_error() == Error{Op::receive, EPIPE});
}

TEST_CASE("keeper/link: one doorbell names several slots") {
    Fixture f;
    f.link.ring(std::array{cluster::Slot{3}, cluster::Slot{0}, cluster::Slot{9}});
    const auto message = f.receive();
    REQUIRE(message);
    CHECK(message->slot == 3);
    CHECK(message->payload.changed.further[0] == 1);
    CHECK(message->payload.changed.further[1] == 10);
    CHECK(message->payload.changed.further[2] == 0);
}

TEST_CASE("keeper/link: a datagram that is no message ends the link") {
    Fixture f;
    const std::array<std::byte, 300> bytes{};
    for (const std::size_t size : {1UL, 127UL, 128UL, 129UL, 300UL}) {
        REQUIRE(sys::send_packet(f.peer.get(), {bytes.data(), size}, {}));
        CHECK(f.receive_error() == Error{Op::message, EPROTO});
    }
    wire::Message message = wire::make_message(Kind::hold);
    message.fd_count = 1;
    f.send(message);
    CHECK(f.receive_error() == Error{Op::message, EPROTO});
}
