#include "capture/transform.hpp"

#include <doctest/doctest.h>

#include "base/prng.hpp"

namespace cluster::capture {
namespace {

constexpr std::int64_t kNoon = 1'715'947'200'000;
const std::string kStamp = "2024-05-17T12:00:00.000Z ";

Batch stamped(std::uint64_t max_line = 1000) {
    return {.format = {.has_stamps = true, .is_shared = false, .max_line = max_line},
            .stamp_ms = kNoon,
            .line_bytes = 0,
            .ends_foreign_line = false};
}

/// The text without its stamps.
std::string unstamped(std::string text) {
    for (auto at = text.find(kStamp); at != std::string::npos; at = text.find(kStamp, at)) {
        text.erase(at, kStamp.size());
    }
    return text;
}

}  // namespace

TEST_CASE("capture/transform: every line gets the time, a line that goes on does not") {
    const Transformed first = transform("one\n\ntw", stamped());
    CHECK(first.text == kStamp + "one\n" + kStamp + "\n" + kStamp + "tw");
    CHECK(first.line_bytes == 2);
    Batch next = stamped();
    next.line_bytes = first.line_bytes;
    const Transformed second = transform("o\nthree\n", next);
    CHECK(second.text == "o\n" + kStamp + "three\n");
    CHECK(second.line_bytes == 0);
    CHECK(transform("", next).text.empty());
    CHECK(transform("", next).line_bytes == 2);
}

TEST_CASE("capture/transform: a long line is split, and each part is a line") {
    const Transformed result = transform("abcdefgh\nabc\nabcd", stamped(3));
    CHECK(result.text == kStamp + "abc\n" + kStamp + "def\n" + kStamp + "gh\n" + kStamp + "abc\n" +
                             kStamp + "abc\n" + kStamp + "d");
    CHECK(result.line_bytes == 1);
    // Whether a full line goes on is known only with the next byte.
    Batch next = stamped(3);
    next.line_bytes = 3;
    CHECK(transform("\n", next).text == "\n");
    CHECK(transform("x", next).text == "\n" + kStamp + "x");
}

TEST_CASE("capture/transform: an unfinished line of the other stream is ended first") {
    Batch batch = stamped();
    batch.ends_foreign_line = true;
    CHECK(transform("x\n", batch).text == "\n" + kStamp + "x\n");
    batch.format.has_stamps = false;
    CHECK(transform("x\n", batch).text == "\nx\n");
}

TEST_CASE("capture/transform: cut into batches anyhow, the text is the same") {
    Prng prng(7);
    std::string bytes;
    for (int i = 0; i < 2000; ++i) bytes += prng.below(9) == 0 ? '\n' : 'x';
    const std::string whole = transform(bytes, stamped(12)).text;
    for (int round = 0; round < 50; ++round) {
        std::string pieces;
        Batch batch = stamped(12);
        for (std::size_t at = 0; at < bytes.size();) {
            const std::size_t size = 1 + prng.below(40);
            const Transformed result = transform(bytes.substr(at, size), batch);
            pieces += result.text;
            batch.line_bytes = result.line_bytes;
            at += size;
        }
        REQUIRE(pieces == whole);
    }
    Batch plain = stamped(10'000);
    CHECK(unstamped(transform(bytes, plain).text) == bytes);
    plain.format.has_stamps = false;
    CHECK(transform(bytes, plain).text == bytes);
}

TEST_CASE("capture/transform: a shared log gets whole lines, unless a line is too long to wait") {
    LineFormat format{.has_stamps = false, .is_shared = true, .max_line = 5};
    CHECK(batch_size("a\nb\nc", format, false) == 4);
    CHECK(batch_size("a\nb\nc", format, true) == 5);
    CHECK(batch_size("abcde", format, false) == 0);
    CHECK(batch_size("abcdef", format, false) == 6);
    CHECK(batch_size("a\nabcdef", format, false) == 8);
    CHECK(batch_size("", format, true) == 0);
    format.is_shared = false;
    CHECK(batch_size("abc", format, false) == 3);
}

TEST_CASE("capture/transform: a batch ends with the line that fills the log") {
    LineFormat format{.has_stamps = false, .is_shared = false, .max_line = 100};
    CHECK(size_until_full("aaaa\nbbbb\ncccc\n", format, 100) == 15);
    CHECK(size_until_full("aaaa\nbbbb\ncccc\n", format, 10) == 10);
    CHECK(size_until_full("aaaa\nbbbb\ncccc\n", format, 6) == 10);
    CHECK(size_until_full("aaaa\nbbbb\ncccc\n", format, 5) == 5);
    CHECK(size_until_full("aaaa\nbbbb\ncccc\n", format, 0) == 5);
    CHECK(size_until_full("aaaa", format, 0) == 4);
    CHECK(size_until_full("", format, 0) == 0);
    format.has_stamps = true;
    CHECK(size_until_full("aaaa\nbbbb\ncccc\n", format, 31) == 10);
    CHECK(size_until_full("aaaa\nbbbb\ncccc\n", format, 30) == 5);
}

}  // namespace cluster::capture
