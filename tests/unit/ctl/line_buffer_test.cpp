#include "ctl/line_buffer.hpp"

#include <doctest/doctest.h>

#include <string>

using cluster::ctl::LineBuffer;

TEST_CASE("ctl/line_buffer: a line comes out whole, however it came in") {
    const std::string stream = "one\n\ntwo\r\nthree";
    for (std::size_t piece = 1; piece <= stream.size(); ++piece) {
        LineBuffer buffer(16);
        std::string seen;
        for (std::size_t at = 0; at < stream.size(); at += piece) {
            REQUIRE(buffer.append(stream.substr(at, piece)));
            while (const auto line = buffer.take_line()) seen += "[" + *line + "]";
        }
        CHECK(seen == "[one][][two]");
        REQUIRE(buffer.append("\n"));
        CHECK(buffer.take_line() == "three");
        CHECK(buffer.take_line() == std::nullopt);
    }
}

TEST_CASE("ctl/line_buffer: a line at the bound passes, one byte more does not") {
    LineBuffer buffer(4);
    CHECK(buffer.append("abcd"));
    CHECK(buffer.append("\nabcd\n"));
    CHECK(buffer.take_line() == "abcd");
    CHECK(buffer.append("ab"));
    CHECK(buffer.append("cd"));
    CHECK_FALSE(buffer.append("e"));

    LineBuffer finished(4);
    CHECK_FALSE(finished.append("abcde\n"));
    CHECK(finished.take_line() == std::nullopt);

    LineBuffer second(4);
    CHECK_FALSE(second.append("ok\nabcde"));
}

TEST_CASE("ctl/line_buffer: a megabyte of empty lines is taken in linear time") {
    LineBuffer buffer(16);
    REQUIRE(buffer.append(std::string(1U << 20U, '\n')));
    std::size_t lines = 0;
    while (buffer.take_line()) ++lines;
    CHECK(lines == 1U << 20U);  // quadratic work would run into the test's time limit
}

TEST_CASE("ctl/line_buffer: NUL bytes are bytes") {
    LineBuffer buffer(16);
    REQUIRE(buffer.append(std::string("a\0b\n", 4)));
    CHECK(buffer.take_line() == std::string("a\0b", 3));
}
