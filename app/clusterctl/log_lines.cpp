#include "clusterctl/log_lines.hpp"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <utility>

#include "clusterctl/unpack.hpp"
#include "sys/file.hpp"

namespace cluster::clusterctl {
namespace {

/// The archives of a log that are older than the open file `inode`, which may be one by now.
std::vector<capture::ArchiveFile> older_archives(const std::string& path, std::uint64_t inode) {
    std::vector<capture::ArchiveFile> older;
    auto archives = capture::list_archives(path);
    if (!archives) return older;
    for (capture::ArchiveFile& archive : *archives) {
        const auto info = sys::file_info(archive.path);
        if (info && info->inode == inode) break;
        older.push_back(std::move(archive));
    }
    return older;
}

}  // namespace

Result<LogLines> LogLines::open(const std::string& path, const LogFilter& filter) {
    LogLines lines(filter);
    const Status opened = filter.reads_forward() ? lines.open_forward(path) : lines.read_tail(path);
    if (!opened && opened.error().code != ENOENT) return tl::unexpected(opened.error());
    if (!opened || !filter.reads_forward() || !filter.count) return lines;
    // The last ones of those that pass: they are known only when all have been read.
    std::deque<std::string> last;
    while (std::optional<std::string> line = lines.next_forward()) {
        last.push_back(std::move(*line));
        if (last.size() > *filter.count) last.pop_front();
    }
    lines.lines_ = std::move(last);
    return lines;
}

std::optional<std::string> LogLines::next() {
    if (!lines_.empty()) {
        std::string line = std::move(lines_.front());
        lines_.pop_front();
        return line;
    }
    return next_forward();
}

/// The last lines of the log; where it has too few of them, those of its archives before them.
Status LogLines::read_tail(const std::string& path) {
    const std::size_t wanted = filter_.count.value_or(0);
    auto last = capture::read_last_lines(path, wanted);
    if (!last) return tl::unexpected(last.error());
    offset_ = last->end_offset;
    inode_ = last->inode;
    lines_.assign(std::make_move_iterator(last->lines.begin()),
                  std::make_move_iterator(last->lines.end()));
    if (lines_.size() >= wanted) return {};
    std::vector<capture::ArchiveFile> archives = older_archives(path, inode_);
    while (!archives.empty() && lines_.size() < wanted) {
        const auto file = capture::open_archive(archives.back(), &unpack);
        archives.pop_back();
        if (!file) continue;
        auto older = capture::read_last_lines(file->get(), wanted - lines_.size());
        if (!older) continue;
        lines_.insert(lines_.begin(), std::make_move_iterator(older->lines.begin()),
                      std::make_move_iterator(older->lines.end()));
    }
    return {};
}

Status LogLines::open_forward(const std::string& path) {
    auto file = sys::open_file(path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    if (!file) return tl::unexpected(file.error());
    const auto info = sys::file_info(file->get());
    if (!info) return tl::unexpected(info.error());
    offset_ = info->size;
    inode_ = info->inode;
    const bool is_older = filter_.since_ms && info->modified_ms < *filter_.since_ms;
    if (!is_older) log_.emplace(std::move(*file), info->size);
    for (capture::ArchiveFile& archive : older_archives(path, inode_)) {
        // All that stands in it was written before it was rotated, to the second.
        const std::int64_t end_ms = (archive.name.rotated_s + 1) * 1000;
        if (filter_.since_ms && end_ms < *filter_.since_ms) continue;
        archives_.push_back(std::move(archive));
    }
    return {};
}

std::optional<std::string> LogLines::next_forward() {
    while (reader_ || open_next_file()) {
        while (std::optional<std::string> line = reader_->next()) {
            if (is_wanted(*line)) return line;
        }
        reader_.reset();
    }
    return std::nullopt;
}

bool LogLines::open_next_file() {
    while (!archives_.empty()) {
        auto file = capture::open_archive(archives_.front(), &unpack);
        archives_.pop_front();
        if (!file) continue;
        const auto size = sys::file_size(file->get());
        reader_.emplace(std::move(*file), size.value_or(0));
        return true;
    }
    if (!log_) return false;
    reader_ = std::exchange(log_, std::nullopt);
    return true;
}

bool LogLines::is_wanted(const std::string& line) {
    if (filter_.since_ms) {
        if (const auto time = split_stamp(line).time_ms) time_ms_ = time;
        if (time_ms_ && *time_ms_ < *filter_.since_ms) return false;
    }
    if (filter_.pattern && !filter_.pattern->matches(split_stamp(line).text)) return false;
    has_unknown_times_ = has_unknown_times_ || (filter_.since_ms && !time_ms_);
    return true;
}

}  // namespace cluster::clusterctl
