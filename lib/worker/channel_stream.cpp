#include "worker/channel_stream.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>

#include "sys/socket.hpp"

namespace cluster::worker {

Status ChannelStream::take_memory() {
    kept_.reset(new (std::nothrow) char[kKeptBytes]);
    came_.reset(new (std::nothrow) char[kFirstBytes]);
    came_size_ = kFirstBytes;
    if (kept_ == nullptr || came_ == nullptr) return fail(Op::map, ENOMEM);
    return {};
}

// --- out

Status ChannelStream::write(const Line& line, Wait wait, Then then) {
    const auto size = line.size();
    if (!size) return tl::unexpected<Error>(size.error());
    if (wait == Wait::never) {
        if (*size > kKeptBytes) return fail(Op::send, EMSGSIZE);
        const auto flushed = *size > room() ? flush(Wait::never) : Status{};
        if (!flushed && flushed.error().code != EAGAIN) return flushed;
        if (*size > room()) return fail(Op::send, EAGAIN);
    }
    for (const Line::Piece& piece : line) {
        if (auto taken = put(piece); !taken) return taken;
    }
    if (then == Then::keep) return {};
    auto flushed = flush(wait);
    const bool is_kept = !flushed && flushed.error().code == EAGAIN;
    return is_kept ? Status{} : flushed;
}

Status ChannelStream::put(const Line::Piece& piece) {
    switch (piece.kind) {
        case Line::Piece::Kind::plain:
            return put_bytes(piece.bytes, false);
        case Line::Piece::Kind::json:
            return put_bytes(piece.bytes, true);
        case Line::Piece::Kind::text:
            break;
    }
    return put_text(piece.bytes);
}

Status ChannelStream::put_text(std::string_view text) {
    if (auto taken = put_bytes("\"", false); !taken) return taken;
    while (!text.empty()) {
        const Written next = written_next(text);
        const std::string_view bytes =
            next.is_plain ? text.substr(0, next.read)
                          : std::string_view{next.escape.data(), next.bytes};
        if (auto taken = put_bytes(bytes, false); !taken) return taken;
        text.remove_prefix(next.read);
    }
    return put_bytes("\"", false);
}

Status ChannelStream::put_bytes(std::string_view bytes, bool is_json) {
    while (!bytes.empty()) {
        if (room() == 0) {
            if (auto flushed = flush(Wait::until_taken); !flushed) return flushed;
        }
        if (kept_end_ == kKeptBytes) {
            std::memmove(kept_.get(), kept_.get() + kept_begin_, kept_end_ - kept_begin_);
            kept_end_ -= kept_begin_;
            kept_begin_ = 0;
        }
        const std::size_t size = std::min(bytes.size(), kKeptBytes - kept_end_);
        char* const target = kept_.get() + kept_end_;
        std::memcpy(target, bytes.data(), size);
        if (is_json) std::replace(target, target + size, '\n', ' ');
        kept_end_ += size;
        bytes.remove_prefix(size);
    }
    return {};
}

Status ChannelStream::flush(Wait wait) {
    while (has_kept()) {
        const auto sent = sys::send_some(socket_.get(), {kept_.get() + kept_begin_,
                                                         kept_end_ - kept_begin_});
        if (sent) {
            kept_begin_ += *sent;
        } else if (sent.error().code == EAGAIN) {
            if (wait == Wait::never) return fail(Op::send, EAGAIN);
            // A signal is no reason to leave a line half said.
            static_cast<void>(sys::wait_ready(socket_.get(), false, true));
        } else if (sent.error().code != EINTR) {
            return fail(Op::send, EPIPE);
        }
    }
    kept_begin_ = kept_end_ = 0;
    return {};
}

// --- in

std::optional<std::span<char>> ChannelStream::next_line() {
    char* const from = came_.get() + searched_;
    const auto* const found =
        static_cast<const char*>(std::memchr(from, '\n', came_end_ - searched_));
    if (found == nullptr) {
        searched_ = came_end_;
        return std::nullopt;
    }
    const auto newline = static_cast<std::size_t>(found - came_.get());
    const std::span<char> line{came_.get() + came_begin_, newline - came_begin_};
    came_begin_ = searched_ = newline + 1;
    return line;
}

Status ChannelStream::fill(sys::Receive how) {
    if (came_begin_ == came_end_) came_begin_ = came_end_ = searched_ = 0;
    if (came_end_ == came_size_) {
        if (auto grown = grow(); !grown) return grown;
    }
    const auto came =
        sys::receive_bytes(socket_.get(), {came_.get() + came_end_, came_size_ - came_end_}, how);
    if (!came) {
        const int code = came.error().code;
        return fail(Op::receive, code == EAGAIN || code == EINTR ? code : EPIPE);
    }
    if (*came == 0) return fail(Op::receive, EPIPE);
    came_end_ += *came;
    return {};
}

/// Room behind the beginning of a line: at its front, or in twice the memory.
Status ChannelStream::grow() {
    const std::size_t size = came_end_ - came_begin_;
    if (came_begin_ > 0) {
        std::memmove(came_.get(), came_.get() + came_begin_, size);
    } else {
        std::unique_ptr<char[]> larger{new (std::nothrow) char[came_size_ * 2]};
        if (larger == nullptr) return fail(Op::map, ENOMEM);
        std::memcpy(larger.get(), came_.get(), size);
        came_ = std::move(larger);
        came_size_ *= 2;
    }
    searched_ -= came_begin_;
    came_end_ = size;
    came_begin_ = 0;
    return {};
}

}  // namespace cluster::worker
