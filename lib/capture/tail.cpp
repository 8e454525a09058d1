#include "capture/tail.hpp"

#include <fcntl.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <limits>
#include <optional>
#include <span>
#include <utility>

#include "sys/file.hpp"

namespace cluster::capture {
namespace {

constexpr std::size_t kBlock = 64U * 1024U;
constexpr std::size_t kCallBytes =
    4U * 1024U * 1024U;       // what one call of read_new_lines() may take into memory
constexpr int kAttempts = 8;  // how often a file that shrinks while it is read is tried again
constexpr int kOpenFlags =
    O_RDONLY | O_NONBLOCK | O_NOCTTY;  // a FIFO in the log's place must not hang us

/// The furthest that is looked back for `count` lines.
std::uint64_t window_bytes(std::size_t count) {
    constexpr auto kAll = std::numeric_limits<std::uint64_t>::max();
    constexpr std::uint64_t kPerLine = kMaxLine + 1;  // with its newline
    return count > kAll / kPerLine ? kAll : count * kPerLine;
}

/// Bytes [begin, size) of a file, where `begin` was moved down until `count` + 1 newlines or the
/// window's start. None when the file became shorter than `size` meanwhile.
Result<std::optional<std::string>> read_tail(int file, std::uint64_t size, std::size_t count) {
    const std::uint64_t window = window_bytes(count);
    const std::uint64_t floor = size > window ? size - window : 0;
    std::vector<std::string> blocks;  // last one first
    std::uint64_t newlines = 0;
    for (std::uint64_t begin = size; begin > floor && newlines <= count;) {
        // Blocks end at multiples of kBlock, so that every read but the first is aligned.
        const std::uint64_t start = std::max(floor, (begin - 1) / kBlock * kBlock);
        std::string block(static_cast<std::size_t>(begin - start), '\0');
        for (std::size_t done = 0; done < block.size();) {
            const auto rest = std::as_writable_bytes(std::span(block)).subspan(done);
            const auto got = sys::read_at(file, rest, start + done);
            if (!got) return tl::unexpected(got.error());
            if (*got == 0) return std::optional<std::string>{};
            done += *got;
        }
        newlines += static_cast<std::uint64_t>(std::count(block.begin(), block.end(), '\n'));
        blocks.push_back(std::move(block));
        begin = start;
    }
    std::string tail;
    for (auto block = blocks.rbegin(); block != blocks.rend(); ++block) tail += *block;
    return std::optional<std::string>{std::move(tail)};
}

/// Where the last `count` lines of `tail` begin.
std::size_t find_first_line(std::string_view tail, std::size_t count) {
    if (count == 0 || tail.empty()) return tail.size();
    std::size_t position =
        tail.size() - 1;  // the newline that ends the last line separates nothing
    for (std::size_t seen = 0; position > 0; ++seen) {
        const std::size_t newline = tail.rfind('\n', position - 1);
        if (newline == std::string_view::npos) return 0;
        if (seen + 1 == count) return newline + 1;
        position = newline;
    }
    return 0;
}

LastLines split(std::string_view tail, std::size_t count, std::uint64_t size) {
    LastLines last{.lines = {},
                   .end_offset = size,
                   .ends_in_partial_line = !tail.empty() && tail.back() != '\n'};
    tail.remove_prefix(find_first_line(tail, count));
    while (!tail.empty()) {
        const std::size_t length = std::min(tail.find('\n'), tail.size());
        last.lines.emplace_back(tail.substr(0, std::min(length, kMaxLine)));
        tail.remove_prefix(std::min(length + 1, tail.size()));
    }
    return last;
}

}  // namespace

Result<LastLines> read_last_lines(const std::string& path, std::size_t count) {
    const auto file = sys::open_file(path, kOpenFlags);
    if (!file) return tl::unexpected(file.error());
    // With no lines wanted the last byte is still looked at, for ends_in_partial_line.
    const std::size_t looked_for = std::max<std::size_t>(count, 1);
    for (int attempt = 0; attempt < kAttempts; ++attempt) {
        const auto size = sys::file_size(file->get());
        if (!size) return tl::unexpected(size.error());
        const auto tail = read_tail(file->get(), *size, looked_for);
        if (!tail) return tl::unexpected(tail.error());
        if (*tail) return split(**tail, count, *size);
    }
    return fail(Op::read, EAGAIN);
}

Follower::Follower(std::string path, std::uint64_t offset)
    : path_(std::move(path)), offset_(offset) {
    // Opened now, so that `offset` belongs to the file it was taken from. A failure shows again
    // when reading.
    static_cast<void>(open_current());
}

Status Follower::open_current() {
    auto file = sys::open_file(path_, kOpenFlags);
    if (!file) return tl::unexpected(file.error());
    const auto info = sys::file_info(file->get());
    if (!info) return tl::unexpected(info.error());
    inode_ = info->inode;
    file_ = std::move(*file);
    return {};
}

Result<std::vector<std::string>> Follower::read_new_lines() {
    std::vector<std::string> lines;
    if (!file_.is_open()) {
        const auto opened = open_current();
        if (!opened && opened.error().code == ENOENT) {
            offset_ = 0;  // whatever will stand there is new
            return lines;
        }
        if (!opened) return tl::unexpected(opened.error());
    }
    std::array<char, kBlock> buffer;
    for (std::size_t taken = 0; taken < kCallBytes;) {
        const auto got =
            sys::read_at(file_.get(), std::as_writable_bytes(std::span(buffer)), offset_);
        if (!got) return tl::unexpected(got.error());
        if (*got == 0) {
            const auto turned = turn_to_new_bytes();
            if (!turned) return tl::unexpected(turned.error());
            if (!*turned) break;
            continue;
        }
        take_lines(std::string_view(buffer.data(), *got), lines);
        offset_ += *got;
        taken += *got;
    }
    return lines;
}

Result<bool> Follower::turn_to_new_bytes() {
    if (successor_.is_open()) {
        file_ = std::move(successor_);
        inode_ = successor_inode_;
        offset_ = 0;
        return true;
    }
    const auto size = sys::file_size(file_.get());
    if (!size) return tl::unexpected(size.error());
    if (*size < offset_) {
        offset_ = 0;
        return true;
    }
    // The name is opened rather than looked at: that follows links, and what was compared is what
    // will be read.
    auto file = sys::open_file(path_, kOpenFlags);
    if (!file && file.error().code == ENOENT) return false;
    if (!file) return tl::unexpected(file.error());
    const auto info = sys::file_info(file->get());
    if (!info) return tl::unexpected(info.error());
    if (info->inode == inode_) return false;
    successor_ = std::move(*file);
    successor_inode_ = info->inode;
    return true;
}

void Follower::take_lines(std::string_view bytes, std::vector<std::string>& lines) {
    while (!bytes.empty()) {
        const std::size_t newline = bytes.find('\n');
        const std::size_t length = std::min(newline, bytes.size());
        partial_.append(bytes.substr(0, length));
        bytes.remove_prefix(length);
        while (partial_.size() > kMaxLine) {
            lines.push_back(partial_.substr(0, kMaxLine));
            partial_.erase(0, kMaxLine);
        }
        if (newline == std::string_view::npos) return;
        bytes.remove_prefix(1);
        lines.push_back(std::exchange(partial_, {}));
    }
}

}  // namespace cluster::capture
