#include "json/json.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "json/text.hpp"

using cluster::json::dump_line;
using cluster::json::Field;
using cluster::json::Json;

namespace {

constexpr std::int64_t kLeast = std::numeric_limits<std::int64_t>::min();
constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
constexpr std::uint64_t kMostUnsigned = std::numeric_limits<std::uint64_t>::max();

std::vector<Json> one_of_each() {
    return {Json(),    Json(true),   Json(-1),      Json(1),
            Json(1.0), Json("text"), Json::array(), Json::object()};
}

}  // namespace

TEST_CASE("json/value: every type says what it is, and answers nothing when asked for another") {
    const std::vector<Json> values = one_of_each();
    const std::vector<std::string> names = {"null",   "boolean", "number", "number",
                                            "number", "string",  "array",  "object"};
    for (std::size_t i = 0; i < values.size(); ++i) {
        CAPTURE(i);
        const Json& value = values[i];
        CHECK(value.type_name() == names[i]);
        CHECK(value.is_null() == (i == 0));
        CHECK(value.is_boolean() == (i == 1));
        CHECK(value.is_number() == (i >= 2 && i <= 4));
        CHECK(value.is_integer() == (i == 2 || i == 3));
        CHECK(value.is_string() == (i == 5));
        CHECK(value.is_array() == (i == 6));
        CHECK(value.is_object() == (i == 7));
        CHECK(value.boolean().has_value() == (i == 1));
        CHECK(value.integer().has_value() == (i == 2 || i == 3));
        CHECK(value.counter().has_value() == (i == 3));
        CHECK(value.real().has_value() == (i >= 2 && i <= 4));
        CHECK((value.text() != nullptr) == (i == 5));
        CHECK(value.elements().empty());
        CHECK(value.fields().empty());
        CHECK(value.find("a") == nullptr);
        CHECK(value.get("a").is_null());
        for (std::size_t other = 0; other < values.size(); ++other) {
            CHECK((value == values[other]) == (i == other));
        }
    }
}

TEST_CASE("json/value: numbers of every C++ type, up to their limits") {
    CHECK(Json(std::uint16_t{65535}).counter() == 65535);
    CHECK(Json(std::int8_t{-5}).integer() == -5);
    CHECK(Json(7L) == Json(7U));
    CHECK(Json(7LL).counter() == 7);
    CHECK(Json(7.0F).real() == 7.0);
    CHECK(Json(kLeast).integer() == kLeast);
    CHECK(Json(kLeast).counter() == std::nullopt);
    CHECK(Json(kLeast).real() == -0x1.0p63);
    CHECK(Json(kMost).integer() == kMost);
    CHECK(Json(kMostUnsigned).counter() == kMostUnsigned);
    CHECK(Json(kMostUnsigned).integer() == std::nullopt);
    CHECK(Json(kMostUnsigned).real() == 0x1.0p64);
    CHECK(Json(1.0).integer() == std::nullopt);
    CHECK(Json(1e308).real() == 1e308);
    CHECK_FALSE(Json(1.0) == Json(1));
}

TEST_CASE("json/value: texts of every C++ type; optionals are null where they hold nothing") {
    const std::string text = "a\0b";
    CHECK(*Json(text).text() == text);
    CHECK(*Json(std::string(text)).text() == text);
    CHECK(*Json(std::string_view("abc").substr(1)).text() == "bc");
    CHECK(*Json("abc").text() == "abc");
    CHECK(Json(std::optional<int>{}).is_null());
    CHECK(Json(std::optional{5}) == Json(5));
    CHECK(Json(std::optional<std::string>{"x"}) == Json("x"));
    CHECK(dump_line(Json(std::vector<std::string>{"a", "b"})) == R"(["a","b"])");
    CHECK(Json(std::vector<std::string>{}).is_array());
}

TEST_CASE("json/value: an object keeps the order in which its fields were written") {
    Json object{{"b", 1}, {"a", Json{{"inner", nullptr}}}, {"list", std::vector<std::string>{"x"}}};
    object["c"] = true;
    object["b"] = "changed";
    CHECK(dump_line(object) == R"({"b":"changed","a":{"inner":null},"list":["x"],"c":true})");
    CHECK(object.find("c")->boolean() == true);
    CHECK(object.find("d") == nullptr);
    CHECK(object.get("a").get("inner").is_null());
    CHECK(object.get("a").get("inner").get("deeper").is_null());
    std::string names;
    for (const auto& [name, value] : object.fields()) names += name + " ";
    CHECK(names == "b a list c ");
    CHECK(object == Json(object));
    CHECK_FALSE(Json{{"a", 1}, {"b", 2}} == Json{{"b", 2}, {"a", 1}});
}

TEST_CASE("json/value: null becomes what is added to it") {
    Json object;
    object["a"]["b"] = 1;
    CHECK(dump_line(object) == R"({"a":{"b":1}})");
    Json list;
    list.push_back(nullptr).push_back(1);
    list.push_back({{"a", 1}});
    CHECK(dump_line(list) == R"([[1],{"a":1}])");
}

TEST_CASE("json/value: a copy is its own, and a list in braces is moved, not copied") {
    Json list = Json::array();
    list.push_back("a text that is too long for the small buffer");
    const std::string* const before = list.elements().front().text();
    const Json object{{"list", std::move(list)}};
    CHECK(object.get("list").elements().front().text() == before);
    Json copy = object;
    copy["list"].push_back(2);
    CHECK(object.get("list").elements().size() == 1);
    CHECK(copy.get("list").elements().size() == 2);
}
