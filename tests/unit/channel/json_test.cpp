#include "channel/json.hpp"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "base/prng.hpp"

namespace cluster::channel {
namespace {

bool accepts(std::string_view text) {
    Json json;
    return json.parse(text);
}

TEST_CASE("channel/json: one value of every kind, as it stands") {
    Json json;
    REQUIRE(json.parse(" {\"a\": 1, \"b\":[1,{\"a\":2}], \"c\" : \"x\\n\"}\r"));
    CHECK(json.root().type == JsonType::object);
    CHECK(json.root().text == "{\"a\": 1, \"b\":[1,{\"a\":2}], \"c\" : \"x\\n\"}");
    CHECK(json.find("a")->text == "1");
    CHECK(json.find("b")->text == "[1,{\"a\":2}]");
    CHECK(json.find("b")->type == JsonType::array);
    CHECK(string_of(*json.find("c")) == "x\n");
    CHECK(json.find("d") == nullptr);
    for (const char* text :
         {"null", "true", "false", "0", "-0.5e+10", "\"\"", "[]", "{}", "[[],{}]",
          "200000000000000000000", "1e400", "\"\\u00e9\\ud83d\\ude00\""}) {
        CHECK_MESSAGE(accepts(text), text);
    }
}

TEST_CASE("channel/json: what is not exactly one value is refused") {
    for (const char* text : {"",
                             " ",
                             "x",
                             "{",
                             "}",
                             "[",
                             "]",
                             "[1,]",
                             "[,1]",
                             "[1 2]",
                             "{\"a\"}",
                             "{\"a\":}",
                             "{\"a\":1,}",
                             "{,\"a\":1}",
                             "{\"a\":1 \"b\":2}",
                             "{a:1}",
                             "'a'",
                             "\"",
                             "\"\\",
                             "\"\\x\"",
                             "\"\\u12\"",
                             "\"\\u12g4\"",
                             "\"a\nb\"",
                             "\"a\tb\"",
                             "01",
                             "1.",
                             ".5",
                             "1e",
                             "+1",
                             "-",
                             "nul",
                             "truex",
                             "1 1",
                             "{} {}",
                             "NaN",
                             "[1}",
                             "{\"a\":1]",
                             "\"\xFF\"",
                             "\"\xC0\x80\"",
                             "\"\xED\xA0\x80\"",
                             "\"\xF4\x90\x80\x80\"",
                             "\"\xE2\x82\"",
                             "[[1,]]",
                             "[{\"a\":}]"}) {
        CHECK_FALSE_MESSAGE(accepts(text), text);
    }
    CHECK_FALSE(accepts(std::string_view("1\0", 2)));
    CHECK_FALSE(accepts(std::string_view("\"a\0b\"", 5)));
}

TEST_CASE("channel/json: depth and members have their bounds") {
    const auto nested = [](std::size_t depth) {
        return std::string(depth, '[') + std::string(depth, ']');
    };
    CHECK(accepts(nested(kMaxDepth)));
    CHECK_FALSE(accepts(nested(kMaxDepth + 1)));
    CHECK_FALSE(accepts(std::string(1'000'000, '[')));
    CHECK(accepts("{\"a\":" + nested(kMaxDepth - 1) + "}"));
    CHECK_FALSE(accepts("{\"a\":" + nested(kMaxDepth) + "}"));
    const auto members = [](std::size_t count) {
        std::string text = "{";
        for (std::size_t i = 0; i < count; ++i) text += (i > 0 ? ",\"a\":1" : "\"a\":1");
        return text + "}";
    };
    CHECK(accepts(members(kMaxMembers)));
    CHECK_FALSE(accepts(members(kMaxMembers + 1)));
}

TEST_CASE("channel/json: the last of several members counts, as in JavaScript") {
    Json json;
    REQUIRE(json.parse("{\"a\":1,\"b\":2,\"a\":3}"));
    CHECK(integer_of(*json.find("a")) == 3);
}

TEST_CASE("channel/json: members one after the other, and whether that was all of one object") {
    const auto names = [](std::string_view text) {
        std::string all;
        JsonMembers members{text};
        JsonMember member;
        while (members.next(member)) {
            all += std::string{member.name} + "=" + std::string{member.value.text} + ";";
        }
        CHECK_FALSE(members.next(member));
        return all + (members.has_ended() ? "end" : "wrong");
    };
    CHECK(names("{}") == "end");
    CHECK(names(" { } ") == "end");
    CHECK(names("{\"a\":1, \"b\" : [2,{}] }") == "a=1;b=[2,{}];end");
    CHECK(names("{\"a\":1}x") == "a=1;wrong");
    CHECK(names("{\"a\":1,}") == "a=1;wrong");
    CHECK(names("{\"a\":1") == "a=1;wrong");
    CHECK(names("{,}") == "wrong");
    CHECK(names("{} {}") == "wrong");
    CHECK(names("[1]") == "wrong");
    CHECK(names("") == "wrong");
}

TEST_CASE("channel/json: a string may be decoded where it stands") {
    std::string text = "\"a\\u00e9\\ud83d\\ude00\\n\\\"\"";
    const std::size_t size = decode_string({JsonType::string, text}, text.data());
    CHECK(text.substr(0, size) == "a\xC3\xA9\xF0\x9F\x98\x80\n\"");
}

TEST_CASE("channel/json: values of strings and numbers") {
    const auto value = [](std::string_view text) {
        Json json;
        REQUIRE(json.parse(text));
        return json.root();
    };
    CHECK(string_of(value("\"\\u0041\\\"\\\\\\/\\b\\f\\n\\r\\t\"")) == "A\"\\/\b\f\n\r\t");
    CHECK(string_of(value("\"\\u00e9\\u20ac\\ud83d\\ude00\"")) ==
          "\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80");
    CHECK(string_of(value("\"\\ud800\"")) == "\xEF\xBF\xBD");
    CHECK(string_of(value("\"\\ud800\\u0041\"")) ==
          "\xEF\xBF\xBD"
          "A");
    CHECK_FALSE(string_of(value("1")));
    CHECK(integer_of(value("-9223372036854775808")) == INT64_MIN);
    CHECK_FALSE(integer_of(value("9223372036854775808")));
    CHECK_FALSE(integer_of(value("1.0")));
    CHECK_FALSE(integer_of(value("\"1\"")));
    CHECK(number_of(value("1.5e3")) == 1500.0);
    CHECK(boolean_of(value("true")) == true);
    CHECK_FALSE(boolean_of(value("null")));
}

TEST_CASE("channel/json: what is written as a string is read again, and cannot end a line") {
    std::string every;
    for (int c = 0; c < 128; ++c) every += static_cast<char>(c);
    every += "\xC3\xA9\xF0\x9F\x98\x80";
    std::string line;
    append_string(line, every);
    CHECK(line.find('\n') == std::string::npos);
    Json json;
    REQUIRE(json.parse(line));
    CHECK(string_of(json.root()) == every);
    line.clear();
    append_string(line,
                  "a\xFF"
                  "b");
    CHECK(line ==
          "\"a\xEF\xBF\xBD"
          "b\"");
}

TEST_CASE("channel/json: agrees with a reader that builds a tree, on texts cut and changed") {
    const std::string seeds[] = {
        "{\"type\":\"updateCounter\",\"increment\":1,\"list\":[1,2.5e3,true,null,{\"a\":"
        "\"\\u00e9\"}]}",
        "[[],{},\"x\\\\\",-0.1,{\"k\":{\"k\":[\"\xC3\xA9\"]}}]"};
    const std::string_view alphabet = "{}[]\",:\\0123456789eE+-.truefalsn \xC3\xA9\xFF";
    Prng prng{20};
    for (int round = 0; round < 200'000; ++round) {
        std::string text = seeds[prng.below(2)];
        for (std::uint64_t i = prng.below(3); i > 0; --i) {
            text[prng.below(text.size())] = alphabet[prng.below(alphabet.size())];
        }
        if (prng.below(3) == 0) text.resize(prng.below(text.size()));
        REQUIRE_MESSAGE(accepts(text) == nlohmann::json::accept(text), text);
        REQUIRE_MESSAGE(accepts(text) == is_json(text), text);
    }
}

}  // namespace
}  // namespace cluster::channel
