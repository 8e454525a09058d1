// The keeper's end of the link to one supervisor: what came in, what must still go out.
//
// The keeper never waits for the supervisor. An answer that does not fit into the socket stays
// here, and no further request is read until it is gone (back-pressure); a doorbell that does not
// fit is remembered as "something changed". Answers are kept without their descriptors, which are
// looked up again when there is room: nothing is duplicated and nothing can go stale. Owns: the
// socket.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <span>

#include "base/ids.hpp"
#include "base/result.hpp"
#include "ev/poller.hpp"
#include "sys/fd.hpp"
#include "sys/socket.hpp"
#include "wire/message.hpp"

namespace cluster::keeper {

class Link {
public:
    /// Fills in the descriptors of an answer, at the moment at which it is sent, and returns their
    /// count; may complete the message as well. Requires: valid while the link is.
    using Attach = std::function<std::size_t(wire::Message& message, std::span<int> fds)>;

    Link(sys::UniqueFd socket, Attach attach)
        : socket_(std::move(socket)), attach_(std::move(attach)) {}

    [[nodiscard]] int descriptor() const { return socket_.get(); }

    /// The next request. Errors: {receive, EAGAIN} nothing there, or an answer has to go out first;
    /// {receive, EPIPE} the other end is gone and everything was read; {message, EPROTO} what came
    /// is no message: the link is not to be used any more.
    [[nodiscard]] Result<wire::Message> receive(sys::Packet& packet);

    /// Sends an answer or keeps it until there is room. Requires: as many as kMaxAnswers for one
    /// request.
    void answer(const wire::Message& message);
    /// One doorbell names so many slots.
    static constexpr std::size_t kMaxRung = 25;
    /// Rings the doorbell for slots. Requires: 1 … kMaxRung.
    void ring(std::span<const Slot> slots);
    /// Passes on what clusterd was asked by a signal: terminate, reload or rotate.
    void pass_on(wire::Kind kind);
    /// The socket has room: sends what waits.
    void flush();
    /// Nobody is left to read the answer that waits.
    void forget_answer() { waiting_ = 0; }

    /// Readiness that the link wants: room while something waits; requests while no answer does.
    [[nodiscard]] ev::Interest interest() const {
        return {.readable = waiting_ == 0, .writable = owes()};
    }
    /// Sending failed for another reason than want of room: nobody is left at the other end. What
    /// came from there before can still be received.
    [[nodiscard]] bool is_broken() const { return is_broken_; }

private:
    enum class Outcome { sent, no_room };
    [[nodiscard]] Outcome send(wire::Message message);
    [[nodiscard]] bool owes() const { return waiting_ != 0 || owed_ != 0; }
    void notify(wire::Message message, std::uint32_t bit);

    sys::UniqueFd socket_;
    Attach attach_;
    /// A request that names seven runs may be refused for each of them.
    static constexpr std::size_t kMaxAnswers = 7;
    std::array<wire::Message, kMaxAnswers> answers_;  // the first waiting_ of them, in order
    std::size_t waiting_ = 0;
    std::uint32_t owed_ = 0;  // one bit for each kind of notice in kNotices
    bool is_broken_ = false;
};

}  // namespace cluster::keeper
