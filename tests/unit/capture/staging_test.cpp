#include "capture/staging.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <string>

#include "capture/pump.hpp"
#include "sys/file.hpp"
#include "sys/memory.hpp"
#include "unit/capture/place_for_files.hpp"

namespace cluster::capture {
namespace {

constexpr std::int64_t kNoon = 1'715'947'200'000;
const std::string kStamp = "2024-05-17T12:00:00.000Z ";
constexpr LineFormat kStamped{.has_stamps = true, .is_shared = false, .max_line = 65536};
constexpr LineFormat kShared{.has_stamps = false, .is_shared = true, .max_line = 65536};
constexpr std::size_t kBudget = 256U * 1024U;

std::int64_t noon() {
    return kNoon;
}

Staging attach_copy(const sys::UniqueFd& custody) {
    auto copy = sys::duplicate(custody.get());
    REQUIRE(copy);
    auto staging = Staging::attach(std::move(*copy));
    REQUIRE(staging);
    return std::move(*staging);
}

/// A pipe, a staging file in somebody's custody, and a log.
struct Stream {
    explicit Stream(const std::string& log_path) : path(log_path) {
        auto opened = sys::open_pipe();
        REQUIRE(opened);
        pipe = std::move(*opened);
        auto staging = Staging::create();
        REQUIRE(staging);
        auto copy = sys::duplicate(staging->descriptor());
        REQUIRE(copy);
        custody = std::move(*copy);
    }
    std::shared_ptr<LogFile> open_log() const {
        auto log = LogFile::open(path);
        REQUIRE(log);
        return std::make_shared<LogFile>(std::move(*log));
    }
    /// As a successor does it.
    Pump attach(std::shared_ptr<LogFile> log, const LineFormat& format) const {
        Staging staging = attach_copy(custody);
        REQUIRE(staging.recover(*log, {}));
        auto reader = sys::duplicate(pipe.read_end.get());
        REQUIRE(reader);
        Pump pump{std::move(*reader), std::move(log)};
        pump.stage(std::move(staging), format, &noon);
        return pump;
    }
    Pump attach(const LineFormat& format) const { return attach(open_log(), format); }
    void write(std::string_view text) const { REQUIRE(sys::write_all(pipe.write_end.get(), text)); }
    /// The half of the header that was written last says that the batch is done. Without it the
    /// other one counts: the batch is being written.
    void undo_last_record() const {
        std::array<std::uint64_t, 2> sequences{};
        for (std::size_t i = 0; i < 2; ++i) {
            REQUIRE(sys::read_at(custody.get(), std::as_writable_bytes(std::span(&sequences[i], 1)),
                                 i * 128));
        }
        const std::array<std::byte, 8> nothing{};
        REQUIRE(sys::write_at(custody.get(), nothing, sequences[0] > sequences[1] ? 0 : 128));
    }

    sys::Pipe pipe;
    sys::UniqueFd custody;
    std::string path;
};

std::string numbered_lines(const std::string& name, int count) {
    std::string text;
    for (int i = 0; i < count; ++i) {
        text +=
            name + std::to_string(i) + std::string(static_cast<std::size_t>(i) % 97, '.') + "\n";
    }
    return text;
}

/// Lines without their stamps; a line without one fails.
std::string unstamped(const std::string& text) {
    std::string result;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = std::min(text.find('\n', at), text.size() - 1) + 1;
        if (text.compare(at, kStamp.size(), kStamp) != 0) return "a line without a stamp";
        result += text.substr(at + kStamp.size(), end - at - kStamp.size());
        at = end;
    }
    return result;
}

void wait_readable(int first, int second) {
    std::array<pollfd, 2> waited{pollfd{first, POLLIN, 0}, pollfd{second, POLLIN, 0}};
    ::poll(waited.data(), waited.size(), 20000);
}

/// Spins, so that a child is killed at any instruction and not at the ends of a scheduler's turn.
void let_pass(std::chrono::nanoseconds time) {
    const auto deadline = std::chrono::steady_clock::now() + time;
    while (std::chrono::steady_clock::now() < deadline) {
    }
}

std::string archive_path(const std::string& log, std::size_t number) {
    return log + ".archive" + std::to_string(number);
}

std::string whole_log(const std::string& log) {
    std::string text;
    for (std::size_t i = 0; std::filesystem::exists(archive_path(log, i)); ++i) {
        text += contents(archive_path(log, i));
    }
    // Killed between the rename and the new file: the next pump makes one.
    return std::filesystem::exists(log) ? text + contents(log) : text;
}

/// How long the next pump lives. A machine that is busy with other things must not keep every one
/// from getting anywhere.
std::chrono::nanoseconds life_of(int kills) {
    return std::chrono::nanoseconds{200'000 + (kills * 7919L) % 2'000'000 + kills * 5'000L};
}

void rotate(LogFile& log) {
    std::size_t number = 0;
    while (std::filesystem::exists(archive_path(log.path(), number))) ++number;
    REQUIRE(log.rotate(archive_path(log.path(), number)));
}

}  // namespace

