// The bytes of a worker's channel: lines that are kept until they are sent, and lines out of what
// has come. It holds the socket, and no thread stands behind it.
//
// A line is taken whole or not at all, and what was begun is completed before anything else, so
// that the daemon never sees a torn one but at the end of this process.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>

#include "base/time.hpp"
#include "sys/fd.hpp"
#include "sys/stream.hpp"
#include "worker/channel_line.hpp"

namespace cluster::worker {

class ChannelStream {
public:
    /// What is kept, and what a single call of the system takes at most.
    static constexpr std::size_t kKeptBytes = std::size_t{64} << 10U;
    /// Of what comes in; doubled when a line does not fit.
    static constexpr std::size_t kFirstBytes = std::size_t{64} << 10U;

    enum class Wait : std::uint8_t { until_taken, never };
    enum class Then : std::uint8_t { send, keep };

    explicit ChannelStream(sys::UniqueFd socket) : socket_(std::move(socket)) {}
    /// Errors: {map, ENOMEM}.
    [[nodiscard]] Status take_memory();

    [[nodiscard]] int descriptor() const { return socket_.get(); }
    [[nodiscard]] bool has_kept() const { return kept_begin_ < kept_end_; }

    /// Errors: {message, EILSEQ}; {send, EPIPE} the channel is closed; with Wait::never {send,
    /// EAGAIN} and {send, EMSGSIZE}, and nothing of the line was taken.
    [[nodiscard]] Status write(const Line& line, Wait wait, Then then);
    /// Errors: {send, EAGAIN} some of it is still kept; {send, EPIPE}.
    [[nodiscard]] Status flush(Wait wait);

    /// The next line without its newline, which may be written over; valid until fill(). Nothing:
    /// no whole one has come.
    [[nodiscard]] std::optional<std::span<char>> next_line();
    /// Takes in what has come, or comes next where the descriptor is in blocking mode. Errors:
    /// {receive, EAGAIN}; {receive, EINTR}; {receive, EPIPE} the end; {map, ENOMEM}.
    [[nodiscard]] Status fill(sys::Receive how);

private:
    [[nodiscard]] std::size_t room() const { return kKeptBytes - (kept_end_ - kept_begin_); }
    [[nodiscard]] Status put(const Line::Piece& piece);
    [[nodiscard]] Status put_text(std::string_view text);
    [[nodiscard]] Status put_bytes(std::string_view bytes, bool is_json);
    [[nodiscard]] Status grow();

    sys::UniqueFd socket_;
    std::unique_ptr<char[]> kept_;
    std::size_t kept_begin_ = 0;
    std::size_t kept_end_ = 0;
    std::unique_ptr<char[]> came_;
    std::size_t came_size_ = 0;
    std::size_t came_begin_ = 0;
    std::size_t came_end_ = 0;
    std::size_t searched_ = 0;  // no newline between came_begin_ and here
};

}  // namespace cluster::worker
