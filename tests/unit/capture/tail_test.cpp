#include "capture/tail.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "sys/file.hpp"
#include "unit/capture/place_for_files.hpp"

namespace cluster::capture {
namespace {

using Lines = std::vector<std::string>;

LastLines last_lines(const std::string& path, std::size_t count) {
    auto last = read_last_lines(path, count);
    REQUIRE(last);
    return std::move(*last);
}

Lines new_lines(Follower& follower) {
    auto lines = follower.read_new_lines();
    REQUIRE(lines);
    return std::move(*lines);
}

/// What the last `count` lines of `text` are, by the slow way.
Lines slow_last_lines(const std::string& text, std::size_t count) {
    Lines lines;
    std::size_t begin = 0;
    while (begin < text.size()) {
        const std::size_t end = std::min(text.find('\n', begin), text.size());
        lines.push_back(text.substr(begin, end - begin));
        begin = end + 1;
    }
    if (lines.size() > count)
        lines.erase(lines.begin(), lines.end() - static_cast<std::ptrdiff_t>(count));
    return lines;
}

}  // namespace

TEST_CASE("capture/tail: small files give what a reader would count") {
    const PlaceForFiles place;
    const std::string path = place.file("log");
    const std::vector<std::string> texts = {"",
                                            "\n",
                                            "\n\n",
                                            "a",
                                            "a\n",
                                            "\na",
                                            "a\nb",
                                            "a\nb\n",
                                            "a\n\nb",
                                            "a\n\n\n",
                                            "\n\na\n\nb",
                                            "a\r\nb\r\n",
                                            std::string("\0\n\0\n\xFF\n", 6)};
    for (const std::string& text : texts) {
        put(path, text);
        for (std::size_t count = 0; count < 6; ++count) {
            CAPTURE(text);
            CAPTURE(count);
            const LastLines last = last_lines(path, count);
            CHECK(last.lines == slow_last_lines(text, count));
            CHECK(last.end_offset == text.size());
            CHECK(last.ends_in_partial_line == (!text.empty() && text.back() != '\n'));
        }
    }
}

TEST_CASE("capture/tail: blocks of reading do not show, wherever the newlines stand") {
    const PlaceForFiles place;
    const std::string path = place.file("log");
    constexpr std::size_t kBlock = 64U * 1024U;
    // 65541 is a multiple of 7: its last block begins inside the last line.
    for (const std::size_t size :
         {kBlock - 1, kBlock, kBlock + 1, kBlock + 5, 2 * kBlock, 3 * kBlock + 17}) {
        for (const std::size_t stride : {1U, 7U, 4096U, 65536U, 65535U}) {
            std::string text(size, 'x');
            for (std::size_t i = stride - 1; i < size; i += stride) text[i] = '\n';
            put(path, text);
            for (const std::size_t count : {1U, 2U, 15U, 1000U}) {
                CAPTURE(size);
                CAPTURE(stride);
                CAPTURE(count);
                CHECK(last_lines(path, count).lines == slow_last_lines(text, count));
            }
        }
    }
}

TEST_CASE("capture/tail: more lines than there are, and absurdly many, give the whole file") {
    const PlaceForFiles place;
    const std::string path = place.file("log");
    put(path, "a\nb\nc\n");
    CHECK(last_lines(path, 1000).lines == Lines{"a", "b", "c"});
    CHECK(last_lines(path, static_cast<std::size_t>(-1)).lines == Lines{"a", "b", "c"});
}

TEST_CASE("capture/tail: a line over 64 KiB is cut and the lines around it are whole") {
    const PlaceForFiles place;
    const std::string path = place.file("log");
    put(path, "before\n" + std::string(kMaxLine, 'x') + "\n" + std::string(kMaxLine + 1, 'y') +
                  "\nafter\n");
    const LastLines last = last_lines(path, 15);
    REQUIRE(last.lines.size() == 4);
    CHECK(last.lines[0] == "before");
    CHECK(last.lines[1] == std::string(kMaxLine, 'x'));
    CHECK(last.lines[2] == std::string(kMaxLine, 'y'));
    CHECK(last.lines[3] == "after");
}

TEST_CASE("capture/tail: a file of 16 GiB costs what its tail costs") {
    const PlaceForFiles place;
    const std::string path = place.file("log");
    constexpr std::uint64_t kHole = 16ULL << 30U;
    put(path, "first\n");
    std::filesystem::resize_file(path, kHole);  // sparse: one line of zeros
    append(path, "\nx\ny\nz");
    const LastLines last = last_lines(path, 3);
    CHECK(last.lines == Lines{"x", "y", "z"});
    CHECK(last.end_offset == kHole + 6);
    CHECK(last.ends_in_partial_line);
    // More lines than the window can hold: the endless line is entered somewhere, cut, and nothing
    // hangs.
    const LastLines more = last_lines(path, 5);
    REQUIRE(more.lines.size() == 4);
    CHECK(more.lines[0] == std::string(kMaxLine, '\0'));
    CHECK(more.lines[3] == "z");
}

TEST_CASE(
    "capture/tail: a missing file, a directory and a FIFO are errors or empty, never a hang") {
    const PlaceForFiles place;
    const auto missing = read_last_lines(place.file("missing"), 15);
    REQUIRE_FALSE(missing);
    CHECK(missing.error() == Error{Op::open, ENOENT});
    const auto directory = read_last_lines(place.file("."), 15);
    REQUIRE_FALSE(directory);
    CHECK(directory.error() == Error{Op::read, EISDIR});
    REQUIRE(::mkfifo(place.file("fifo").c_str(), 0600) == 0);
    const auto fifo = read_last_lines(place.file("fifo"), 15);
    REQUIRE(fifo);
    CHECK(fifo->lines.empty());
}

TEST_CASE("capture/follow: complete lines come once, a partial line waits for its newline") {
    const PlaceForFiles place;
    const std::string path = place.file("log");
    put(path, "old\npart");
    Follower follower(path, 4);
    CHECK(new_lines(follower).empty());
    append(path, "ial\nnext\r\n\nrest");
    CHECK(new_lines(follower) == Lines{"partial", "next\r", ""});
    CHECK(new_lines(follower).empty());
    append(path, "\n");
    CHECK(new_lines(follower) == Lines{"rest"});
}

TEST_CASE("capture/follow: last lines and following meet without a gap") {
    const PlaceForFiles place;
    const std::string path = place.file("log");
    put(path, "a\nb\n");
    const LastLines last = last_lines(path, 1);
    Follower follower(path, last.end_offset);
    append(path, "c\n");
    CHECK(last.lines == Lines{"b"});
    CHECK(new_lines(follower) == Lines{"c"});
}

TEST_CASE("capture/follow: a truncated file is read from its start") {
    const PlaceForFiles place;
    const std::string path = place.file("log");
    put(path, "a long line that goes away\n");
    Follower follower(path, 0);
    CHECK(new_lines(follower) == Lines{"a long line that goes away"});
    put(path, "new\n");
    CHECK(new_lines(follower) == Lines{"new"});
    put(path, "");
    CHECK(new_lines(follower).empty());
    append(path, "again\n");
    CHECK(new_lines(follower) == Lines{"again"});
}

TEST_CASE("capture/follow: a renamed file is finished first, then the new one is read from 0") {
    const PlaceForFiles place;
    const std::string path = place.file("log");
    put(path, "1\n");
    Follower follower(path, 0);
    CHECK(new_lines(follower) == Lines{"1"});
    append(path, "2\ncut in ");
    std::filesystem::rename(path, place.file("log.1"));
    CHECK(new_lines(follower) == Lines{"2"});  // no successor yet
    append(place.file("log.1"), "the mid");
    put(path, "dle\n3\n");
    CHECK(new_lines(follower) == Lines{"cut in the middle", "3"});
    append(place.file("log.1"), "late, nobody reads it\n");
    append(path, "4\n");
    CHECK(new_lines(follower) == Lines{"4"});
}

TEST_CASE("capture/follow: lines that were read before an error are not lost") {
    const PlaceForFiles place;
    const std::string path = place.file("log");
    put(path, "1\n");
    Follower follower(path, 0);
    CHECK(new_lines(follower) == Lines{"1"});
    append(path, "2\n");
    std::filesystem::rename(path, place.file("log.1"));
    std::filesystem::create_symlink(path, path);  // ELOOP
    CHECK(new_lines(follower) == Lines{"2"});
    const auto nothing = follower.read_new_lines();
    REQUIRE_FALSE(nothing);
    CHECK(nothing.error().code == ELOOP);
    std::filesystem::remove(path);
    put(path, "3\n");
    CHECK(new_lines(follower) == Lines{"3"});
}

TEST_CASE("capture/follow: waits for a file that is not there yet and reads all of it") {
    const PlaceForFiles place;
    const std::string path = place.file("log");
    Follower follower(path, 4711);
    CHECK(new_lines(follower).empty());
    put(path, "hello\n");
    CHECK(new_lines(follower) == Lines{"hello"});
}

TEST_CASE("capture/follow: follows a link to the file that it names now") {
    const PlaceForFiles place;
    put(place.file("one"), "1\n");
    put(place.file("two"), "2\n");
    const std::string path = place.file("log");
    std::filesystem::create_symlink(place.file("one"), path);
    Follower follower(path, 0);
    CHECK(new_lines(follower) == Lines{"1"});
    CHECK(new_lines(follower).empty());
    std::filesystem::remove(path);
    std::filesystem::create_symlink(place.file("two"), path);
    CHECK(new_lines(follower) == Lines{"2"});
}

TEST_CASE("capture/follow: a line without end comes in pieces of 64 KiB, and not a byte is lost") {
    const PlaceForFiles place;
    const std::string path = place.file("log");
    const std::string endless(3 * kMaxLine + 5, 'x');
    put(path, endless);
    Follower follower(path, 0);
    CHECK(new_lines(follower) == Lines(3, std::string(kMaxLine, 'x')));
    append(path, "\n" + std::string(kMaxLine, 'y') + "\nz\n");
    CHECK(new_lines(follower) == Lines{"xxxxx", std::string(kMaxLine, 'y'), "z"});
}

TEST_CASE("capture/follow: a large file comes whole, in bounded calls") {
    const PlaceForFiles place;
    const std::string path = place.file("log");
    const std::string line(99, 'l');
    std::string text;
    constexpr std::size_t kLines = 120'000;  // 12 MB
    for (std::size_t i = 0; i < kLines; ++i) text += line + "\n";
    put(path, text);
    Follower follower(path, 0);
    std::size_t seen = 0;
    std::size_t calls = 0;
    for (Lines lines = new_lines(follower); !lines.empty(); lines = new_lines(follower)) {
        seen += lines.size();
        ++calls;
        CHECK(lines.size() * 100 <= (4U << 20U) + 65536U + 100U);
    }
    CHECK(seen == kLines);
    CHECK(calls >= 3);
}

namespace {

/// What rotation does: the log gets the name of archive `number`, and a new log is begun.
std::string rotate(const std::string& log, std::uint64_t number) {
    const ArchiveName name{.log = std::filesystem::path(log).filename().string(),
                           .number = number,
                           .rotated_s = 1'715'947'200,
                           .is_packed = false};
    const std::string archive = (std::filesystem::path(log).parent_path() / name.text()).string();
    std::filesystem::rename(log, archive);
    put(log, "");
    return archive;
}

}  // namespace

TEST_CASE("capture/follow: archives that were made since the last look are read in between") {
    const PlaceForFiles place;
    const std::string log = place.file("a.0.out.log");
    put(log, "old\n");
    rotate(log, 6);
    append(log, "one\n");
    Follower follower(log, 0);
    CHECK(new_lines(follower) == Lines{"one"});
    append(log, "two\n");
    rotate(log, 7);
    append(log, "three\nfo");
    rotate(log, 8);
    append(log, "ur\n");
    rotate(log, 9);
    append(log, "five\n");
    CHECK(new_lines(follower) == Lines{"two", "three", "four", "five"});
    CHECK(new_lines(follower).empty());
}

TEST_CASE("capture/follow: not a line is missed while a log rotates as fast as it can") {
    constexpr int kRotations = 1000;
    const PlaceForFiles place;
    const std::string log = place.file("log");
    put(log, "");
    Follower follower(log, 0);
    std::thread writer([&] {
        for (int i = 1; i <= kRotations; ++i) {
            append(log, std::to_string(i) + "\n");
            char archive[64];
            std::snprintf(archive, sizeof archive, "log.%06d-20260101T000000Z", i);
            std::filesystem::rename(log, place.file(archive));
        }
        put(log, "end\n");
    });
    Lines all;
    while (all.empty() || all.back() != "end") {
        // It may change faster than it can be opened; then it is tried again.
        const auto lines = follower.read_new_lines();
        if (lines) all.insert(all.end(), lines->begin(), lines->end());
    }
    writer.join();
    REQUIRE(all.size() == kRotations + 1);
    for (int i = 1; i <= kRotations; ++i) {
        REQUIRE(all[static_cast<std::size_t>(i - 1)] == std::to_string(i));
    }
}

TEST_CASE("capture/follow: an archive that is packed or gone is unpacked or left out") {
    const PlaceForFiles place;
    const std::string log = place.file("a.0.out.log");
    put(log, "one\n");
    std::vector<std::string> unpacked;
    Follower follower(log, 4, 0, [&](const std::string& path) -> Result<sys::UniqueFd> {
        unpacked.push_back(path);
        put(place.file("plain"), "of " + contents(path));
        return sys::open_file(place.file("plain"), O_RDONLY);
    });
    // Ours is packed already, and so is the next; the third is gone, the fourth is plain.
    for (std::uint64_t number = 1; number <= 4; ++number) {
        append(log, "text " + std::to_string(number) + "\n");
        const std::string archive = rotate(log, number);
        if (number <= 2) std::filesystem::rename(archive, archive + ".gz");
        if (number == 3) std::filesystem::remove(archive);
    }
    CHECK(new_lines(follower) == Lines{"text 1", "of text 2", "text 4"});
    CHECK(unpacked.size() == 1);
}

TEST_CASE("capture/follow: an offset whose file was rotated away at once is continued in it") {
    const PlaceForFiles place;
    const std::string log = place.file("a.0.out.log");
    put(log, "one\ntwo\n");
    const LastLines last = last_lines(log, 1);
    rotate(log, 1);
    append(log, "four\n");
    append(place.file("a.0.out.log.000001-20240517T120000Z"), "three\n");
    Follower follower(log, last.end_offset, last.inode);
    CHECK(new_lines(follower) == Lines{"three", "four"});
}

TEST_CASE("capture/follow: a log that somebody else moved away leaves no gap behind it") {
    const PlaceForFiles place;
    const std::string log = place.file("a.0.out.log");
    put(log, "one\n");
    Follower follower(log, 0);
    CHECK(new_lines(follower) == Lines{"one"});
    std::filesystem::rename(log, place.file("mine"));
    put(log, "two\n");
    rotate(log, 1);
    append(log, "three\n");
    CHECK(new_lines(follower) == Lines{"two", "three"});
}

}  // namespace cluster::capture