TEST_CASE("capture/staging: lines get their time, partial lines at once") {
    const PlaceForFiles place;
    const Stream stream(place.file("log"));
    Pump pump = stream.attach(kStamped);
    stream.write("one\ntw");
    CHECK(pump.pump(kBudget) == Pumped::idle);
    CHECK(contents(stream.path) == kStamp + "one\n" + kStamp + "tw");
    stream.write("o\n");
    CHECK(pump.pump(kBudget) == Pumped::idle);
    CHECK(contents(stream.path) == kStamp + "one\n" + kStamp + "two\n");
    CHECK_FALSE(pump.has_partial());
}

TEST_CASE("capture/staging: a log whose last line is open gets a newline before the first stamp") {
    const PlaceForFiles place;
    const Stream stream(place.file("log"));
    put(stream.path, "of another");
    Pump pump = stream.attach(kStamped);
    stream.write("one\n");
    CHECK(pump.pump(kBudget) == Pumped::idle);
    CHECK(contents(stream.path) == "of another\n" + kStamp + "one\n");
}

TEST_CASE("capture/staging: a kill at any byte of a batch is repaired to the same text") {
    const PlaceForFiles place;
    const Stream stream(place.file("log"));
    {
        Pump before = stream.attach(kStamped);
        stream.write("first\nop");
        REQUIRE(before.pump(kBudget) == Pumped::idle);
        stream.write("en\nsecond\nthird");
        REQUIRE(before.pump(kBudget) == Pumped::idle);
    }
    const std::string expected = contents(stream.path);
    const std::size_t begin = (kStamp + "first\n" + kStamp + "op").size();
    std::array<std::byte, 256> header{};
    REQUIRE(sys::read_at(stream.custody.get(), header, 0));
    for (std::size_t size = begin; size <= expected.size(); ++size) {
        CAPTURE(size);
        stream.undo_last_record();
        put(stream.path, expected.substr(0, size));
        Pump pump = stream.attach(kStamped);
        CHECK(contents(stream.path) == expected);
        CHECK(pump.pump(kBudget) == Pumped::idle);
        CHECK(contents(stream.path) == expected);
        // As it was before, for the next round.
        REQUIRE(sys::write_at(stream.custody.get(), header, 0));
    }
}

TEST_CASE(
    "capture/staging: a batch is finished in the file that it was meant for, if it is there") {
    const PlaceForFiles place;
    const Stream stream(place.file("log"));
    {
        Pump before = stream.attach(kStamped);
        stream.write("text\n");
        REQUIRE(before.pump(kBudget) == Pumped::idle);
    }
    stream.undo_last_record();
    const std::string moved = place.file("moved");
    std::filesystem::rename(stream.path, moved);
    std::filesystem::resize_file(moved, 3);
    SUBCASE("it is found") {
        Staging staging = attach_copy(stream.custody);
        REQUIRE(staging.recover(*stream.open_log(), {place.file("other"), moved}));
        CHECK(contents(moved) == kStamp + "text\n");
        CHECK(contents(stream.path).empty());
    }
    SUBCASE("it is not") {
        const Pump pump = stream.attach(kStamped);
        CHECK(contents(stream.path) == kStamp + "text\n");
    }
}

TEST_CASE("capture/staging: what is no staging file is refused") {
    for (const std::size_t size : {100U, 8192U}) {
        auto file = sys::open_memory_file("x", size);
        REQUIRE(file);
        CHECK_FALSE(Staging::attach(std::move(*file)));
    }
    const auto good = Staging::create();
    REQUIRE(good);
    auto copy = sys::duplicate(good->descriptor());
    REQUIRE(copy);
    REQUIRE(sys::truncate(good->descriptor(), 4095));
    CHECK_FALSE(Staging::attach(std::move(*copy)));
}

TEST_CASE("capture/staging: two streams share a log line by line") {
    const PlaceForFiles place;
    const Stream out(place.file("log"));
    const Stream err(place.file("log"));
    const auto log = out.open_log();
    Pump out_pump = out.attach(log, kShared);
    Pump err_pump = err.attach(log, kShared);
    out.write("out 1\nout");
    err.write("err 1\n");
    CHECK(out_pump.pump(kBudget) == Pumped::idle);
    CHECK(err_pump.pump(kBudget) == Pumped::idle);
    CHECK(contents(out.path) == "out 1\nerr 1\n");
    CHECK(out_pump.has_partial());
    CHECK_FALSE(err_pump.has_partial());
    // Its end does not come: it is written as it is, and the other stream begins a line.
    CHECK(out_pump.flush() == Pumped::idle);
    err.write("err 2\n");
    CHECK(err_pump.pump(kBudget) == Pumped::idle);
    out.write(" 2\n");
    CHECK(out_pump.pump(kBudget) == Pumped::idle);
    CHECK(contents(out.path) == "out 1\nerr 1\nout\nerr 2\n 2\n");
    // Nobody wrote in between: the line goes on.
    out.write("out");
    CHECK(out_pump.pump(kBudget) == Pumped::idle);
    CHECK(out_pump.flush() == Pumped::idle);
    out.write(" 3\n");
    CHECK(out_pump.pump(kBudget) == Pumped::idle);
    CHECK(contents(out.path) == "out 1\nerr 1\nout\nerr 2\n 2\nout 3\n");
}

