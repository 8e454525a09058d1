#include "capture/pump.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <filesystem>
#include <string>

#include "sys/file.hpp"
#include "unit/capture/place_for_files.hpp"

namespace cluster::capture {
namespace {

constexpr std::size_t kBudget = 64U * 1024U;

/// Both ends of a channel into a pump, and the pump.
struct Fixture {
    explicit Fixture(std::string path) {
        auto pipe = sys::open_pipe();
        REQUIRE(pipe);
        writer = std::move(pipe->write_end);
        reader = std::move(pipe->read_end);
        log = std::move(path);
    }
    Pump open() {
        auto copy = sys::duplicate(reader.get());
        REQUIRE(copy);
        auto pump = Pump::open(std::move(*copy), log);
        REQUIRE(pump);
        if (relay.is_open()) {
            auto taken = sys::duplicate(relay.get());
            REQUIRE(taken);
            auto attached = Relay::attach(std::move(*taken));
            REQUIRE(attached);
            pump->use(std::move(*attached));
        }
        return std::move(*pump);
    }
    void write(std::string_view bytes) const { REQUIRE(sys::write_all(writer.get(), bytes)); }

    sys::UniqueFd writer;
    sys::UniqueFd reader;
    sys::UniqueFd relay;  // in custody, where there is one
    std::string log;
};

/// Everything goes through a relay.
struct RelayFixture : Fixture {
    explicit RelayFixture(std::string path) : Fixture(std::move(path)) {
        const auto made = Relay::create();
        REQUIRE(made);
        auto copy = sys::duplicate(made->descriptor());
        REQUIRE(copy);
        relay = std::move(*copy);
    }
};

/// A socket pair instead of a pipe: splice(2) refuses it with EINVAL, which forces the copy mode on
/// any file.
struct SocketFixture : Fixture {
    explicit SocketFixture(std::string path) : Fixture(std::move(path)) {
        std::array<int, 2> ends{};
        REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) == 0);
        reader = sys::UniqueFd{ends[0]};
        writer = sys::UniqueFd{ends[1]};
        REQUIRE(::fcntl(reader.get(), F_SETFL, O_NONBLOCK) == 0);
    }
};

/// Waits until the pipe has bytes or has ended.
void wait_readable(int pipe) {
    pollfd waited{.fd = pipe, .events = POLLIN, .revents = 0};
    REQUIRE(::poll(&waited, 1, 20000) == 1);
}

void pump_to_end(Pump& pump, std::size_t budget) {
    for (Pumped result = Pumped::more; result != Pumped::ended;) {
        wait_readable(pump.pipe());
        const std::uint64_t before = pump.bytes_written();
        result = pump.pump(budget);
        REQUIRE(result != Pumped::blocked);
        REQUIRE(pump.bytes_written() - before <= budget);
    }
}

/// A stream in which every eight bytes tell where they stand, so that a lost or doubled piece
/// shows.
std::string numbered_stream(std::size_t bytes) {
    std::string text;
    text.reserve(bytes + 8);
    std::array<char, 9> word{};
    for (std::size_t i = 0; text.size() < bytes; ++i) {
        std::snprintf(word.data(), word.size(), "%07zx\n", i % 0xFFFFFFF);
        text.append(word.data(), 8);
    }
    text.resize(bytes);
    return text;
}

/// No file of this process grows beyond `bytes` while this lives; works for root too.
class FileSizeLimit {
public:
    explicit FileSizeLimit(std::size_t bytes) : before_handler_(::signal(SIGXFSZ, SIG_IGN)) {
        REQUIRE(::getrlimit(RLIMIT_FSIZE, &before_) == 0);
        const rlimit limit{.rlim_cur = bytes, .rlim_max = before_.rlim_max};
        REQUIRE(::setrlimit(RLIMIT_FSIZE, &limit) == 0);
    }
    ~FileSizeLimit() { lift(); }
    FileSizeLimit(const FileSizeLimit&) = delete;
    FileSizeLimit& operator=(const FileSizeLimit&) = delete;
    void lift() {
        ::setrlimit(RLIMIT_FSIZE, &before_);
        ::signal(SIGXFSZ, before_handler_);
    }

private:
    rlimit before_{};
    sighandler_t before_handler_;
};

