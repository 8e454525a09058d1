#include "clusterctl/view/log_query.hpp"

#include <doctest/doctest.h>
#include <stdlib.h>
#include <time.h>

#include <string>
#include <utility>
#include <vector>

using cluster::clusterctl::LinePattern;
using cluster::clusterctl::merge_by_time;
using cluster::clusterctl::NextLine;
using cluster::clusterctl::parse_since;
using cluster::clusterctl::split_stamp;

namespace {

constexpr std::int64_t kNoon = 1'715'947'200'000;  // 2024-05-17T12:00:00Z
constexpr std::int64_t kHour = 3'600'000;

NextLine lines_of(std::vector<std::string> lines) {
    return [lines = std::move(lines), at = std::size_t{0}]() mutable -> std::optional<std::string> {
        if (at == lines.size()) return std::nullopt;
        return lines[at++];
    };
}

std::string merged(const std::vector<NextLine>& logs) {
    std::string text;
    merge_by_time(logs, [&text](std::size_t log, const std::string& line) {
        text += std::to_string(log) + ":" + line.substr(line.size() - 1) + " ";
    });
    return text;
}

std::string at(int second, const char* text) {
    return "2024-05-17T12:00:0" + std::to_string(second) + ".000Z " + text;
}

}  // namespace

TEST_CASE("clusterctl/since: every form of a time") {
    ::setenv("TZ", "UTC-2", 1);  // two hours east
    ::tzset();
    CHECK(parse_since("10m", kNoon) == kNoon - 600'000);
    CHECK(parse_since("1.5h", kNoon) == kNoon - 3 * kHour / 2);
    CHECK(parse_since("2024-05-17T12:00:00Z", 0) == kNoon);
    CHECK(parse_since("2024-05-17T12:00:00.001Z", 0) == kNoon + 1);
    CHECK(parse_since("2024-05-17 12:00Z", 0) == kNoon);
    CHECK(parse_since("2024-05-17 14:00:00", 0) == kNoon);
    CHECK(parse_since("2024-05-17T14:00", 0) == kNoon);
    CHECK(parse_since("2024-05-17", 0) == kNoon - 14 * kHour);
    CHECK(parse_since("13:30", kNoon) == kNoon - kHour / 2);
    CHECK(parse_since("00:00:01", kNoon) == kNoon - 14 * kHour + 1000);
    for (const char* bad : {"", "x", "10", "25:00", "12:60", "2024-13-01", "2024-02-30", "-5m",
                            "2024-05-17x12:00", "12:00:00:00", "2024-5-17"}) {
        CAPTURE(bad);
        CHECK_FALSE(parse_since(bad, kNoon).has_value());
    }
}

TEST_CASE("clusterctl/grep: extended expressions, bytes of any kind, and what is wrong with one") {
    const auto pattern = LinePattern::make("^(err|warn)[0-9]+$");
    REQUIRE(pattern.has_value());
    CHECK(pattern->matches("err42"));
    CHECK_FALSE(pattern->matches("an err42"));
    CHECK_FALSE(pattern->matches(""));
    CHECK(LinePattern::make("b")->matches(std::string_view("a\0b", 3)));
    CHECK_FALSE(LinePattern::make("b")->matches(std::string_view("ab", 1)));
    CHECK_FALSE(LinePattern::make("(").has_value());
}

TEST_CASE("clusterctl/time: a stamp is taken off only where it is one") {
    const auto stamped = split_stamp("2024-05-17T12:00:00.007Z  two words");
    CHECK(stamped.time_ms == kNoon + 7);
    CHECK(stamped.text == " two words");
    CHECK(split_stamp("2024-05-17T12:00:00.007Z ").text.empty());
    CHECK_FALSE(split_stamp("2024-05-17T12:00:00.007Z").time_ms);
    CHECK_FALSE(split_stamp("2024-05-17T12:00:00Z x").time_ms);
    CHECK(split_stamp("x").text == "x");
}

TEST_CASE("clusterctl/merge: lines come in the order of time, and those without time first") {
    CHECK(merged({}) == "");
    CHECK(merged({lines_of({at(1, "a"), at(3, "b"), at(5, "c")}), lines_of({"x", "y"}),
                  lines_of({at(2, "d"), "e", at(3, "f"), at(4, "g")})}) ==
          "1:x 1:y 0:a 2:d 2:e 0:b 2:f 2:g 0:c ");
}
