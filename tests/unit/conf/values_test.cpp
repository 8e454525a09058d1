#include "conf/values.hpp"

#include <doctest/doctest.h>

#include <csignal>
#include <limits>

#include "base/prng.hpp"

namespace cluster::conf {
namespace {

using std::chrono::nanoseconds;

bool has(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

TEST_CASE("conf/duration: every unit counts in its own measure") {
    struct {
        std::string_view text;
        std::int64_t ns;
    } const cases[] = {
        {"0s", 0},
        {"1us", 1'000},
        {"500ms", 500'000'000},
        {"10s", 10'000'000'000},
        {"5m", 300'000'000'000},
        {"1h", 3'600'000'000'000},
        {"2d", 172'800'000'000'000},
        {"1.5s", 1'500'000'000},
        {"0.25m", 15'000'000'000},
        {"0.001us", 1},
        {"007s", 7'000'000'000},
        {"9223372036.854775807s", std::numeric_limits<std::int64_t>::max()},
    };
    for (const auto& item : cases) {
        CAPTURE(item.text);
        const auto duration = parse_duration(item.text);
        REQUIRE(duration);
        CHECK(duration->count() == item.ns);
    }
}

TEST_CASE("conf/duration: what is not a duration is refused with the reason") {
    struct {
        std::string_view text;
        std::string_view reason;
    } const cases[] = {
        {"", "is empty"},
        {"10", "\"10\" has no unit: write \"10s\""},
        {"1.5", "has no unit: write \"1.5s\""},
        {"-5s", "is negative"},
        {"+5s", "does not start with a digit"},
        {"s", "does not start with a digit"},
        {".5s", "does not start with a digit"},
        {"5.s", "no digit after the point"},
        {"10 s", "unknown unit \" s\""},
        {" 10s", "does not start with a digit"},
        {"10s ", "unknown unit \"s \""},
        {"10sec", "\"10sec\" has the unknown unit \"sec\"; units are us, ms, s, m, h, d"},
        {"10S", "did you mean \"s\"?"},
        {"1h30m", "unknown unit \"h30m\""},
        {"0.5ns", "unknown unit"},
        {"0.0001us", "is not a whole number of nanoseconds"},
        {"300000d", "is too large"},
        {"9223372036.854775808s", "is too large"},
        {"99999999999999999999s", "too many digits"},
        {"1.0000000000000s", "too many digits"},
        {"1e3s", "unknown unit"},
    };
    for (const auto& item : cases) {
        CAPTURE(item.text);
        const auto duration = parse_duration(item.text);
        REQUIRE_FALSE(duration);
        CAPTURE(duration.error());
        CHECK(has(duration.error(), item.reason));
    }
}

TEST_CASE("conf/duration: the canonical form is short") {
    struct {
        std::int64_t ns;
        std::string_view text;
    } const cases[] = {
        {0, "0s"},
        {1, "0.001us"},
        {1'500, "1.5us"},
        {1'500'000, "1.5ms"},
        {100'000'000, "100ms"},
        {1'500'000'000, "1.5s"},
        {1'050'000'000, "1.05s"},
        {60'000'000'000, "1m"},
        {90'000'000'000, "90s"},
        {5'400'000'000'000, "90m"},
        {3'600'000'000'000, "1h"},
        {86'400'000'000'000, "1d"},
        {-1'500'000'000, "-1.5s"},
        {std::numeric_limits<std::int64_t>::min(), "-9223372036.854775808s"},
    };
    for (const auto& item : cases) CHECK(format_duration(nanoseconds{item.ns}) == item.text);
}

TEST_CASE("conf/duration: what is formatted is read back unchanged") {
    constexpr std::uint64_t kSeed = 20;
    Prng prng{kSeed};
    for (int i = 0; i < 20'000; ++i) {
        // All magnitudes, and often multiples of a unit.
        auto ns = static_cast<std::int64_t>(prng.next() >> (1 + prng.below(62)));
        constexpr std::int64_t kGrains[] = {1, 1'000, 1'000'000, 1'000'000'000, 60'000'000'000};
        const std::int64_t grain = kGrains[prng.below(5)];
        ns -= ns % grain;
        CAPTURE(ns);
        const auto duration = parse_duration(format_duration(nanoseconds{ns}));
        REQUIRE(duration);
        REQUIRE(duration->count() == ns);
    }
}

TEST_CASE("conf/size: units of 1000 and of 1024") {
    struct {
        std::string_view text;
        std::uint64_t bytes;
    } const cases[] = {
        {"0B", 0},
        {"100B", 100},
        {"1kB", 1'000},
        {"1KB", 1'000},
        {"512KiB", 524'288},
        {"64MiB", 67'108'864},
        {"3MB", 3'000'000},
        {"1GB", 1'000'000'000},
        {"1.5GiB", 1'610'612'736},
        {"2TiB", 2'199'023'255'552},
        {"1TB", 1'000'000'000'000},
    };
    for (const auto& item : cases) {
        CAPTURE(item.text);
        const auto size = parse_size(item.text);
        REQUIRE(size);
        CHECK(*size == item.bytes);
    }
}

TEST_CASE("conf/size: what is not a size is refused with the reason") {
    struct {
        std::string_view text;
        std::string_view reason;
    } const cases[] = {
        {"", "is empty"},
        {"64", "has no unit: write \"64MiB\""},
        {"64M", "unknown unit \"M\""},
        {"64mib", "did you mean \"MiB\"?"},
        {"-1B", "is negative"},
        {"0.5B", "is not a whole number of bytes"},
        {"1.3KiB", "is not a whole number of bytes"},
        {"9000000TB", "is not"},
        {"9300000TB", "is too large"},
    };
    for (const auto& item : cases) {
        CAPTURE(item.text);
        const auto size = parse_size(item.text);
        if (item.text == "9000000TB") {
            CHECK(size);  // the largest that fits still does
            continue;
        }
        REQUIRE_FALSE(size);
        CAPTURE(size.error());
        CHECK(has(size.error(), item.reason));
    }
}

TEST_CASE("conf/words: words split as in a shell, and nothing is expanded") {
    struct {
        std::string_view text;
        std::vector<std::string> words;
    } const cases[] = {
        {"", {}},
        {" \t\n ", {}},
        {"node server.js", {"node", "server.js"}},
        {"  a\tb\nc  ", {"a", "b", "c"}},
        {"a 'b c' d", {"a", "b c", "d"}},
        {"a \"b c\" d", {"a", "b c", "d"}},
        {"a'b'\"c\"d", {"abcd"}},
        {"'' \"\"", {"", ""}},
        {"a\\ b", {"a b"}},
        {"a\\\nb", {"ab"}},
        {"\\'", {"'"}},
        {"'\\'", {"\\"}},
        {R"("\$ \` \" \\ \n")", {R"($ ` " \ \n)"}},
        {"\"a\\\nb\"", {"ab"}},
        {"$HOME *.c | wc > x # y", {"$HOME", "*.c", "|", "wc", ">", "x", "#", "y"}},
        {"a=\"b c\"", {"a=b c"}},
        {"caf\xc3\xa9 '\xe2\x82\xac'", {"caf\xc3\xa9", "\xe2\x82\xac"}},
    };
    for (const auto& item : cases) {
        CAPTURE(item.text);
        const auto words = split_words(item.text);
        REQUIRE(words);
        CHECK(*words == item.words);
    }
}

TEST_CASE("conf/words: an unclosed quote, a lone backslash and a NUL byte are refused") {
    CHECK(has(split_words("a 'b").error(), "unclosed single quote"));
    CHECK(has(split_words("a \"b").error(), "unclosed double quote"));
    CHECK(has(split_words("a \"b\\").error(), "unclosed double quote"));
    CHECK(has(split_words("a \\").error(), "backslash"));
    CHECK(has(split_words(std::string_view("a\0b", 3)).error(), "NUL"));
    CHECK(has(split_words(std::string_view("'a\0b'", 5)).error(), "NUL"));
}

TEST_CASE("conf/signal: names with and without SIG, numbers, real-time signals") {
    struct {
        std::string_view text;
        int signal;
    } const cases[] = {
        {"SIGTERM", SIGTERM},
        {"TERM", SIGTERM},
        {"sigterm", SIGTERM},
        {"15", SIGTERM},
        {"9", SIGKILL},
        {"SIGHUP", SIGHUP},
        {"USR2", SIGUSR2},
        {"SIGIOT", SIGABRT},
        {"SIGCLD", SIGCHLD},
        {"SIGSTOP", SIGSTOP},
        {"SIGRTMIN", SIGRTMIN},
        {"RTMIN+3", SIGRTMIN + 3},
        {"SIGRTMAX-1", SIGRTMAX - 1},
        {"RTMAX", SIGRTMAX},
        {"rtmin+0", SIGRTMIN},
        {"IO", SIGPOLL},
    };
    for (const auto& item : cases) {
        CAPTURE(item.text);
        const auto signal = parse_signal(item.text);
        REQUIRE(signal);
        CHECK(*signal == item.signal);
    }
}

TEST_CASE("conf/signal: what is no signal is refused, with the nearest name") {
    for (const std::string_view text :
         {"", "0", "32", "33", "65", "999", "1000", "-15", "+15", "15 ", "RTMIN+99", "RTMIN-1",
          "RTMAX+1", "RTMIN+", "SIG", "FOO", "SIGSIGTERM"}) {
        CAPTURE(text);
        CHECK_FALSE(parse_signal(text));
    }
    CHECK(has(parse_signal("SIGTREM").error(), "did you mean \"SIGTERM\"?"));
    CHECK(has(parse_signal("TERMINATE").error(), "\"TERMINATE\" is not a signal"));
    CHECK(has(parse_signal("0").error(), "1 … 31"));
}

TEST_CASE("conf/signal: every signal's name is read back as that signal") {
    for (int signal = 1; signal <= SIGRTMAX; ++signal) {
        if (signal > 31 && signal < SIGRTMIN) continue;
        const auto parsed = parse_signal(signal_name(signal));
        CAPTURE(signal_name(signal));
        REQUIRE(parsed);
        CHECK(*parsed == signal);
    }
    CHECK(signal_name(SIGTERM) == "SIGTERM");
    CHECK(signal_name(SIGRTMIN) == "SIGRTMIN");
    CHECK(signal_name(SIGRTMIN + 3) == "SIGRTMIN+3");
    CHECK(signal_name(0) == "signal 0");
    CHECK(signal_name(99) == "signal 99");
    CHECK(signal_name(-1) == "signal -1");
}

}  // namespace
}  // namespace cluster::conf