std::string many_lines(int count) {
    std::string text;
    for (int i = 0; i < count; ++i) text += "line " + std::to_string(i) + " of a worker\n";
    return text;
}

}  // namespace

TEST_CASE(
    "capture/pump: 20,000 lines of a program that exits at once are in the log, byte for byte") {
    const PlaceForFiles place;
    Fixture fixture(place.file("log"));
    const std::string text = many_lines(20000);
    Child worker([&] { static_cast<void>(sys::write_all(fixture.writer.get(), text)); });
    fixture.writer.reset();
    Pump pump = fixture.open();
    pump_to_end(pump, kBudget);
    CHECK(contents(fixture.log) == text);
    CHECK(pump.bytes_written() == text.size());
    CHECK(pump.mode() == Pump::Mode::splice);
    CHECK((std::filesystem::status(fixture.log).permissions() & std::filesystem::perms::mask) <=
          std::filesystem::perms{0640});
}

TEST_CASE("capture/pump: no call moves more than its budget, and odd budgets lose nothing") {
    const PlaceForFiles place;
    const std::string text = numbered_stream((1U << 20U) + 4711U);
    for (const std::size_t budget : {97U, 4095U, 4097U, 65536U, 1U << 20U}) {
        CAPTURE(budget);
        Fixture fixture(place.file("log" + std::to_string(budget)));
        Child worker([&] { static_cast<void>(sys::write_all(fixture.writer.get(), text)); });
        fixture.writer.reset();
        Pump pump = fixture.open();
        pump_to_end(pump, budget);
        CHECK(contents(fixture.log) == text);
    }
}

TEST_CASE("capture/pump: tells idle, more and ended apart") {
    const PlaceForFiles place;
    Fixture fixture(place.file("log"));
    Pump pump = fixture.open();
    CHECK(pump.pump(kBudget) == Pumped::idle);
    fixture.write("abcdef");
    CHECK(pump.pump(4) == Pumped::more);
    CHECK(contents(fixture.log) == "abcd");
    CHECK(pump.pump(4) == Pumped::idle);
    fixture.write("gh");
    fixture.writer.reset();
    CHECK(pump.pump(kBudget) == Pumped::ended);
    CHECK(pump.pump(kBudget) == Pumped::ended);
    CHECK(contents(fixture.log) == "abcdefgh");
}

TEST_CASE(
    "capture/pump: a write end that is open read-write ends the pipe only when it is closed") {
    const PlaceForFiles place;
    Fixture fixture(place.file("log"));
    auto both = sys::reopen(fixture.writer.get(), O_RDWR);
    REQUIRE(both);
    fixture.writer.reset();
    Pump pump = fixture.open();
    REQUIRE(sys::write_all(both->get(), "still here"));
    CHECK(pump.pump(kBudget) == Pumped::idle);
    both->reset();
    CHECK(pump.pump(kBudget) == Pumped::ended);
    CHECK(contents(fixture.log) == "still here");
}

TEST_CASE("capture/pump: goes on at the end of a file that exists") {
    const PlaceForFiles place;
    Fixture fixture(place.file("log"));
    put(fixture.log, "earlier\n");
    Pump pump = fixture.open();
    fixture.write("later\n");
    CHECK(pump.pump(kBudget) == Pumped::idle);
    CHECK(contents(fixture.log) == "earlier\nlater\n");
    CHECK(pump.bytes_written() == 6);
}

TEST_CASE(
    "capture/pump: a missing directory is an error of open, and so is a FIFO without a reader") {
    const PlaceForFiles place;
    Fixture fixture(place.file("log"));
    auto nowhere = Pump::open(std::move(fixture.reader), place.file("missing/log"));
    REQUIRE_FALSE(nowhere);
    CHECK(nowhere.error() == Error{Op::open, ENOENT});
    Fixture second(place.file("fifo"));
    REQUIRE(::mkfifo(second.log.c_str(), 0600) == 0);
    auto fifo = Pump::open(std::move(second.reader), second.log);
    REQUIRE_FALSE(fifo);
    CHECK(fifo.error() == Error{Op::open, ENXIO});
}

