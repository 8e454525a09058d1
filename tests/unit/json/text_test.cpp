#include "json/text.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "json/line_writer.hpp"

using namespace cluster::json;

namespace {

/// What the library says of it: the judge of what we say.
std::string by_library(std::string_view text) {
    using Library = nlohmann::json;
    return Library(text).dump(-1, ' ', false, Library::error_handler_t::replace);
}

std::string by_library(double value) {
    return nlohmann::json(value).dump();
}

std::string problem_of(std::string_view text, const ParseBounds& bounds = {}) {
    const auto value = parse(text, bounds);
    return value ? dump_line(*value) : value.error();
}

std::string repeated(const std::string& piece, int times) {
    std::string text;
    for (int i = 0; i < times; ++i) text += piece;
    return text;
}

}  // namespace

TEST_CASE("json/text: numbers come back as they were") {
    for (const std::string text :
         {"0", "1", "-1", "9223372036854775807", "-9223372036854775808", "9223372036854775808",
          "18446744073709551615", "1.0", "-1.0", "0.1", "-0.0", "1e+308", "5e-324", "1e-07",
          "123456789.125", "1.7976931348623157e+308", "100.0", "1e+16"}) {
        CHECK(problem_of(text) == text);
    }
    CHECK(problem_of("1e2") == "100.0");
    CHECK(problem_of("1E2") == "100.0");
    CHECK(problem_of("-0") == "0");
    CHECK(problem_of("18446744073709551616") == "1.8446744073709552e+19");
    CHECK(parse("-9223372036854775808")->integer() == std::numeric_limits<std::int64_t>::min());
    CHECK(parse("18446744073709551615")->counter() == std::numeric_limits<std::uint64_t>::max());
    CHECK(std::signbit(*parse("-0.0")->real()));
    CHECK(problem_of("1e999") == "not JSON: a number is out of range");
    CHECK(dump_line(Json(std::nan(""))) == "null");
    CHECK(dump_line(Json(-std::numeric_limits<double>::infinity())) == "null");
}

TEST_CASE("json/text: every byte is escaped as the library does it") {
    for (int byte = 0; byte < 256; ++byte) {
        const std::string text = "a" + std::string(1, static_cast<char>(byte)) + "z";
        CAPTURE(byte);
        CHECK(quote(text) == by_library(text));
        CHECK(dump_line(Json(text)) == by_library(text));
        CHECK(is_utf8(text) == (byte < 128));
    }
    CHECK(quote("") == "\"\"");
    CHECK(quote("\"\\/\b\f\n\r\t\x01") == R"("\"\\/\b\f\n\r\t\u0001")");
    CHECK(dump_line(Json{{"a\"\n", 1}}) == R"({"a\"\n":1})");
}

TEST_CASE(
    "json/text: bytes that are not UTF-8 are refused where they are read, replaced where written") {
    const std::vector<std::string> broken = {"\xff",         "\xc3",        "\xe2\x82",
                                             "\xed\xa0\x80", "\xc0\xaf",    "\xf4\x90\x80\x80",
                                             "a\x80z",       "\xf0\x9f\x98"};
    for (const std::string& bytes : broken) {
        CAPTURE(bytes);
        CHECK_FALSE(is_utf8(bytes));
        CHECK(quote(bytes) == by_library(bytes));
        CHECK(quote(bytes).find("\xef\xbf\xbd") != std::string::npos);
        CHECK_FALSE(parse("\"" + bytes + "\"").has_value());
        CHECK_FALSE(is_json("\"" + bytes + "\""));
        CHECK(parse(quote(bytes)).has_value());
    }
    CHECK(is_utf8("é€😀\x7f"));
    CHECK(quote("é€😀") == "\"é€😀\"");
}

TEST_CASE("json/text: escapes are read, surrogates by two") {
    CHECK(*parse(R"("\u00e9\ud83d\ude00\n\/\u0000x")")->text() == std::string("é😀\n/\0x", 10));
    for (const char* const text :
         {R"("\ud83d")", R"("\ude00")", R"("\ud83d\u0041")", R"("\x")", R"("\u12")", "\"a\nb\""}) {
        CHECK_FALSE(parse(text).has_value());
    }
}

