#include "keeper/link.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "base/assert.hpp"

namespace cluster::keeper {

namespace {

/// In the order in which owed ones are sent: what changes the supervisor's mind before what it only
/// has to look at.
constexpr std::array kNotices{wire::Kind::terminate, wire::Kind::reload, wire::Kind::rotate,
                              wire::Kind::changed};

constexpr std::uint32_t bit_of(wire::Kind kind) {
    for (std::size_t i = 0; i < kNotices.size(); ++i) {
        if (kNotices[i] == kind) return 1U << i;
    }
    return 0;
}

}  // namespace

Result<wire::Message> Link::receive(sys::Packet& packet) {
    if (waiting_ != 0) return fail(Op::receive, EAGAIN);
    // One byte more than a message, so that a longer datagram shows.
    std::array<std::byte, sizeof(wire::Message) + 1> buffer;
    auto received = sys::receive_packet(socket_.get(), buffer, packet);
    // A peer that died with unread doorbells leaves this error in front of what it had sent; it is
    // reported once.
    if (!received && received.error().code == ECONNRESET) {
        received = sys::receive_packet(socket_.get(), buffer, packet);
    }
    if (!received) return tl::unexpected(received.error());
    if (packet.bytes == 0) return fail(Op::receive, EPIPE);
    if (packet.is_truncated) return fail(Op::message, EPROTO);
    return wire::decode(buffer.data(), packet.bytes, packet.fd_count);
}

void Link::answer(const wire::Message& message) {
    if (waiting_ == 0 && send(message) == Outcome::sent) return;
    CLUSTER_ASSERT(waiting_ < answers_.size());
    answers_[waiting_++] = message;
}

void Link::ring(std::span<const Slot> slots) {
    CLUSTER_ASSERT(!slots.empty() && slots.size() <= kMaxRung);
    wire::Message message = wire::make_message(wire::Kind::changed);
    message.slot = slots.front().value;
    for (std::size_t i = 1; i < slots.size(); ++i) {
        message.payload.changed.further[i - 1] = slots[i].value + 1;
    }
    notify(message, bit_of(wire::Kind::changed));
}

void Link::pass_on(wire::Kind kind) {
    notify(wire::make_message(kind), bit_of(kind));
}

void Link::notify(wire::Message message, std::uint32_t bit) {
    // Nothing overtakes what already waits.
    if (owes() || send(message) == Outcome::no_room) owed_ |= bit;
}

void Link::flush() {
    for (std::size_t sent = 0; sent < waiting_; ++sent) {
        if (send(answers_[sent]) == Outcome::sent) continue;
        std::copy(answers_.begin() + sent, answers_.begin() + waiting_, answers_.begin());
        waiting_ -= sent;
        return;
    }
    waiting_ = 0;
    for (const wire::Kind kind : kNotices) {
        if ((owed_ & bit_of(kind)) == 0) continue;
        // A doorbell without a slot: which ones it was meant for is not known any more.
        if (send(wire::make_message(kind)) == Outcome::no_room) return;
        owed_ &= ~bit_of(kind);
    }
}

Link::Outcome Link::send(wire::Message message) {
    if (is_broken_) return Outcome::sent;
    std::array<int, wire::kMaxFdsPerMessage> fds;
    const std::size_t count = attach_(message, fds);
    message.fd_count = static_cast<std::uint32_t>(count);
    const auto bytes = std::as_bytes(std::span(&message, 1));
    auto sent = sys::send_packet(socket_.get(), bytes, {fds.data(), count});
    if (sent) return Outcome::sent;
    // ETOOMANYREFS: too many descriptors of this user are on their way. Source: unix(7). They
    // arrive, or the link ends.
    const int code = sent.error().code;
    if (code == EAGAIN || code == ETOOMANYREFS) return Outcome::no_room;
    is_broken_ = true;
    return Outcome::sent;
}

}  // namespace cluster::keeper
