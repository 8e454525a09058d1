#include "sys/file.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <filesystem>

#include "sys/failpoint.hpp"
#include "sys/fd.hpp"

namespace cluster::sys {
namespace {

/// Repeats a call that a signal interrupted before it did anything.
template <class Call>
auto retry_interrupted(Call call) {
    auto result = call();
    while (result < 0 && errno == EINTR) result = call();
    return result;
}

Result<UniqueFd> own(int fd, Op op) {
    if (fd < 0) return fail(op, errno);
    return UniqueFd{fd};
}

Status done_or(Op op, bool is_done) {
    if (!is_done) return fail(op, errno);
    return {};
}

FileInfo file_info_of(const struct stat& info) {
    return FileInfo{.uid = info.st_uid,
                    .mode = info.st_mode,
                    .size = static_cast<std::uint64_t>(info.st_size),
                    .inode = info.st_ino,
                    .modified_ms = std::int64_t{info.st_mtim.tv_sec} * 1000 +
                                   std::int64_t{info.st_mtim.tv_nsec} / 1'000'000};
}

Result<std::string> read_to_end(int fd, std::size_t limit) {
    std::string text;
    std::array<std::byte, 16384> buffer{};
    while (true) {
        const auto count = read_some(fd, buffer);
        if (!count) return tl::unexpected(count.error());
        if (*count == 0) return text;
        if (text.size() + *count > limit) return fail(Op::read, EFBIG);
        text.append(reinterpret_cast<const char*>(buffer.data()), *count);
    }
}

}  // namespace

void UniqueFd::reset() {
    // After an error the descriptor is gone all the same (close(2), "Dealing with error returns
    // from close()").
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

Result<Pipe> open_pipe() {
    if (const int code = injected_error(Failpoint::sys_pipe)) return fail(Op::pipe, code);
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) return fail(Op::pipe, errno);
    Pipe pipe{UniqueFd{ends[0]}, UniqueFd{ends[1]}};
    const int flags = ::fcntl(pipe.read_end.get(), F_GETFL);
    if (flags < 0 || ::fcntl(pipe.read_end.get(), F_SETFL, flags | O_NONBLOCK) != 0) {
        return fail(Op::pipe, errno);
    }
    return pipe;
}

Result<UniqueFd> reopen(int fd, int flags) {
    if (const int code = injected_error(Failpoint::sys_open)) return fail(Op::open, code);
    std::array<char, 32> path{};
    std::snprintf(path.data(), path.size(), "/proc/self/fd/%d", fd);
    return own(::open(path.data(), flags | O_CLOEXEC), Op::open);
}

Result<UniqueFd> open_both_ways(int fd) {
    return reopen(fd, O_RDWR);
}

Result<UniqueFd> open_read_write(const std::string& path) {
    return open_file(path, O_RDWR, 0);
}

Status change_owner(int fd, std::uint32_t uid, std::uint32_t gid) {
    return done_or(Op::set_uid, ::fchown(fd, uid, gid) == 0);
}

Result<UniqueFd> duplicate(int fd) {
    if (const int code = injected_error(Failpoint::sys_duplicate)) return fail(Op::dup, code);
    return own(::fcntl(fd, F_DUPFD_CLOEXEC, 3), Op::dup);
}

Result<UniqueFd> duplicate_from(int fd, int least) {
    return own(::fcntl(fd, F_DUPFD_CLOEXEC, least), Op::dup);
}

Status place_descriptor(int fd, int number) {
    return done_or(Op::dup, ::dup3(fd, number, O_CLOEXEC) >= 0);
}

Result<UniqueFd> open_file(const std::string& path, int flags, std::uint32_t mode) {
    if (const int code = injected_error(Failpoint::sys_open)) return fail(Op::open, code);
    return own(retry_interrupted([&] { return ::open(path.c_str(), flags | O_CLOEXEC, mode); }),
               Op::open);
}

Result<std::uint64_t> file_size(int fd) {
    struct stat info {};
    if (::fstat(fd, &info) != 0) return fail(Op::stat, errno);
    return static_cast<std::uint64_t>(info.st_size);
}

Status truncate(int fd, std::uint64_t size) {
    return done_or(Op::truncate, ::ftruncate(fd, static_cast<off_t>(size)) == 0);
}

Status punch_hole(int fd, std::uint64_t offset, std::uint64_t count) {
    return done_or(Op::truncate,
                   ::fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                               static_cast<off_t>(offset), static_cast<off_t>(count)) == 0);
}

Result<std::string> read_file(const std::string& path, std::size_t limit) {
    auto file = open_file(path, O_RDONLY);
    if (!file) return tl::unexpected(file.error());
    return read_to_end(file->get(), limit);
}