TEST_CASE("capture/pump: keeps writing to the open file when its name is removed or replaced") {
    const PlaceForFiles place;
    Fixture fixture(place.file("log"));
    Pump pump = fixture.open();
    fixture.write("one ");
    CHECK(pump.pump(kBudget) == Pumped::idle);
    std::filesystem::rename(fixture.log, place.file("old"));
    put(fixture.log, "stranger");
    fixture.write("two");
    CHECK(pump.pump(kBudget) == Pumped::idle);
    CHECK(contents(place.file("old")) == "one two");
    CHECK(contents(fixture.log) == "stranger");
    std::filesystem::remove(place.file("old"));
    fixture.write("three");
    CHECK(pump.pump(kBudget) == Pumped::idle);
    CHECK(pump.bytes_written() == 12);
}

TEST_CASE("capture/pump: a file that an operator empties has no hole afterwards") {
    const PlaceForFiles place;
    Fixture fixture(place.file("log"));
    Pump pump = fixture.open();
    fixture.write("a long first line\n");
    CHECK(pump.pump(kBudget) == Pumped::idle);
    put(fixture.log, "");
    fixture.write("next\n");
    CHECK(pump.pump(kBudget) == Pumped::idle);
    CHECK(contents(fixture.log) == "next\n");
}

TEST_CASE("capture/pump: two pumps share one file without overwriting each other") {
    const PlaceForFiles place;
    Fixture out(place.file("log"));
    Fixture err(out.log);
    Pump out_pump = out.open();
    Pump err_pump = err.open();
    out.write("out1\n");
    CHECK(out_pump.pump(kBudget) == Pumped::idle);
    err.write("err1\n");
    CHECK(err_pump.pump(kBudget) == Pumped::idle);
    out.write("out2\n");
    CHECK(out_pump.pump(kBudget) == Pumped::idle);
    CHECK(contents(out.log) == "out1\nerr1\nout2\n");
}

