#include "sys/file.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>
#include <string_view>

#include "support/scratch.hpp"

namespace cluster::sys {
namespace {

using test::Scratch;
using test::text_of;

std::string numbered_lines(int count) {
    std::string text;
    for (int i = 0; i < count; ++i) text += "line " + std::to_string(i) + "\n";
    return text;
}

bool is_close_on_exec(int fd) {
    return (::fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0;
}

TEST_CASE("sys/pipe: both ends are close-on-exec and only the read end is non-blocking") {
    const auto pipe = open_pipe();
    REQUIRE(pipe);
    CHECK(is_close_on_exec(pipe->read_end.get()));
    CHECK(is_close_on_exec(pipe->write_end.get()));
    CHECK((::fcntl(pipe->read_end.get(), F_GETFL) & O_NONBLOCK) != 0);
    CHECK((::fcntl(pipe->write_end.get(), F_GETFL) & O_NONBLOCK) == 0);
}

TEST_CASE("sys/pipe: a pipe reopened read-write has no end and raises no SIGPIPE") {
    auto pipe = open_pipe();
    REQUIRE(pipe);
    const auto both = reopen(pipe->write_end.get(), O_RDWR);
    REQUIRE(both);
    CHECK(is_close_on_exec(both->get()));
    pipe->write_end.reset();
    std::array<std::byte, 8> buffer{};
    const auto nothing = read_some(pipe->read_end.get(), buffer);
    REQUIRE_FALSE(nothing);
    CHECK(nothing.error() == Error{Op::read, EAGAIN});
    pipe->read_end.reset();
    // Nobody else reads: an ordinary write end would now kill this process.
    CHECK(write_all(both->get(), "kept"));
    const auto kept = read_some(both->get(), buffer);
    REQUIRE(kept);
    CHECK(*kept == 4);
}

TEST_CASE("sys/splice: every byte of the pipe is in the file, once, at the given offset") {
    const Scratch scratch;
    const std::string head = "already there\n";
    test::write_text(scratch / "log", head);
    auto pipe = open_pipe();
    const auto file = open_file(scratch / "log", O_WRONLY);
    REQUIRE(pipe);
    REQUIRE(file);
    const std::string text = numbered_lines(3000);
    REQUIRE(text.size() < 65536);
    REQUIRE(write_all(pipe->write_end.get(), text));
    pipe->write_end.reset();

    auto offset = static_cast<std::int64_t>(head.size());
    std::size_t moved = 0;
    while (true) {
        const auto count = splice_to_file(pipe->read_end.get(), file->get(), &offset, 1000);
        REQUIRE(count);
        if (*count == 0) break;
        CHECK(*count <= 1000);
        moved += *count;
        CHECK(offset == static_cast<std::int64_t>(head.size() + moved));
    }
    CHECK(moved == text.size());
    CHECK(text_of(scratch / "log") == head + text);
}

TEST_CASE("sys/splice: an empty pipe is EAGAIN and leaves the offset alone") {
    const Scratch scratch;
    const auto pipe = open_pipe();
    const auto file = open_file(scratch / "log", O_WRONLY | O_CREAT);
    REQUIRE(pipe);
    REQUIRE(file);
    std::int64_t offset = 7;
    const auto count = splice_to_file(pipe->read_end.get(), file->get(), &offset, 100);
    REQUIRE_FALSE(count);
    CHECK(count.error() == Error{Op::splice, EAGAIN});
    CHECK(offset == 7);
}

TEST_CASE("sys/splice: a file opened for appending is refused, and nothing is lost") {
    const Scratch scratch;
    const auto pipe = open_pipe();
    const auto file = open_file(scratch / "log", O_WRONLY | O_CREAT | O_APPEND);
    REQUIRE(pipe);
    REQUIRE(file);
    REQUIRE(write_all(pipe->write_end.get(), "abc"));
    std::int64_t offset = 0;
    const auto count = splice_to_file(pipe->read_end.get(), file->get(), &offset, 100);
    REQUIRE_FALSE(count);
    CHECK(count.error() == Error{Op::splice, EINVAL});
    std::array<std::byte, 8> buffer{};
    CHECK(read_some(pipe->read_end.get(), buffer).value_or(0) == 3);
}

TEST_CASE("sys/read_file: a file above the limit is refused, one at the limit is read") {
    const Scratch scratch;
    test::write_text(scratch / "f", std::string(100, 'x'));
    const auto whole = read_file(scratch / "f", 100);
    REQUIRE(whole);
    CHECK(whole->size() == 100);
    const auto refused = read_file(scratch / "f", 99);
    REQUIRE_FALSE(refused);
    CHECK(refused.error() == Error{Op::read, EFBIG});
    const auto missing = read_file(scratch / "none", 99);
    REQUIRE_FALSE(missing);
    CHECK(missing.error() == Error{Op::open, ENOENT});
}

TEST_CASE("sys/replace_file: the new text stands under the old name and nothing is left beside") {
    const Scratch scratch;
    REQUIRE(replace_file(scratch / "state", "old and longer", 0600));
    REQUIRE(replace_file(scratch / "state", "new", 0600));
    CHECK(text_of(scratch / "state") == "new");
    struct stat info {};
    REQUIRE(::stat((scratch / "state").c_str(), &info) == 0);
    CHECK((info.st_mode & 0777U) == 0600);
    CHECK(::access((scratch / "state.new").c_str(), F_OK) != 0);
}

TEST_CASE("sys/replace_file: a link in the place of the temporary file is not followed") {
    const Scratch scratch;
    test::write_text(scratch / "victim", "precious");
    REQUIRE(::symlink((scratch / "victim").c_str(), (scratch / "state.new").c_str()) == 0);
    const auto replaced = replace_file(scratch / "state", "new", 0600);
    REQUIRE_FALSE(replaced);
    CHECK(replaced.error() == Error{Op::open, ELOOP});
    CHECK(text_of(scratch / "victim") == "precious");
}

TEST_CASE("sys/directories: missing parents are made, the last one with the mode asked for") {
    const Scratch scratch;
    REQUIRE(make_directories(scratch / "a/b/c", 0700));
    struct stat info {};
    REQUIRE(::stat((scratch / "a/b/c").c_str(), &info) == 0);
    CHECK((info.st_mode & 0777U) == 0700);
    CHECK(make_directories(scratch / "a/b/c", 0700));
    test::write_text(scratch / "a/file", "");
    const auto refused = make_directories(scratch / "a/file/d", 0700);
    REQUIRE_FALSE(refused);
    CHECK(refused.error() == Error{Op::mkdir, ENOTDIR});
}

TEST_CASE("sys/file_info: tells about a link and not about what it points to") {
    const Scratch scratch;
    test::write_text(scratch / "f", "12345");
    REQUIRE(::symlink("f", (scratch / "link").c_str()) == 0);
    const auto file = file_info(scratch / "f");
    const auto link = file_info(scratch / "link");
    REQUIRE(file);
    REQUIRE(link);
    CHECK(file->size == 5);
    CHECK(S_ISREG(file->mode));
    CHECK(S_ISLNK(link->mode));
    CHECK(file->inode != link->inode);
}

TEST_CASE("sys/lock: a second taker is refused until the first lets go") {
    const Scratch scratch;
    auto first = open_file(scratch / "lock", O_RDWR | O_CREAT);
    const auto second = open_file(scratch / "lock", O_RDWR);
    REQUIRE(first);
    REQUIRE(second);
    REQUIRE(try_lock(first->get()));
    const auto refused = try_lock(second->get());
    REQUIRE_FALSE(refused);
    CHECK(refused.error() == Error{Op::lock, EWOULDBLOCK});
    first->reset();
    CHECK(try_lock(second->get()));
}

TEST_CASE("sys/descriptors: the count follows what is opened and closed") {
    const std::size_t before = count_open_descriptors();
    auto pipe = open_pipe();
    REQUIRE(pipe);
    CHECK(count_open_descriptors() == before + 2);
    pipe->read_end.reset();
    pipe->write_end.reset();
    CHECK(count_open_descriptors() == before);
}

TEST_CASE("sys/descriptors: a moved owner closes exactly once") {
    auto pipe = open_pipe();
    REQUIRE(pipe);
    const int number = pipe->write_end.get();
    UniqueFd other = std::move(pipe->write_end);
    CHECK(other.get() == number);
    CHECK_FALSE(pipe->write_end.is_open());
    other = UniqueFd{};
    CHECK(::fcntl(number, F_GETFD) == -1);
    std::array<std::byte, 1> buffer{};
    CHECK(read_some(pipe->read_end.get(), buffer).value_or(99) == 0);
}

TEST_CASE("sys/write_at: writes where it is told and moves no position") {
    const Scratch scratch;
    const auto file = open_file(scratch / "f", O_RDWR | O_CREAT);
    REQUIRE(file);
    constexpr std::string_view kText = "abc";
    const auto bytes = std::as_bytes(std::span{kText.data(), kText.size()});
    CHECK(write_at(file->get(), bytes, 4).value_or(0) == 3);
    CHECK(file_size(file->get()).value_or(0) == 7);
    CHECK(::lseek(file->get(), 0, SEEK_CUR) == 0);
    std::array<std::byte, 3> back{};
    CHECK(read_at(file->get(), back, 4).value_or(0) == 3);
    CHECK(std::equal(back.begin(), back.end(), bytes.begin()));
    REQUIRE(truncate(file->get(), 5));
    CHECK(file_size(file->get()).value_or(0) == 5);
}

}  // namespace
}  // namespace cluster::sys