Result<std::string> read_regular_file(const std::string& path, std::size_t limit) {
    auto file = open_file(path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    if (!file) return tl::unexpected(file.error());
    struct stat info {};
    if (::fstat(file->get(), &info) != 0) return fail(Op::read, errno);
    if (!S_ISREG(info.st_mode)) return fail(Op::read, EINVAL);
    return read_to_end(file->get(), limit);
}

Result<std::size_t> read_some(int fd, std::span<std::byte> buffer) {
    const auto count = retry_interrupted([&] { return ::read(fd, buffer.data(), buffer.size()); });
    if (count < 0) return fail(Op::read, errno);
    return static_cast<std::size_t>(count);
}

Result<std::size_t> read_at(int fd, std::span<std::byte> buffer, std::uint64_t offset) {
    const auto count = retry_interrupted(
        [&] { return ::pread(fd, buffer.data(), buffer.size(), static_cast<off_t>(offset)); });
    if (count < 0) return fail(Op::read, errno);
    return static_cast<std::size_t>(count);
}

Status fill_from(int fd, std::span<std::byte> buffer) {
    std::size_t filled = 0;
    while (filled < buffer.size()) {
        const auto count = read_at(fd, buffer.subspan(filled), filled);
        if (!count) return tl::unexpected(count.error());
        if (*count == 0) return fail(Op::read, ENODATA);
        filled += *count;
    }
    return {};
}

Status write_all(int fd, std::string_view bytes) {
    if (const int code = injected_error(Failpoint::sys_write)) return fail(Op::write, code);
    while (!bytes.empty()) {
        const auto count =
            retry_interrupted([&] { return ::write(fd, bytes.data(), bytes.size()); });
        if (count < 0) return fail(Op::write, errno);
        bytes.remove_prefix(static_cast<std::size_t>(count));
    }
    return {};
}

void write_if_ready(int fd, std::string_view line) {
    pollfd entry{.fd = fd, .events = POLLOUT, .revents = 0};
    // A pipe is writable when it takes PIPE_BUF bytes at once; more could wait after all.
    if (::poll(&entry, 1, 0) != 1 || (entry.revents & POLLOUT) == 0) return;
    const auto written = ::write(fd, line.data(), std::min<std::size_t>(line.size(), PIPE_BUF));
    static_cast<void>(written);  // there is nobody to tell
}

Result<std::size_t> write_at(int fd, std::span<const std::byte> bytes, std::uint64_t offset) {
    if (const int code = injected_error(Failpoint::sys_write)) return fail(Op::write, code);
    const auto count = retry_interrupted(
        [&] { return ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset)); });
    if (count < 0) return fail(Op::write, errno);
    return static_cast<std::size_t>(count);
}

Status replace_file(const std::string& path, std::string_view bytes, std::uint32_t mode) {
    const std::string temporary = path + ".new";
    const auto file = open_file(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, mode);
    if (!file) return tl::unexpected(file.error());
    if (const auto written = write_all(file->get(), bytes); !written) {
        const Error error = written.error();
        ::unlink(temporary.c_str());
        return tl::unexpected(error);
    }
    return rename_file(temporary, path);
}

