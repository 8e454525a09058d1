#include "clusterctl/view/text.hpp"

#include <doctest/doctest.h>

#include <string>

#include "base/prng.hpp"

using cluster::clusterctl::cut_to_width;
using cluster::clusterctl::display_width;
using cluster::clusterctl::harmless_line;
using cluster::clusterctl::one_line;

TEST_CASE("clusterctl/text: width counts columns, not bytes") {
    CHECK(display_width("") == 0);
    CHECK(display_width("abc") == 3);
    CHECK(display_width("caf\xC3\xA9") == 4);
    CHECK(display_width("…") == 1);
    CHECK(display_width("日本") == 4);
    CHECK(display_width("\xF0\x9F\x9A\x80") == 2);
    CHECK(display_width("a\xFF"
                        "b") == 3);
}

TEST_CASE("clusterctl/text: a cut text has its ellipsis and never exceeds the width") {
    CHECK(cut_to_width("abcdef", 6) == "abcdef");
    CHECK(cut_to_width("abcdef", 5) == "abcd…");
    CHECK(cut_to_width("abcdef", 1) == "…");
    CHECK(cut_to_width("abcdef", 0).empty());
    CHECK(cut_to_width("日本語", 4) == "日…");
    CHECK(cut_to_width("日本語", 5) == "日本…");
}

TEST_CASE("clusterctl/text: one_line leaves nothing that moves a cursor") {
    CHECK(one_line("exec ./a\nb\x1b[2J: x") == "exec ./a?b?[2J: x");
    CHECK(one_line("caf\xC3\xA9 \xC2\x9B"
                   "31m \xFF") == "caf\xC3\xA9 ?31m ?");
}

TEST_CASE(
    "clusterctl/text: a log line keeps tabs and colours, and nothing else that a terminal obeys") {
    CHECK(harmless_line("plain\ttext") == "plain\ttext");
    CHECK(harmless_line("\x1b[31mred\x1b[0m") == "\x1b[31mred\x1b[0m\x1b[0m");
    CHECK(harmless_line("\x1b[38;5;208mx") == "\x1b[38;5;208mx\x1b[0m");
    CHECK(harmless_line("\x1b[2Jgone") == "^[[2Jgone");
    CHECK(harmless_line("\x1b]0;title\x07") == "^[]0;title^G");
    CHECK(harmless_line("\x1b[6n") == "^[[6n");
    CHECK(harmless_line("a\rb\bc") == "a^Mb^Hc");
    CHECK(harmless_line("\x7f\xC2\x9B"
                        "31m") == "\\x7f\\x9b31m");
    CHECK(harmless_line("latin \xE9 1") == "latin \\xe9 1");
    CHECK(harmless_line("caf\xC3\xA9") == "caf\xC3\xA9");
    CHECK(harmless_line("\x1b[31") == "^[[31");
}

TEST_CASE("clusterctl/text: random bytes never leave a control character behind") {
    cluster::Prng prng(7);
    for (int round = 0; round < 2000; ++round) {
        std::string bytes;
        for (std::uint64_t i = prng.below(40); i > 0; --i) {
            bytes += static_cast<char>(prng.chance(0.2) ? 0x1B : prng.below(256));
        }
        const std::string line = harmless_line(bytes);
        for (std::size_t at = 0; at < line.size(); ++at) {
            const auto byte = static_cast<unsigned char>(line[at]);
            if (byte == '\t') continue;
            if (byte == 0x1B) {
                const std::size_t end = line.find_first_not_of("0123456789;:", at + 2);
                REQUIRE(line[at + 1] == '[');
                REQUIRE(end != std::string::npos);
                REQUIRE(line[end] == 'm');
            } else {
                REQUIRE(byte >= 0x20);
                REQUIRE(byte != 0x7F);
            }
        }
        REQUIRE(display_width(cut_to_width(one_line(bytes), 10)) <= 10);
    }
}