TEST_CASE(
    "capture/pump: drain takes everything that a dead worker left, also past a held write end") {
    const PlaceForFiles place;
    Fixture fixture(place.file("log"));
    REQUIRE(::fcntl(fixture.writer.get(), F_SETPIPE_SZ, 1 << 20) >= 1 << 20);
    const std::string text = numbered_stream(900'000);
    fixture.write(text);
    Pump pump = fixture.open();
    CHECK(pump.drain() == Pumped::idle);
    CHECK(contents(fixture.log) == text);
    fixture.write("last words");
    fixture.writer.reset();
    CHECK(pump.drain() == Pumped::ended);
    CHECK(contents(fixture.log) == text + "last words");
}

TEST_CASE("capture/pump: drain ends although a grandchild writes for ever") {
    const PlaceForFiles place;
    Fixture fixture(place.file("log"));
    Child grandchild([&] {
        const std::string block(4096, 'x');
        while (sys::write_all(fixture.writer.get(), block)) {
        }
    });
    Pump pump = fixture.open();
    for (int round = 0; round < 20; ++round) {
        wait_readable(pump.pipe());
        const std::uint64_t before = pump.bytes_written();
        const Pumped result = pump.drain();
        CHECK((result == Pumped::more || result == Pumped::idle));
        CHECK(pump.bytes_written() - before <= 128U * 1024U);  // a pipe's capacity, and 64 KiB
    }
}

TEST_CASE("capture/pump: a file that takes nothing blocks without a loss and goes on later") {
    const PlaceForFiles place;
    Fixture piped(place.file("spliced"));
    SocketFixture socketed(place.file("copied"));
    RelayFixture relayed(place.file("relayed"));
    const std::string text = numbered_stream(50'000);
    for (Fixture* fixture :
         {&piped, static_cast<Fixture*>(&socketed), static_cast<Fixture*>(&relayed)}) {
        CAPTURE(fixture->log);
        Pump pump = fixture->open();
        fixture->write(text);
        FileSizeLimit limit(20'001);
        Pumped result = pump.pump(kBudget);
        const Pumped again = pump.pump(kBudget);
        const Pumped drained = pump.drain();
        limit.lift();
        CHECK(result == Pumped::blocked);
        CHECK(again == Pumped::blocked);
        CHECK(drained == Pumped::blocked);
        CHECK(pump.last_error().code == EFBIG);
        CHECK(contents(fixture->log) == text.substr(0, 20'001));
        fixture->writer.reset();
        CHECK(pump.pump(1000) == Pumped::more);
        CHECK(pump.drain() == Pumped::ended);
        CHECK(contents(fixture->log) == text);
        CHECK(pump.bytes_written() == text.size());
    }
    CHECK(socketed.log != piped.log);
}

TEST_CASE("capture/pump: /dev/full is written to by copying, and blocks with ENOSPC") {
    Fixture fixture("/dev/full");
    Pump pump = fixture.open();
    fixture.write("nobody will read this");
    CHECK(pump.pump(kBudget) == Pumped::blocked);
    CHECK(pump.last_error() == Error{Op::write, ENOSPC});
    CHECK(pump.mode() == Pump::Mode::copy);
    fixture.writer.reset();
    CHECK(pump.drain() == Pumped::blocked);  // not `ended`: a byte still waits
}

TEST_CASE("capture/pump: copy mode is byte-exact under odd budgets") {
    const PlaceForFiles place;
    const std::string text = numbered_stream(300'001);
    for (const std::size_t budget : {97U, 4097U, 200'000U}) {
        SocketFixture fixture(place.file("log" + std::to_string(budget)));
        Child worker([&] { static_cast<void>(sys::write_all(fixture.writer.get(), text)); });
        fixture.writer.reset();
        Pump pump = fixture.open();
        pump_to_end(pump, budget);
        CHECK(pump.mode() == Pump::Mode::copy);
        CHECK(contents(fixture.log) == text);
    }
}

TEST_CASE(
    "capture/pump: kill -9 in the middle of a firehose, fifty times, loses and doubles nothing") {
    constexpr std::size_t kKills = 50;
    constexpr std::size_t kPortion = 1U << 20U;  // what the firehose writes at a word from us
    const std::string text = numbered_stream(kKills * kPortion);
    for (const std::string& parent :
         {std::string{std::filesystem::temp_directory_path()}, std::string{"/dev/shm"}}) {
        if (::access(parent.c_str(), W_OK) != 0) continue;
        CAPTURE(parent);
        const PlaceForFiles place(parent);
        Fixture fixture(place.file("log"));
        put(fixture.log, "");
        auto words = sys::open_pipe();
        REQUIRE(words);
        Child firehose([&] {
            for (std::size_t sent = 0; sent < text.size(); sent += kPortion) {
                pollfd waited{.fd = words->read_end.get(), .events = POLLIN, .revents = 0};
                ::poll(&waited, 1, -1);
                std::array<std::byte, 1> word{};
                static_cast<void>(sys::read_some(words->read_end.get(), word));
                static_cast<void>(
                    sys::write_all(fixture.writer.get(), text.substr(sent, kPortion)));
            }
        });
        fixture.writer.reset();
        std::size_t killed_midway = 0;
        for (std::size_t kill = 0; kill < kKills; ++kill) {
            Child pumper([&] {
                auto pump = Pump::open(std::move(fixture.reader), fixture.log);
                while (pump && pump->pump(kBudget) != Pumped::ended) {
                }
            });
            // Targets in the first half of this portion that are no multiple of a page.
            const std::uint64_t target = kill * kPortion + (kill * 7919 % 50) * 9'013U + 1U;
            REQUIRE(sys::write_all(words->write_end.get(), "!"));
            const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
            while (std::filesystem::file_size(fixture.log) < target) {
                REQUIRE(std::chrono::steady_clock::now() < deadline);
            }
            pumper.kill();
            const std::uint64_t size = std::filesystem::file_size(fixture.log);
            if (size < (kill + 1) * kPortion) ++killed_midway;
        }
        CHECK(killed_midway > 0);  // else nothing was tested
        Pump successor = fixture.open();
        pump_to_end(successor, kBudget);
        CHECK(firehose.wait() == 0);
        CHECK((contents(fixture.log) == text));  // parenthesised: nobody wants 50 MiB printed
    }
}

TEST_CASE("capture/limit: a log that is full was ended with its line, and no byte more was taken") {
    const PlaceForFiles place;
    Fixture fixture(place.file("log"));
    Pump pump = fixture.open();
    pump.log().set_limit(10);
    fixture.write("12345\n789abcdef\nnext\n");
    CHECK(pump.pump(kBudget) == Pumped::full);
    CHECK(contents(fixture.log) == "12345\n789abcdef\n");
    CHECK(pump.pump(kBudget) == Pumped::full);
    REQUIRE(pump.log().rotate(place.file("archive")) == LogFile::Rotated::archived);
    CHECK(pump.pump(kBudget) == Pumped::idle);
    CHECK(contents(place.file("archive")) == "12345\n789abcdef\n");
    CHECK(contents(fixture.log) == "next\n");
}

TEST_CASE("capture/limit: a log that reaches its limit exactly at a line's end is full at once") {
    const PlaceForFiles place;
    Fixture fixture(place.file("log"));
    Pump pump = fixture.open();
    pump.log().set_limit(6);
    fixture.write("12345\n");
    CHECK(pump.pump(kBudget) == Pumped::full);
}

TEST_CASE("capture/limit: the end of the line is waited for, but not for ever") {
    const PlaceForFiles place;
    Fixture fixture(place.file("log"));
    Pump pump = fixture.open();
    pump.log().set_limit(10);
    fixture.write("0123456789abc");
    CHECK(pump.pump(kBudget) == Pumped::idle);
    const std::string more(1000, 'x');
    for (int i = 0; i < 65; ++i) {
        fixture.write(more);
        CHECK(pump.pump(kBudget) == Pumped::idle);
    }
    fixture.write(more);
    CHECK(pump.pump(kBudget) == Pumped::full);
    CHECK(contents(fixture.log).size() < 10 + 64 * 1024 + 1001);
}

TEST_CASE("capture/limit: a stream in archives and log is the stream, whatever the pieces") {
    const PlaceForFiles place;
    const std::string text = many_lines(20000);
    for (const std::uint64_t limit : {1U, 100U, 4096U, 65536U, 100000U}) {
        CAPTURE(limit);
        Fixture fixture(place.file("log"));
        Child worker([&] { static_cast<void>(sys::write_all(fixture.writer.get(), text)); });
        fixture.writer.reset();
        Pump pump = fixture.open();
        pump.log().set_limit(limit);
        std::string archived;
        for (Pumped result = Pumped::more; result != Pumped::ended;) {
            wait_readable(pump.pipe());
            result = pump.pump(kBudget);
            REQUIRE(result != Pumped::blocked);
            if (result != Pumped::full) continue;
            const std::string archive = place.file("archive");
            REQUIRE(pump.log().rotate(archive) == LogFile::Rotated::archived);
            const std::string bytes = contents(archive);
            CHECK(bytes.size() >= limit);
            CHECK(bytes.back() == '\n');
            archived += bytes;
            std::filesystem::remove(archive);
        }
        CHECK(archived + contents(fixture.log) == text);
        CHECK(pump.bytes_written() == text.size());
        std::filesystem::remove(fixture.log);
    }
}

namespace {

/// Pumps through rotations and is killed, again and again, until the worker's end has come.
void pump_under_kills(Fixture& fixture, const PlaceForFiles& place) {
    const std::string text = numbered_stream(12U << 20U);
    Child worker([&] { static_cast<void>(sys::write_all(fixture.writer.get(), text)); });
    fixture.writer.reset();
    const auto archive = [&](std::size_t number) {
        return place.file("archive" + std::to_string(number));
    };
    int kills = 0;
    for (bool has_ended = false; !has_ended; ++kills) {
        Child pumping([&] {
            Pump pump = fixture.open();
            pump.log().set_limit(20000);
            std::size_t number = 0;
            while (std::filesystem::exists(archive(number))) ++number;
            for (Pumped result = Pumped::more; result != Pumped::ended;) {
                wait_readable(pump.pipe());
                result = pump.pump(kBudget);
                if (result == Pumped::full) static_cast<void>(pump.log().rotate(archive(number++)));
            }
        });
        const auto moment = std::chrono::nanoseconds{200'000 + (kills * 7919L) % 3'000'000};
        const auto deadline = std::chrono::steady_clock::now() + moment;
        while (std::chrono::steady_clock::now() < deadline) {
        }
        pumping.kill();
        pollfd waited{.fd = fixture.reader.get(), .events = POLLIN, .revents = 0};
        ::poll(&waited, 1, 20000);
        has_ended = (waited.revents & POLLIN) == 0;
    }
    CHECK(fixture.open().flush() == Pumped::idle);
    std::string all;
    for (std::size_t i = 0; std::filesystem::exists(archive(i)); ++i) all += contents(archive(i));
    CHECK((all + contents(fixture.log)) == text);
    CHECK(kills > 20);
    MESSAGE(kills << " kills");
}

}  // namespace

TEST_CASE("capture/limit: a kill at any moment of a rotation loses and doubles nothing") {
    const PlaceForFiles place;
    Fixture fixture(place.file("log"));
    pump_under_kills(fixture, place);
}

TEST_CASE("capture/relay: a kill at any moment between the pipes loses and doubles nothing") {
    const PlaceForFiles place;
    RelayFixture fixture(place.file("log"));
    pump_under_kills(fixture, place);
}

TEST_CASE("capture/relay: what a predecessor has left in it comes first, and alone by flush") {
    const PlaceForFiles place;
    RelayFixture fixture(place.file("log"));
    fixture.write("first\n");
    REQUIRE(sys::splice_to_pipe(fixture.reader.get(), fixture.relay.get(), 100) == 6U);
    fixture.write("second\n");
    Pump pump = fixture.open();
    CHECK(pump.relayed() == 6);
    CHECK(pump.has_taken());
    CHECK(pump.flush() == Pumped::idle);
    CHECK(contents(fixture.log) == "first\n");
    CHECK_FALSE(pump.has_taken());
    CHECK(pump.flush() == Pumped::idle);
    CHECK(pump.pump(kBudget) == Pumped::idle);
    CHECK(contents(fixture.log) == "first\nsecond\n");
}

TEST_CASE("capture/relay: what is thrown away is the oldest") {
    const PlaceForFiles place;
    RelayFixture fixture(place.file("log"));
    fixture.write("first\nsecond\n");
    REQUIRE(sys::splice_to_pipe(fixture.reader.get(), fixture.relay.get(), 6) == 6U);
    Pump pump = fixture.open();
    CHECK(pump.discard(2) == 2U);
    CHECK(pump.discard(100) == 4U);
    CHECK(pump.discard(3) == 3U);
    CHECK(pump.drain() == Pumped::idle);
    CHECK(contents(fixture.log) == "ond\n");
}

TEST_CASE("capture/relay: a log that cannot be spliced to gets by copying what is in it") {
    const PlaceForFiles place;
    RelayFixture fixture(place.file("log"));
    const std::string text = numbered_stream(50'000);
    fixture.write(text.substr(0, 30'000));
    Pump pump = fixture.open();
    auto full = LogFile::open("/dev/full");
    REQUIRE(full);
    pump.set_log(std::make_shared<LogFile>(std::move(*full)));
    CHECK(pump.pump(kBudget) == Pumped::blocked);
    CHECK(pump.mode() == Pump::Mode::copy);
    CHECK(pump.taken() == 30'000);
    CHECK(pump.flush() == Pumped::blocked);
    fixture.write(text.substr(30'000));
    auto again = LogFile::open(fixture.log);
    REQUIRE(again);
    pump.set_log(std::make_shared<LogFile>(std::move(*again)));
    CHECK(pump.flush() == Pumped::idle);
    CHECK(contents(fixture.log) == text.substr(0, 30'000));
    fixture.writer.reset();
    CHECK(pump.drain() == Pumped::ended);
    CHECK(contents(fixture.log) == text);
}

TEST_CASE("capture/log: a file that somebody moved away is opened anew and not renamed") {
    const PlaceForFiles place;
    auto log = LogFile::open(place.file("log"));
    REQUIRE(log);
    std::filesystem::rename(place.file("log"), place.file("moved"));
    CHECK(log->rotate(place.file("archive")) == LogFile::Rotated::reopened);
    CHECK(std::filesystem::exists(place.file("log")));
    CHECK_FALSE(std::filesystem::exists(place.file("archive")));
    put(place.file("archive"), "taken");
    const auto refused = log->rotate(place.file("archive"));
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == EEXIST);
    CHECK(contents(place.file("archive")) == "taken");
}

TEST_CASE("capture/log: a link in the log's place is followed and never renamed") {
    const PlaceForFiles place;
    std::filesystem::create_symlink(place.file("target"), place.file("log"));
    auto log = LogFile::open(place.file("log"));
    REQUIRE(log);
    CHECK(log->rotate(place.file("archive")) == LogFile::Rotated::reopened);
    CHECK(std::filesystem::is_symlink(place.file("log")));
    CHECK(std::filesystem::exists(place.file("target")));
}

}  // namespace cluster::capture
