#include "capture/log_file.hpp"

#include <fcntl.h>

#include <array>
#include <cerrno>
#include <span>
#include <utility>

#include "sys/failpoint.hpp"
#include "sys/file.hpp"

namespace cluster::capture {
namespace {

constexpr std::uint32_t kLogMode = 0640;  // the group may read logs, strangers may not

}  // namespace

Result<LogFile> LogFile::open(std::string path) {
    // O_NONBLOCK: a FIFO somebody put in the log's place must not hang the opener.
    auto file = sys::open_file(path, O_WRONLY | O_CREAT | O_NOCTTY | O_NONBLOCK, kLogMode);
    if (!file) return tl::unexpected(file.error());
    const auto info = sys::file_info(file->get());
    if (!info) return tl::unexpected(info.error());
    return LogFile{std::move(*file), std::move(path), info->inode};
}

Result<std::uint64_t> LogFile::size() const {
    return sys::file_size(file_.get());
}

bool LogFile::is_at_line_start(std::uint64_t size) const {
    if (size == 0) return true;
    // Opened for writing only, and this is asked too rarely to keep a second descriptor.
    const auto readable = sys::reopen(file_.get(), O_RDONLY);
    if (!readable) return false;
    std::array<std::byte, 1> last{};
    const auto count = sys::read_at(readable->get(), last, size - 1);
    return count && *count == 1 && last[0] == std::byte{'\n'};
}

Status LogFile::append_line(std::string_view line) {
    const auto size = this->size();
    if (!size) return tl::unexpected(size.error());
    std::string text = is_at_line_start(*size) ? "" : "\n";
    text += line;
    const auto count = sys::write_at(file_.get(), std::as_bytes(std::span(text)), *size);
    if (count && *count == text.size()) return {};
    static_cast<void>(sys::truncate(file_.get(), *size));
    return fail(Op::write, count ? ENOSPC : count.error().code);
}

bool LogFile::has_its_name() const {
    const auto named = sys::file_info(path_);
    return named && named->is_regular() && named->inode == inode_;
}

Result<LogFile::Rotated> LogFile::rotate(const std::string& archive_path) {
    if (!has_its_name()) {
        if (auto reopened = reopen(); !reopened) return tl::unexpected(reopened.error());
        return Rotated::reopened;
    }
    if (sys::file_info(archive_path)) return fail(Op::rename, EEXIST);
    if (auto renamed = sys::rename_file(path_, archive_path); !renamed) {
        return tl::unexpected(renamed.error());
    }
    sys::pass(Failpoint::log_renamed);
    if (auto reopened = reopen(); !reopened) {
        // Nothing was written meanwhile. If not even this works, the bytes go to the archive.
        static_cast<void>(sys::rename_file(archive_path, path_));
        return tl::unexpected(reopened.error());
    }
    return Rotated::archived;
}

Status LogFile::reopen() {
    if (has_its_name()) return {};
    auto opened = open(path_);
    if (!opened) return tl::unexpected(opened.error());
    file_ = std::move(opened->file_);
    inode_ = opened->inode_;
    return {};
}

}  // namespace cluster::capture
