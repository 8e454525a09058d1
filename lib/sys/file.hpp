// Files, directories, pipes and locks: one system call (or one indivisible dance) each, no
// decision.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "sys/fd.hpp"

namespace cluster::sys {

struct Pipe {
    UniqueFd read_end;
    UniqueFd write_end;
};

/// Both ends close-on-exec; the read end non-blocking.
[[nodiscard]] Result<Pipe> open_pipe();

/// Opens the object behind `fd` once more, as a new open file, with the given open(2) flags plus
/// O_CLOEXEC (through /proc/self/fd). A pipe opened O_RDWR this way never sees EOF or SIGPIPE.
[[nodiscard]] Result<UniqueFd> reopen(int fd, int flags);

/// `reopen` for reading and writing.
[[nodiscard]] Result<UniqueFd> open_both_ways(int fd);
[[nodiscard]] Result<UniqueFd> open_read_write(const std::string& path);

[[nodiscard]] Status change_owner(int fd, std::uint32_t uid, std::uint32_t gid);

/// Close-on-exec duplicate.
[[nodiscard]] Result<UniqueFd> duplicate(int fd);

/// Close-on-exec duplicate with the lowest number from `least` on that is free.
[[nodiscard]] Result<UniqueFd> duplicate_from(int fd, int least);
/// Close-on-exec duplicate with this very number; what was there is closed. Requires: another
/// number. Errors: {dup, EBADF} not open, or the number is beyond the limit.
[[nodiscard]] Status place_descriptor(int fd, int number);

[[nodiscard]] Result<UniqueFd> open_file(const std::string& path, int flags,
                                         std::uint32_t mode = 0600);
[[nodiscard]] Result<std::uint64_t> file_size(int fd);
[[nodiscard]] Status truncate(int fd, std::uint64_t size);
/// Gives the blocks of a range back; it reads as zeros, and the size stays.
[[nodiscard]] Status punch_hole(int fd, std::uint64_t offset, std::uint64_t count);

/// Whole file, refused above `limit` bytes. Errors: {read, EFBIG} and those of open, read.
[[nodiscard]] Result<std::string> read_file(const std::string& path, std::size_t limit);
/// The same of a regular file only: anything else, which might never end, is {read, EINVAL}.
[[nodiscard]] Result<std::string> read_regular_file(const std::string& path, std::size_t limit);
/// Up to buffer.size() bytes from a descriptor; 0 is end of file. EAGAIN is an error like others.
[[nodiscard]] Result<std::size_t> read_some(int fd, std::span<std::byte> buffer);
[[nodiscard]] Result<std::size_t> read_at(int fd, std::span<std::byte> buffer,
                                          std::uint64_t offset);
/// Fills all of it from the beginning of the file. Errors: {read, ENODATA} the file is shorter;
/// those of read.
[[nodiscard]] Status fill_from(int fd, std::span<std::byte> buffer);
/// Writes everything or fails.
[[nodiscard]] Status write_all(int fd, std::string_view bytes);
[[nodiscard]] Result<std::size_t> write_at(int fd, std::span<const std::byte> bytes,
                                           std::uint64_t offset);
/// Writes one line of at most a page, unless that would wait (a full pipe): then it is dropped.
void write_if_ready(int fd, std::string_view line);
/// Replaces `path` by a file with these bytes: temporary file beside it, then rename. Never half
/// written to a reader.
[[nodiscard]] Status replace_file(const std::string& path, std::string_view bytes,
                                  std::uint32_t mode);

/// Moves at most `count` bytes from a pipe to `file` at *offset, and advances *offset. 0: the
/// pipe's end was reached. The move is one step for the kernel: bytes taken from the pipe are in
/// the file, whenever we are killed. Errors: EAGAIN (pipe empty), EINVAL (this file cannot be
/// spliced to), ENOSPC, EIO …
[[nodiscard]] Result<std::size_t> splice_to_file(int pipe, int file, std::int64_t* offset,
                                                 std::size_t count);

/// Moves at most `count` bytes from a pipe to another one, without copying them and as one step for
/// the kernel. 0: the end of the first was reached. Errors: EAGAIN (the first is empty, or the
/// other one full), EINVAL (one of them is no pipe).
[[nodiscard]] Result<std::size_t> splice_to_pipe(int from, int to, std::size_t count);

/// Copies what waits in a pipe without taking it out; what tee(2) shows at once, at most as much as
/// fits into `buffer`. 0: the pipe's end was reached. Errors: EAGAIN (pipe empty), EINVAL (no
/// pipe).
[[nodiscard]] Result<std::size_t> peek_pipe(int pipe, std::span<std::byte> buffer);

/// Takes at most `count` bytes out of a pipe and forgets them. 0: the pipe's end was reached.
[[nodiscard]] Result<std::size_t> discard_from_pipe(int pipe, std::size_t count);

/// Bytes that wait in a pipe or stream socket (FIONREAD).
[[nodiscard]] Result<std::size_t> bytes_in_pipe(int pipe);
/// Bytes that it holds at most. Where the kernel does not say: its default, 64 KiB.
[[nodiscard]] std::size_t pipe_capacity(int pipe);

/// Creates `path` as a directory with `mode`; an existing directory is fine.
[[nodiscard]] Status make_directory(const std::string& path, std::uint32_t mode);
/// `make_directory` for every missing parent too (those with 0755).
[[nodiscard]] Status make_directories(const std::string& path, std::uint32_t mode);
[[nodiscard]] Status remove_file(const std::string& path);
/// What a symbolic link says, cut after 4 KiB. Errors: {read, errno}.
[[nodiscard]] Result<std::string> read_link(const std::string& path);
[[nodiscard]] Status rename_file(const std::string& from, const std::string& to);

/// Names in a directory, "." and ".." left out, in no order. Errors: those of open and read.
[[nodiscard]] Result<std::vector<std::string>> list_directory(const std::string& path);

struct FileInfo {
    std::uint32_t uid;
    std::uint32_t mode;  // with the type bits
    std::uint64_t size;
    std::uint64_t inode;
    std::int64_t modified_ms;  // since 1970

    [[nodiscard]] bool is_regular() const;
};
/// lstat: a link is not followed. Errors: {stat, errno}.
[[nodiscard]] Result<FileInfo> file_info(const std::string& path);
/// The same of an open file.
[[nodiscard]] Result<FileInfo> file_info(int fd);

/// A regular file (links are followed) that this process may execute.
[[nodiscard]] bool is_executable(const std::string& path);

/// True when the path leads to the file that is open.
[[nodiscard]] bool is_same_file(const std::string& path, int fd);

/// True when both are duplicates of one another; where kcmp(2) is forbidden, when they name the same
/// object.
[[nodiscard]] bool is_same_open_file(int left, int right);

/// Takes an exclusive flock without waiting. Errors: {lock, EWOULDBLOCK} when somebody holds it.
[[nodiscard]] Status try_lock(int fd);

/// Closes every descriptor from `first` on.
void close_from(int first);
/// Number of descriptors this process has open.
[[nodiscard]] std::size_t count_open_descriptors();
/// Raises the soft limit of open files to the hard one. Returns the resulting limit.
std::uint64_t raise_descriptor_limit();

}  // namespace cluster::sys
