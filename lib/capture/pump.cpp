#include "capture/pump.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <span>
#include <utility>

#include "sys/file.hpp"

namespace cluster::capture {
namespace {

constexpr std::size_t kCopyBytes = 64U * 1024U;  // a pipe's default capacity: one read empties it
constexpr std::size_t kDrainExtra =
    64U * 1024U;  // lets drain() see the pipe's end behind the last byte
constexpr std::size_t kUnknownDrain =
    1024U * 1024U;  // largest capacity an unprivileged worker can ask for
/// A line that goes on for so long behind the limit is cut: a log must not grow for want of a
/// newline.
constexpr std::uint64_t kLongestEnd = 64U * 1024U;
constexpr std::size_t kPeekBytes = 16U * 1024U;

}  // namespace

Result<Pump> Pump::open(sys::UniqueFd pipe, std::string path) {
    auto log = LogFile::open(std::move(path));
    if (!log) return tl::unexpected(log.error());
    return Pump{std::move(pipe), std::make_shared<LogFile>(std::move(*log))};
}

Pump::Pump(sys::UniqueFd pipe, std::shared_ptr<LogFile> log)
    : pipe_(std::move(pipe)), log_(std::move(log)) {}

void Pump::stage(Staging staging, const LineFormat& format, std::int64_t (*wall_ms)()) {
    staged_ = std::make_unique<Staged>(Staged{std::move(staging), format, wall_ms});
}

Pumped Pump::pump(std::size_t budget) {
    if (staged_) return pump_staged(budget);
    // The size is asked anew: an operator may have emptied the file (copytruncate), and a second
    // pump of this process may write into it. A remembered offset would leave a hole or overwrite.
    const auto size = log_->size();
    if (!size) {
        error_ = size.error();
        return Pumped::blocked;
    }
    offset_ = static_cast<std::int64_t>(*size);
    for (std::size_t left = budget; left > 0;) {
        const std::uint64_t limit = log_->limit();
        const auto offset = static_cast<std::uint64_t>(offset_);
        Result<std::size_t> moved = std::size_t{0};
        if (offset < limit) {
            moved =
                move_some(static_cast<std::size_t>(std::min<std::uint64_t>(left, limit - offset)));
        } else {
            const auto rest = rest_of_line();
            if (rest && *rest == 0) return Pumped::full;
            moved = rest ? move_some(std::min(left, *rest)) : rest;
        }
        if (!moved) {
            const bool is_pipe_empty = moved.error().code == EAGAIN &&
                                       moved.error().op != Op::write && relayed() == 0;
            if (is_pipe_empty) return Pumped::idle;
            if (moved.error().code == EPIPE) return Pumped::ended;
            error_ = moved.error();
            return Pumped::blocked;
        }
        if (*moved == 0) return Pumped::ended;
        bytes_ += *moved;
        left -= *moved;
    }
    return Pumped::more;
}

/// Errors: {splice, EAGAIN} the pipe is empty; {splice, EPIPE} it has ended.
Result<std::size_t> Pump::rest_of_line() const {
    const auto size = static_cast<std::uint64_t>(offset_);
    if (size >= log_->limit() + kLongestEnd || log_->is_at_line_start(size)) return std::size_t{0};
    const auto end_in = [](std::span<const std::byte> bytes) {
        const auto newline = std::find(bytes.begin(), bytes.end(), std::byte{'\n'});
        const auto length = static_cast<std::size_t>(newline - bytes.begin());
        return std::min(length + 1, bytes.size());
    };
    if (copied_) {
        if (copied_->is_written()) return std::size_t{0};  // cut where the read ended
        return end_in(std::span<const std::byte>(copied_->bytes).subspan(copied_->begin));
    }
    std::array<std::byte, kPeekBytes> buffer;
    const auto seen = sys::peek_pipe(source(), buffer);
    if (!seen && seen.error().code == EINVAL) return std::size_t{0};
    if (!seen) return seen;
    if (*seen == 0) return fail(Op::splice, EPIPE);
    return end_in(std::span<const std::byte>(buffer).first(*seen));
}

Pumped Pump::pump_staged(std::size_t budget) {
    for (std::size_t left = budget; left > 0;) {
        // First what waits: so it never grows beyond a batch and an unfinished line.
        if (const Pumped written = write_staged(false); written != Pumped::idle) return written;
        const auto taken = staged_->staging.take(pipe_.get(), std::min(left, Staging::kBatchBytes));
        if (!taken && taken.error().code == EAGAIN) return Pumped::idle;
        if (!taken) {
            error_ = taken.error();
            return Pumped::blocked;
        }
        if (*taken == 0) {
            const Pumped written = write_staged(true);
            return written == Pumped::idle ? Pumped::ended : written;
        }
        bytes_ += *taken;
        left -= *taken;
    }
    const Pumped written = write_staged(false);
    return written == Pumped::idle ? Pumped::more : written;
}

Pumped Pump::flush() {
    if (staged_) return write_staged(true);
    if (taken() == 0) return Pumped::idle;
    const Pumped result = pump(taken());
    return result == Pumped::more ? Pumped::idle : result;
}

/// Idle: nothing waits, or only an unfinished line that is not taken.
Pumped Pump::write_staged(bool takes_partial) {
    while (true) {
        const auto wrote = staged_->staging.write_batch(*log_, staged_->format, staged_->wall_ms(),
                                                        takes_partial);
        if (!wrote) {
            error_ = wrote.error();
            return Pumped::blocked;
        }
        switch (*wrote) {
            case Staging::Wrote::all:
            case Staging::Wrote::partial:
                return Pumped::idle;
            case Staging::Wrote::full:
                return Pumped::full;
            case Staging::Wrote::some:
                break;
        }
    }
}

Pumped Pump::drain() {
    return pump(drain_budget());
}

std::size_t Pump::drain_budget() const {
    const auto waiting = sys::bytes_in_pipe(pipe_.get());
    return waiting.value_or(kUnknownDrain) + taken() + kDrainExtra;
}

Result<std::size_t> Pump::move_some(std::size_t limit) {
    if (copied_) return copy_some(limit);
    if (relay_ && relay_->waiting() == 0) {
        const auto filled = relay_->fill(pipe_.get(), limit);
        if (!filled || *filled == 0) return filled;
    }
    auto moved =
        sys::splice_to_file(source(), log_->descriptor(), &offset_, within_source(limit));
    if (moved) note_taken(*moved);
    if (moved || moved.error().code != EINVAL) return moved;
    copied_ = std::make_unique<Copied>();
    return copy_some(limit);
}

int Pump::source() const {
    return relayed() > 0 ? relay_->descriptor() : pipe_.get();
}

std::size_t Pump::within_source(std::size_t limit) const {
    return relayed() > 0 ? std::min(limit, relayed()) : limit;
}

/// `bytes` came out of source().
void Pump::note_taken(std::size_t bytes) {
    if (relayed() > 0) relay_->note_taken(bytes);
}

Result<std::size_t> Pump::discard(std::size_t limit) {
    auto thrown = sys::discard_from_pipe(source(), within_source(limit));
    if (thrown) note_taken(*thrown);
    return thrown;
}

Result<std::size_t> Pump::copy_some(std::size_t limit) {
    auto& [bytes, begin] = *copied_;
    if (copied_->is_written()) {
        begin = 0;
        bytes.resize(std::min(within_source(limit), kCopyBytes));
        const auto count = sys::read_some(source(), bytes);
        bytes.resize(count.value_or(0));
        if (!count || *count == 0) return count;
        note_taken(*count);
    }
    const auto rest = std::span<const std::byte>(bytes).subspan(begin);
    const auto count = sys::write_at(log_->descriptor(), rest.first(std::min(limit, rest.size())),
                                     static_cast<std::uint64_t>(offset_));
    if (!count) return count;
    if (*count == 0) return fail(Op::write, EIO);
    begin += *count;
    offset_ += static_cast<std::int64_t>(*count);
    return count;
}

}  // namespace cluster::capture