TEST_CASE("capture/staging: a line longer than a batch arrives whole, one beyond max_line split") {
    const PlaceForFiles place;
    for (const std::uint64_t max_line : {std::uint64_t{1} << 20U, std::uint64_t{1000}}) {
        const Stream stream(place.file("log" + std::to_string(max_line)));
        Pump pump = stream.attach({.has_stamps = false, .is_shared = true, .max_line = max_line});
        const std::string line(300'000, 'x');
        Child worker([&] { stream.write(line + "\n"); });
        while (std::filesystem::file_size(stream.path) <= line.size()) {
            wait_readable(pump.pipe(), -1);
            REQUIRE(pump.pump(kBudget) != Pumped::blocked);
        }
        const std::string text = contents(stream.path);
        CHECK(std::count(text.begin(), text.end(), '\n') == (max_line == 1000 ? 300 : 1));
    }
}

TEST_CASE("capture/staging: kills at any moment lose and double nothing, stamped and rotated") {
    const PlaceForFiles place;
    const Stream stream(place.file("log"));
    constexpr int kLines = 60'000;
    const std::string text = numbered_lines("", kLines);
    Child worker([&] { stream.write(text); });
    int kills = 0;
    std::string log;
    for (bool has_ended = false; !has_ended; ++kills) {
        Child pumping([&] {
            Pump pump = stream.attach(kStamped);
            pump.log().set_limit(50'000);
            while (true) {
                const Pumped result = pump.pump(kBudget);
                if (result == Pumped::full) rotate(pump.log());
                if (result == Pumped::idle) wait_readable(pump.pipe(), -1);
            }
        });
        let_pass(life_of(kills));
        pumping.kill();
        if (kills % 16 != 0) continue;
        log = whole_log(stream.path);
        has_ended = log.size() >= text.size() + kLines * kStamp.size() || kills > 4'000;
    }
    CHECK((unstamped(log) == text));
    for (std::size_t i = 0; std::filesystem::exists(archive_path(stream.path, i)); ++i) {
        const std::string archive = contents(archive_path(stream.path, i));
        REQUIRE(archive.size() >= 50'000);
        REQUIRE(archive.size() < 50'000 + 200);
        REQUIRE(archive.back() == '\n');
    }
    CHECK(kills > 30);
    MESSAGE(kills << " kills");
}

TEST_CASE("capture/staging: kills at any moment lose and double nothing, two streams in one log") {
    const PlaceForFiles place;
    const Stream out(place.file("log"));
    const Stream err(place.file("log"));
    const std::string out_text = numbered_lines("out", 20'000);
    const std::string err_text = numbered_lines("err", 20'000);
    Child out_worker([&] { out.write(out_text); });
    Child err_worker([&] { err.write(err_text); });
    int kills = 0;
    std::string log;
    for (bool has_ended = false; !has_ended; ++kills) {
        Child pumping([&] {
            const auto shared = out.open_log();
            std::array<Pump, 2> pumps{out.attach(shared, kShared), err.attach(shared, kShared)};
            shared->set_limit(50'000);
            while (true) {
                // First what a killed one had taken already: no pipe tells of that.
                for (Pump& pump : pumps) {
                    while (pump.pump(kBudget) == Pumped::full) rotate(pump.log());
                }
                wait_readable(pumps[0].pipe(), pumps[1].pipe());
            }
        });
        let_pass(life_of(kills));
        pumping.kill();
        if (kills % 16 != 0) continue;
        log = whole_log(out.path);
        has_ended = log.size() >= out_text.size() + err_text.size() || kills > 4'000;
    }
    std::string out_lines;
    std::string err_lines;
    for (std::size_t at = 0; at < log.size();) {
        const std::size_t end = log.find('\n', at) + 1;
        REQUIRE(end > at);
        (log.compare(at, 3, "out") == 0 ? out_lines : err_lines) += log.substr(at, end - at);
        at = end;
    }
    CHECK((out_lines == out_text));
    CHECK((err_lines == err_text));
    CHECK(kills > 30);
    MESSAGE(kills << " kills");
}

}  // namespace cluster::capture
