#include "capture/pump.hpp"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <span>
#include <utility>

#include "sys/file.hpp"

namespace cluster::capture {
namespace {

constexpr std::uint32_t kLogMode = 0640;         // the group may read logs, strangers may not
constexpr std::size_t kCopyBytes = 64U * 1024U;  // a pipe's default capacity: one read empties it
constexpr std::size_t kDrainExtra =
    64U * 1024U;  // lets drain() see the pipe's end behind the last byte
constexpr std::size_t kUnknownDrain =
    1024U * 1024U;  // largest capacity an unprivileged worker can ask for

}  // namespace

Result<Pump> Pump::open(sys::UniqueFd pipe, std::string path) {
    // O_NONBLOCK: a FIFO somebody put in the log's place must not hang the opener.
    auto file = sys::open_file(path, O_WRONLY | O_CREAT | O_NOCTTY | O_NONBLOCK, kLogMode);
    if (!file) return tl::unexpected(file.error());
    if (const auto size = sys::file_size(file->get()); !size) return tl::unexpected(size.error());
    return Pump{std::move(pipe), std::move(*file), std::move(path)};
}

Pump::Pump(sys::UniqueFd pipe, sys::UniqueFd file, std::string path)
    : pipe_(std::move(pipe)), file_(std::move(file)), path_(std::move(path)) {}

Pumped Pump::pump(std::size_t budget) {
    // The size is asked anew: an operator may have emptied the file (copytruncate), and a second
    // pump of this process may write into it (merged streams). A remembered offset would leave a
    // hole or overwrite.
    const auto size = sys::file_size(file_.get());
    if (!size) {
        error_ = size.error();
        return Pumped::blocked;
    }
    offset_ = static_cast<std::int64_t>(*size);
    for (std::size_t left = budget; left > 0;) {
        const auto moved = move_some(left);
        if (!moved) {
            if (moved.error().code == EAGAIN && moved.error().op != Op::write) return Pumped::idle;
            error_ = moved.error();
            return Pumped::blocked;
        }
        if (*moved == 0) return Pumped::ended;
        bytes_ += *moved;
        left -= *moved;
    }
    return Pumped::more;
}

Pumped Pump::drain() {
    const auto waiting = sys::bytes_in_pipe(pipe_.get());
    const std::size_t unwritten = pending_.size() - pending_begin_;
    return pump(waiting.value_or(kUnknownDrain) + unwritten + kDrainExtra);
}

Result<std::size_t> Pump::move_some(std::size_t limit) {
    if (mode_ == Mode::copy) return copy_some(limit);
    auto moved = sys::splice_to_file(pipe_.get(), file_.get(), &offset_, limit);
    if (moved || moved.error().code != EINVAL) return moved;
    mode_ = Mode::copy;
    return copy_some(limit);
}

Result<std::size_t> Pump::copy_some(std::size_t limit) {
    if (pending_begin_ == pending_.size()) {
        pending_begin_ = 0;
        pending_.resize(std::min(limit, kCopyBytes));
        const auto count = sys::read_some(pipe_.get(), pending_);
        pending_.resize(count.value_or(0));
        if (!count || *count == 0) return count;
    }
    const auto rest = std::span<const std::byte>(pending_).subspan(pending_begin_);
    const auto count = sys::write_at(file_.get(), rest.first(std::min(limit, rest.size())),
                                     static_cast<std::uint64_t>(offset_));
    if (!count) return count;
    if (*count == 0) return fail(Op::write, EIO);
    pending_begin_ += *count;
    offset_ += static_cast<std::int64_t>(*count);
    return count;
}

}  // namespace cluster::capture