TEST_CASE("json/text: what is no JSON is refused with the place of the mistake") {
    CHECK(problem_of("") == "not JSON: mistake at byte 1");
    CHECK(problem_of("{\"a\":}") == "not JSON: mistake at byte 6");
    CHECK(problem_of("[1,2") == "not JSON: mistake at byte 5");
    CHECK(problem_of("1 2") == "not JSON: mistake at byte 3");
    for (const char* const text : {"[1,]", "{a:1}", "{\"a\" 1}", "nul", "01", "+1", ".5", "1.",
                                   "'a'", "[1] x", "{\"a\":1,}", "NaN", "// x\n1"}) {
        CAPTURE(text);
        CHECK(problem_of(text).rfind("not JSON: mistake at byte ", 0) == 0);
        CHECK_FALSE(is_json(text));
    }
    CHECK(problem_of(" \t\r\n[ 1 , { } ] ") == "[1,{}]");
}

TEST_CASE("json/text: nesting, values and keys have bounds") {
    const ParseBounds bounds{.depth = 3, .values = 6, .keys_per_object = 2};
    CHECK(problem_of("[[[]]]", bounds) == "[[[]]]");
    CHECK(problem_of("[[[[]]]]", bounds) == "nested more than 3 deep");
    CHECK(problem_of(R"({"a":{"b":{"c":[1]}}})", bounds) == "nested more than 3 deep");
    CHECK(problem_of("[1,2,3,4,5]", bounds) == "[1,2,3,4,5]");
    CHECK(problem_of("[1,2,3,4,5,6]", bounds) == "more than 6 values");
    CHECK(problem_of("[[],[],[],[],[],[]]", bounds) == "more than 6 values");
    CHECK(problem_of(R"({"a":1,"b":2})", bounds) == R"({"a":1,"b":2})");
    CHECK(problem_of(R"({"a":1,"b":2,"c":3})", bounds) == "more than 2 fields in one object");
    CHECK(problem_of(R"([{"a":1},{"a":1}])", bounds) == R"([{"a":1},{"a":1}])");
    CHECK(problem_of(repeated("[", 1000000)) == "nested more than 32 deep");
    CHECK_FALSE(is_json(repeated("[", 1000000)));
    CHECK(is_json(repeated("[", 100000) + repeated("]", 100000)));
}

TEST_CASE("json/text: a key that stands twice is refused, or the last one counts") {
    const std::string text = R"({"a":[1],"b":2,"a":3})";
    CHECK(problem_of(text) == "field \"a\" stands twice in one object");
    CHECK(problem_of(text, {.last_key_counts = true}) == R"({"a":3,"b":2})");
    CHECK(problem_of(R"({"a":1,"\u0061":2})") == "field \"a\" stands twice in one object");
    const std::string name(100, 'n');
    CHECK(problem_of("{\"" + name + "\":1,\"" + name + "\":1}") ==
          "field \"" + std::string(64, 'n') + "…\" stands twice in one object");
}

TEST_CASE("json/text: for people, a line for each element, and nothing between empty brackets") {
    const Json document{{"a", 1},
                        {"empty", Json::array()},
                        {"none", Json::object()},
                        {"list", *parse(R"([1,[2.0,"x"],{"k":null}])")}};
    CHECK(dump_pretty(document) == R"({
  "a": 1,
  "empty": [],
  "none": {},
  "list": [
    1,
    [
      2.0,
      "x"
    ],
    {
      "k": null
    }
  ]
}
)");
    CHECK(dump_pretty(Json(1)) == "1\n");
    CHECK(parse(dump_pretty(document)) == document);
}

namespace {

struct Inner {
    double share;
};

struct Outer {
    std::string name;
    const char* word;
    bool is_there;
    std::uint64_t count;
    std::int32_t offset;
    std::optional<Inner> inner;
    std::optional<int> none;
};

template <class Visit>
void visit_fields(const Inner& inner, Visit& visit) {
    visit("share", inner.share);
}

template <class Visit>
void visit_fields(const Outer& outer, Visit& visit) {
    visit("name", outer.name);
    visit("word", outer.word);
    visit("is_there", outer.is_there);
    visit("count", outer.count);
    visit("offset", outer.offset);
    visit("inner", outer.inner);
    visit("none", outer.none);
}

}  // namespace

TEST_CASE("json/line_writer: says what a document of the same fields says") {
    for (const double share : {0.0, -0.0, 1.0, 0.1, 1e308, 1e16, std::nan("")}) {
        const Outer outer{
            "a\"\xff", "é",          true,        std::numeric_limits<std::uint64_t>::max(),
            -7,        Inner{share}, std::nullopt};
        std::string line;
        LineWriter(line).write(outer);
        CHECK(line == dump_line(Json{{"name", outer.name},
                                     {"word", outer.word},
                                     {"is_there", outer.is_there},
                                     {"count", outer.count},
                                     {"offset", outer.offset},
                                     {"inner", Json{{"share", share}}},
                                     {"none", outer.none}}));
        CHECK(line.find("\"share\":" + by_library(share) + "}") != std::string::npos);
    }
}
