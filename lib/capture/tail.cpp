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
constexpr int kAttempts = 8;  // how often a file that changes while it is looked at is tried again
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
                   .inode = 0,
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
    return read_last_lines(file->get(), count);
}

Result<LastLines> read_last_lines(int file, std::size_t count) {
    // With no lines wanted the last byte is still looked at, for ends_in_partial_line.
    const std::size_t looked_for = std::max<std::size_t>(count, 1);
    for (int attempt = 0; attempt < kAttempts; ++attempt) {
        const auto size = sys::file_size(file);
        if (!size) return tl::unexpected(size.error());
        const auto tail = read_tail(file, *size, looked_for);
        if (!tail) return tl::unexpected(tail.error());
        if (!*tail) continue;
        LastLines last = split(**tail, count, *size);
        if (const auto info = sys::file_info(file)) last.inode = info->inode;
        return last;
    }
    return fail(Op::read, EAGAIN);
}

std::optional<std::string> LineReader::next() {
    while (true) {
        const std::size_t waiting = buffer_.size() - begin_;
        const std::size_t newline = buffer_.find('\n', begin_);
        if (newline != std::string::npos && newline - begin_ <= kMaxLine) {
            std::string line = buffer_.substr(begin_, newline - begin_);
            begin_ = newline + 1;
            return line;
        }
        const bool is_long = waiting > kMaxLine;
        if (is_long || !read_block()) {
            if (waiting == 0) return std::nullopt;
            std::string piece = buffer_.substr(begin_, kMaxLine);
            begin_ += piece.size();
            return piece;
        }
    }
}

bool LineReader::read_block() {
    const std::uint64_t left = size_ - std::min(size_, offset_);
    buffer_.erase(0, begin_);
    begin_ = 0;
    if (left == 0 || !file_.is_open()) return false;
    const std::size_t before = buffer_.size();
    buffer_.resize(before + static_cast<std::size_t>(std::min<std::uint64_t>(left, kBlock)));
    const auto got = sys::read_at(
        file_.get(), std::as_writable_bytes(std::span(buffer_)).subspan(before), offset_);
    buffer_.resize(before + got.value_or(0));
    offset_ += got.value_or(0);
    return buffer_.size() > before;
}

Follower::Follower(std::string path, std::uint64_t offset, std::uint64_t inode, Unpack unpack)
    : path_(std::move(path)), offset_(offset), unpack_(std::move(unpack)) {
    // Opened now, so that `offset` belongs to the file it was taken from. A failure shows again
    // when reading.
    if (auto log = open_log()) now_ = std::move(*log);
    if (inode != 0 && now_.inode != inode) begin_at(inode);
}

/// The file that the offset belongs to was rotated away before we could open it.
void Follower::begin_at(std::uint64_t inode) {
    const auto archives = list_archives(path_);
    if (!archives) return;
    for (const ArchiveFile& archive : *archives) {
        const auto info = sys::file_info(archive.path);
        if (archive.name.is_packed || !info || info->inode != inode) continue;
        if (auto file = open_archive(archive, unpack_)) {
            now_ = {std::move(*file), inode, archive.name.number, false};
            return;
        }
    }
    offset_ = 0;  // gone; what stands in its place is new
}

Result<Follower::Link> Follower::open_log() const {
    for (int attempt = 0; attempt < kAttempts; ++attempt) {
        auto file = sys::open_file(path_, kOpenFlags);
        if (!file) return tl::unexpected(file.error());
        const auto info = sys::file_info(file->get());
        if (!info) return tl::unexpected(info.error());
        // Every archive that there is while the name still stands for our file is older than it.
        const auto archives = list_archives(path_);
        const std::uint64_t last =
            archives && !archives->empty() ? archives->back().name.number : 0;
        const auto again = sys::open_file(path_, kOpenFlags);
        if (!again) continue;
        const auto named = sys::file_info(again->get());
        if (!named || named->inode != info->inode) continue;
        return Link{std::move(*file), info->inode, last + 1, false};
    }
    return fail(Op::open, EAGAIN);
}

/// The oldest archive that is younger than our file, else the log itself. Requires: the log's name
/// stands for another file than ours.
Result<Follower::Link> Follower::open_next() const {
    auto next = open_next_once();
    // The log was rotated between two of our looks, or an archive was removed: the second time all
    // are there that are older than what was found first.
    return next && next->is_behind_gap ? open_next_once() : std::move(next);
}

Result<Follower::Link> Follower::open_next_once() const {
    const auto archives = list_archives(path_);
    if (!archives) return open_log();
    std::uint64_t ours = now_.number;
    for (const ArchiveFile& archive : *archives) {
        const auto info = sys::file_info(archive.path);
        if (!info || archive.name.is_packed) continue;
        if (info->inode == now_.inode) ours = archive.name.number;
        // Somebody else took our file away, and its number went to the next one.
        if (archive.name.number == ours && info->inode != now_.inode) --ours;
    }
    for (const ArchiveFile& archive : *archives) {
        if (archive.name.number <= ours) continue;
        auto file = open_archive(archive, unpack_);
        if (!file) continue;  // removed, or it cannot be unpacked
        const auto info = sys::file_info(file->get());
        if (!info) continue;
        const std::uint64_t number = archive.name.number;
        return Link{std::move(*file), info->inode, number, number > ours + 1};
    }
    auto log = open_log();
    if (log) log->is_behind_gap = log->number > ours + 1;
    return log;
}

Result<std::vector<std::string>> Follower::read_new_lines() {
    std::vector<std::string> lines;
    if (!now_.file.is_open()) {
        auto opened = open_log();
        if (!opened && opened.error().code == ENOENT) {
            offset_ = 0;  // whatever will stand there is new
            return lines;
        }
        if (!opened) return tl::unexpected(opened.error());
        now_ = std::move(*opened);
    }
    std::array<char, kBlock> buffer;
    for (std::size_t taken = 0; taken < kCallBytes;) {
        const auto got = read_on(std::as_writable_bytes(std::span(buffer)));
        // An error behind lines is told by the next call: what was read comes only once.
        if (!got && lines.empty()) return tl::unexpected(got.error());
        if (!got || *got == 0) break;
        take_lines(std::string_view(buffer.data(), *got), lines);
        offset_ += *got;
        taken += *got;
    }
    return lines;
}

Result<std::size_t> Follower::read_on(std::span<std::byte> buffer) {
    while (true) {
        auto got = sys::read_at(now_.file.get(), buffer, offset_);
        if (!got || *got > 0) return got;
        const auto turned = turn_to_new_bytes();
        if (!turned) return tl::unexpected(turned.error());
        if (!*turned) return 0;
    }
}

Result<bool> Follower::turn_to_new_bytes() {
    if (next_.file.is_open()) {
        now_ = std::exchange(next_, Link{});
        offset_ = 0;
        return true;
    }
    const auto size = sys::file_size(now_.file.get());
    if (!size) return tl::unexpected(size.error());
    if (*size < offset_) {
        offset_ = 0;
        return true;
    }
    // The name is opened rather than looked at: that follows links, and what was compared is what
    // will be read.
    const auto named = sys::open_file(path_, kOpenFlags);
    if (!named && named.error().code == ENOENT) return false;
    if (!named) return tl::unexpected(named.error());
    const auto info = sys::file_info(named->get());
    if (!info) return tl::unexpected(info.error());
    if (info->inode == now_.inode) return false;
    auto next = open_next();
    if (!next) return tl::unexpected(next.error());
    next_ = std::move(*next);
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