Result<std::size_t> splice_to_file(int pipe, int file, std::int64_t* offset, std::size_t count) {
    static_assert(sizeof(std::int64_t) == sizeof(off64_t));
    if (const int code = injected_error(Failpoint::sys_splice)) return fail(Op::splice, code);
    const auto moved = retry_interrupted([&] {
        off64_t position = *offset;
        const auto bytes =
            ::splice(pipe, nullptr, file, &position, count, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
        if (bytes > 0) *offset = position;
        return bytes;
    });
    if (moved < 0) return fail(Op::splice, errno);
    return static_cast<std::size_t>(moved);
}

Result<std::size_t> splice_to_pipe(int from, int to, std::size_t count) {
    if (const int code = injected_error(Failpoint::sys_splice)) return fail(Op::splice, code);
    const auto moved = retry_interrupted([&] {
        return ::splice(from, nullptr, to, nullptr, count, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    });
    if (moved < 0) return fail(Op::splice, errno);
    return static_cast<std::size_t>(moved);
}

Result<std::size_t> peek_pipe(int pipe, std::span<std::byte> buffer) {
    // The copy shares the pipe's pages, so it costs no more than reading it does.
    const auto copy = open_pipe();
    if (!copy) return tl::unexpected(copy.error());
    const auto copied = retry_interrupted(
        [&] { return ::tee(pipe, copy->write_end.get(), buffer.size(), SPLICE_F_NONBLOCK); });
    if (copied < 0) return fail(Op::splice, errno);
    if (copied == 0) return std::size_t{0};
    return read_some(copy->read_end.get(), buffer.first(static_cast<std::size_t>(copied)));
}

Result<std::size_t> discard_from_pipe(int pipe, std::size_t count) {
    const auto nowhere = open_file("/dev/null", O_WRONLY);
    if (!nowhere) return tl::unexpected(nowhere.error());
    const auto moved = retry_interrupted(
        [&] { return ::splice(pipe, nullptr, nowhere->get(), nullptr, count, SPLICE_F_NONBLOCK); });
    if (moved < 0) return fail(Op::splice, errno);
    return static_cast<std::size_t>(moved);
}

Result<std::size_t> bytes_in_pipe(int pipe) {
    int count = 0;
    if (::ioctl(pipe, FIONREAD, &count) != 0) return fail(Op::read, errno);
    return static_cast<std::size_t>(count);
}

std::size_t pipe_capacity(int pipe) {
    constexpr std::size_t kDefault = 64 * 1024;
    const int bytes = ::fcntl(pipe, F_GETPIPE_SZ);
    return bytes > 0 ? static_cast<std::size_t>(bytes) : kDefault;
}

Status make_directory(const std::string& path, std::uint32_t mode) {
    if (::mkdir(path.c_str(), mode) == 0) return {};
    if (errno != EEXIST) return fail(Op::mkdir, errno);
    struct stat info {};
    if (::stat(path.c_str(), &info) != 0) return fail(Op::stat, errno);
    if (!S_ISDIR(info.st_mode)) return fail(Op::mkdir, ENOTDIR);
    return {};
}

Status make_directories(const std::string& path, std::uint32_t mode) {
    constexpr std::uint32_t kParentMode = 0755;
    for (std::size_t slash = path.find('/', 1); slash != std::string::npos;
         slash = path.find('/', slash + 1)) {
        if (auto made = make_directory(path.substr(0, slash), kParentMode); !made) return made;
    }
    return make_directory(path, mode);
}

Status remove_file(const std::string& path) {
    return done_or(Op::unlink, ::unlink(path.c_str()) == 0);
}

Result<std::vector<std::string>> list_directory(const std::string& path) {
    DIR* const directory = ::opendir(path.c_str());
    if (directory == nullptr) return fail(Op::open, errno);
    std::vector<std::string> names;
    errno = 0;
    while (const dirent* entry = ::readdir(directory)) {
        const std::string_view name = entry->d_name;
        if (name != "." && name != "..") names.emplace_back(name);
        errno = 0;
    }
    const int code = errno;
    ::closedir(directory);
    if (code != 0) return fail(Op::read, code);
    return names;
}

Result<FileInfo> file_info(const std::string& path) {
    struct stat info {};
    if (::lstat(path.c_str(), &info) != 0) return fail(Op::stat, errno);
    return file_info_of(info);
}

Result<std::string> read_link(const std::string& path) {
    std::string target(4096, '\0');
    const ssize_t size = ::readlink(path.c_str(), target.data(), target.size());
    if (size < 0) return fail(Op::read, errno);
    target.resize(static_cast<std::size_t>(size));
    return target;
}

bool FileInfo::is_regular() const {
    return S_ISREG(mode);
}

Status rename_file(const std::string& from, const std::string& to) {
    if (const int code = injected_error(Failpoint::sys_rename)) return fail(Op::rename, code);
    return done_or(Op::rename, ::rename(from.c_str(), to.c_str()) == 0);
}

Result<FileInfo> file_info(int fd) {
    struct stat info {};
    if (::fstat(fd, &info) != 0) return fail(Op::stat, errno);
    return file_info_of(info);
}

bool is_executable(const std::string& path) {
    struct stat info {};
    return ::stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode) &&
           ::access(path.c_str(), X_OK) == 0;
}

Status try_lock(int fd) {
    return done_or(Op::lock, ::flock(fd, LOCK_EX | LOCK_NB) == 0);
}

bool is_same_file(const std::string& path, int fd) {
    struct stat named {};
    struct stat opened {};
    return ::stat(path.c_str(), &named) == 0 && ::fstat(fd, &opened) == 0 &&
           named.st_dev == opened.st_dev && named.st_ino == opened.st_ino;
}

bool is_same_open_file(int left, int right) {
    const pid_t self = ::getpid();
    const long order = ::syscall(SYS_kcmp, self, self, KCMP_FILE, left, right);
    if (order >= 0) return order == 0;
    struct stat first {};
    struct stat second {};
    return ::fstat(left, &first) == 0 && ::fstat(right, &second) == 0 &&
           first.st_dev == second.st_dev && first.st_ino == second.st_ino;
}

void close_from(int first) {
    ::close_range(static_cast<unsigned>(first), ~0U, 0);
}

std::size_t count_open_descriptors() {
    std::error_code error;
    std::size_t count = 0;
    for (auto entry = std::filesystem::directory_iterator("/proc/self/fd", error);
         entry != std::filesystem::directory_iterator(); entry.increment(error)) {
        ++count;
    }
    return count == 0 ? 0 : count - 1;  // the iterator's own descriptor
}

std::uint64_t raise_descriptor_limit() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
    ::getrlimit(RLIMIT_NOFILE, &limit);
    return limit.rlim_cur;
}

}  // namespace cluster::sys
