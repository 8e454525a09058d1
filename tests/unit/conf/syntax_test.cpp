#include "conf/syntax.hpp"

#include <fstream>
#include <sstream>

#include "base/prng.hpp"
#include "loading.hpp"
#include "support/paths.hpp"

namespace cluster::conf {
namespace {

using Mistakes = std::vector<std::string>;

/// Lines 1 and 2 are a right worker, the text begins on line 3.
std::string below_worker(std::string_view text) {
    return "[worker.w]\ncommand = 'x'\n" + std::string(text);
}

TEST_CASE("conf/syntax: each broken line is explained where it is broken") {
    struct {
        std::string_view line;
        std::string_view mistake;
    } const cases[] = {
        {"restart = always",
         "3:11 \"always\" is not a TOML value (could not determine value type); a text stands in "
         "quotes: restart = \"always\""},
        {"stop_timeout = 10s",
         "3:16 \"10s\" is not a TOML value (expected digit, saw 's'); a text stands in quotes: "
         "stop_timeout = \"10s\""},
        {"umask = 022",
         "3:9 \"022\" is not a TOML value (leading zeroes are prohibited); a text stands in "
         "quotes: umask = \"022\""},
        {"umask = 022  # comment",
         "3:9 \"022\" is not a TOML value (leading zeroes are prohibited); a text stands in "
         "quotes: umask = \"022\""},
        {"autostart = True", "3:13 \"True\" is not a TOML value: write true"},
        {"autostart =", "3:12 expected value, but the line ends"},
        {"autostart", "3:10 expected '=', but the line ends"},
        {"autostart: true", "3:10 expected '=', saw ':'"},
        {"nice = 5 5", "3:10 expected a comment or whitespace, saw '5'"},
        {"cwd = \"/tmp", "3:12 the text has no closing quote"},
        {"cwd = '/t\xc3\xa9", "3:11 the text has no closing quote"},
        {"cwd = \"a\\q\"", "3:10 unknown escape sequence '\\q'"},
        {"nice = 1\nnice = 2", "4:1 \"nice\" is defined twice; the first time on line 3"},
        {"env.A = 1\nenv.A = 2", "4:1 \"env.A\" is defined twice; the first time on line 3"},
        {"env = { A = 1, A = 2 }",
         "3:20 this is a second definition: cannot redefine existing integer 'A'"},
        {"[worker.w]",
         "3:1 [worker.w] is defined twice; the first time on line 1; the keys of "
         "this table were not checked"},
        {"[worker.v",
         "3:10 expected ']', but the line ends; the keys of this table were not "
         "checked"},
        {"cwd = \"\xff\"", "3:8 this byte, \"\\xff\", is not UTF-8 text; save the file as UTF-8"},
    };
    for (const auto& item : cases) {
        CAPTURE(item.line);
        CHECK(mistake_of(below_worker(item.line)) == item.mistake);
    }
}

TEST_CASE("conf/syntax: what follows a broken line is still read") {
    check_mistakes(
        "[worker.w]\ncommand = x\nrestart = always\ninstances = 0\n"
        "[worker.v\ninstances = 0\n[worker.u]\ninstances = 0\n",
        {"2:11 \"x\" is not a TOML value (could not determine value type); a text stands "
         "in quotes: command = \"x\"",
         "3:11 \"always\" is not a TOML value (could not determine value type); a text "
         "stands in quotes: restart = \"always\"",
         "4:13 worker.w.instances: expected an integer from 1 to 4096, or \"max\" "
         "(autostart = false keeps a worker down); got 0",
         "5:10 expected ']', but the line ends; the keys of this table were not checked",
         "8:13 worker.u.instances: expected an integer from 1 to 4096, or \"max\" "
         "(autostart = false keeps a worker down); got 0"});
}

TEST_CASE("conf/syntax: a second table of one name does not spill into the table before it") {
    check_mistakes(
        "[worker.a]\ncommand = 'x'\n[worker.b]\ncommand = 'y'\n"
        "[ worker.a ] # again\ncommand = 'z'\nnonsense = 1\n[worker.c]\n",
        {"5:1 [worker.a] is defined twice; the first time on line 1; the keys of this "
         "table were not checked"});
}

TEST_CASE("conf/syntax: a broken value over several lines is taken out as a whole") {
    check_mistakes(below_worker("success_exit_codes = [\n  0,\n  1 2\n]\nnice = 50\n"),
                   {"5:5 expected comma or closing ']', saw '2'",
                    "7:8 worker.w.nice: expected an integer from -20 to 19; got 50"});
    check_mistakes(below_worker("limits = {\n  nofile = 5\n}\nnice = 50\n"),
                   {"3:11 an inline table { … } stands on one line; a longer one is written as a "
                    "table of its own, below [worker.NAME.KEY]",
                    "6:8 worker.w.nice: expected an integer from -20 to 19; got 50"});
    CHECK(
        mistakes_of(below_worker("success_exit_codes = [\n  0,\n  1\n\n[worker.v]\nnice = 50\n")) ==
        Mistakes{"3:1 what begins on this line is never closed",
                 "8:8 worker.v.nice: expected an integer from -20 to 19; got 50"});
}

TEST_CASE("conf/syntax: a value without an end ends the reading, and says so") {
    check_mistakes(
        below_worker("nice = 50\nsuccess_exit_codes = [\n\nnofile = 5\n"),
        {"3:8 worker.w.nice: expected an integer from -20 to 19; got 50",
         "4:1 what begins on this line is never closed; nothing behind line 3 was read"});
    check_mistakes(below_worker("cwd = '''\nabc\n\n[worker.v]\n"),
                   {"3:1 what begins on this line is never closed; nothing "
                    "behind line 2 was read"});
    check_mistakes("cwd = [",
                   {"1:1 what begins on this line is never closed; nothing else was read"});
}

TEST_CASE("conf/syntax: after twenty broken lines the reading ends") {
    std::string text = below_worker("");
    for (int i = 0; i < 50; ++i) text += "k" + std::to_string(i) + " =\n";
    const Mistakes mistakes = mistakes_of(text);
    REQUIRE(mistakes.size() == 20);
    CHECK(mistakes.back().find("nothing behind line 21 was read") != std::string::npos);
}

TEST_CASE("conf/syntax: a statement ends where all that it opened is closed") {
    struct {
        std::string_view text;
        std::size_t line;
        LineRange range;
    } const cases[] = {
        {"", 1, {1, 1}},
        {"a = 1\nb = 2\nc = 3\n", 2, {2, 2}},
        {"a = 1\nb = 2", 2, {2, 2}},
        {"a = [1,\n2,\n3]\nb = 2\n", 2, {1, 3}},
        {"a = [1,\n2,\n3]\nb = 2\n", 4, {4, 4}},
        {"a = \"[\"\nb = 2\n", 1, {1, 1}},
        {"a = '\"' # [\nb = 2\n", 1, {1, 1}},
        {"a = \"\\\"[\"\nb = 2\n", 1, {1, 1}},
        {"a = \"[unclosed\nb = 2\n", 1, {1, 1}},
        {"a = '''x\n[\ny'''\nb = 2\n", 2, {1, 3}},
        {"a = '''x\n[w]\n", 1, {1, 3, false}},
        {"a = [1\nb = 2\n", 2, {1, 3, false}},
        {"a = [1\n[worker.b] # x\n", 1, {1, 1}},
        {"a = [1\n[worker.b] # x\nb = [\n", 3, {1, 1}},
        {"a = [\n[1],\n[true]\n]\nb = 1\n", 3, {1, 4}},
        {"a = {\nb = 1\n}\nc = 1", 1, {1, 3}},
        {"[worker.a]\nb = 1\n", 1, {1, 1}},
    };
    for (const auto& item : cases) {
        CAPTURE(item.text);
        const LineRange range = statement_at(item.text, item.line);
        CHECK(range.first == item.range.first);
        CHECK(range.last == item.range.last);
        CHECK(range.has_end == item.range.has_end);
    }
}

TEST_CASE("conf/syntax: keys of very many parts are refused before they are built") {
    std::string key = "a";
    for (int i = 0; i < 200'000; ++i) key += ".a";
    const std::string refusal = "a key has more than 32 dotted parts";
    for (const std::string& line :
         {key + " = 1", "[" + key + "]", "x = { " + key + " = 1 }", "[[" + key + "]]"}) {
        const Mistakes mistakes = mistakes_of(below_worker(line));
        REQUIRE_FALSE(mistakes.empty());
        CHECK(mistakes.front().find(refusal) != std::string::npos);
    }
    CHECK_FALSE(find_long_key("a = \"" + key + "\" # " + key, 32));
    CHECK_FALSE(find_long_key("a.b = '''\n" + key + "'''\nc.d = 1", 32));
    CHECK(find_long_key("a = '''x'''\n" + key, 32) == Position{2, 1});
}

TEST_CASE("conf/syntax: deep nesting is refused") {
    for (const std::string open : {"[", "{a="}) {
        std::string text = "x = ";
        for (int i = 0; i < 100'000; ++i) text += open;
        CHECK_FALSE(mistakes_of(text).empty());
    }
    std::string array = "x = " + std::string(200, '[') + std::string(200, ']');
    CHECK(mistake_of(below_worker(array)) == "3:1 unknown key \"x\" in [worker.w]");
}

TEST_CASE("conf/syntax: no damage to a good file crashes the reader or goes without a place") {
    std::ifstream file(CLUSTER_SOURCE_DIR "/config/clusterd.toml");
    std::ostringstream content;
    content << file.rdbuf();
    const std::string good = content.str();
    REQUIRE_FALSE(good.empty());
    constexpr std::uint64_t kSeed = 7;
    Prng prng{kSeed};
    constexpr std::string_view kPieces[] = {"\"", "'",  "[",    "]",  "{",   "}",
                                            "=",  ".",  "\n",   "#",  ",",   "0",
                                            "\\", "\0", "\xff", "\r", "'''", "\"\"\""};
    for (int round = 0; round < 300; ++round) {
        std::string text = good;
        for (std::uint64_t i = 0; i <= prng.below(4); ++i) {
            const std::size_t at = prng.below(text.size());
            const std::string_view piece = kPieces[prng.below(std::size(kPieces))];
            if (prng.chance(0.3)) {
                text.erase(at, prng.below(40));
            } else {
                text.insert(at, piece.empty() ? std::string(1, '\0') : std::string(piece));
            }
        }
        const LoadResult result = load_text(text);
        if (result) continue;
        REQUIRE_FALSE(result.error().empty());
        for (const Diagnostic& diagnostic : result.error()) {
            REQUIRE(diagnostic.line >= 1);
            REQUIRE(diagnostic.column >= 1);
            REQUIRE_FALSE(diagnostic.message.empty());
            REQUIRE(diagnostic.message.find('\n') == std::string::npos);
        }
    }
}

}  // namespace
}  // namespace cluster::conf
