#include "conf/dotenv.hpp"

#include <doctest/doctest.h>

#include <map>
#include <string>

namespace cluster::conf {
namespace {

std::optional<std::string> known(std::string_view name) {
    if (name == "HOME") return "/home/ann";
    if (name == "EMPTY") return "";
    return std::nullopt;
}

/// "NAME=value|NAME=value", or "line: message".
std::string read(std::string_view text, const DotenvLookup& lookup = known) {
    const auto variables = parse_dotenv(text, lookup);
    if (!variables)
        return std::to_string(variables.error().line) + ": " + variables.error().message;
    std::string all;
    for (const auto& [name, value] : *variables) {
        all += (all.empty() ? "" : "|") + name + "=" + value;
    }
    return all;
}

TEST_CASE("conf/dotenv: names, blanks around =, comments, blank lines and export") {
    CHECK(read("A=1\n\n# no\n  export B = two words  \r\n\tC=\nexport=x\n_d1=#x\nE=a#b # c") ==
          "A=1|B=two words|C=|export=x|_d1=|E=a#b");
    CHECK(read("") == "");
    CHECK(read("\xEF\xBB\xBF"
               "A=1") == "A=1");
}

TEST_CASE("conf/dotenv: single quotes are literal, double quotes know escapes, both span lines") {
    CHECK(read("A='$HOME \\n #x'  # c\nB='one\ntwo'\nC=3") == "A=$HOME \\n #x|B=one\ntwo|C=3");
    CHECK(read(R"(A="a\tb\\\"\$HOME \x" # c)") == "A=a\tb\\\"$HOME \\x");
    CHECK(read("A=\"one\ntwo\"\nB=it's") == "A=one\ntwo|B=it's");
}

TEST_CASE(
    "conf/dotenv: variables of earlier lines and of the base are replaced, others are empty") {
    CHECK(read("A=$HOME/x\nB=\"${A}y\"\nC=$NOBODY.\nA=2\nD=$A") ==
          "A=/home/ann/x|B=/home/ann/xy|C=.|A=2|D=2");
    CHECK(read("A=${NO:-d}\nB=${EMPTY:-d}\nC=${EMPTY-d}\nD=${NO-}\nE=${HOME:-d}") ==
          "A=d|B=d|C=|D=|E=/home/ann");
    CHECK(read("A=${NO:-a ${NO:-$HOME} b}") == "A=a /home/ann b");
    CHECK(read("A=$ $1 5$\nB=\\$HOME") == "A=$ $1 5$|B=$HOME");
}

TEST_CASE("conf/dotenv: no command is ever run") {
    CHECK(read("A=$(id) `id`\nB=\"$(id)\"") == "A=$(id) `id`|B=$(id)");
}

TEST_CASE("conf/dotenv: without a lookup a dollar sign is plain text") {
    CHECK(read("A=pa$$word\nB=\"${A:-\"\nC='x'", {}) == "A=pa$$word|B=${A:-|C=x");
}

TEST_CASE("conf/dotenv: a mistake names its line, never the value") {
    CHECK(read("A=1\nB") == "2: expected NAME=value; there is no = behind B");
    CHECK(read("A=1\n\n1B=2").substr(0, 23) == "3: expected NAME=value,");
    CHECK(read("A='x\n\n") == "1: the ' is never closed");
    CHECK(read("A=\"x\\\"") == "1: the \" is never closed");
    CHECK(read("A='x'y") == "1: something stands behind the closing quote");
    CHECK(read("A=${HOME") == "1: ${ is never closed");
    CHECK(read("A=${1}") == "1: ${ needs the name of a variable");
    CHECK(read("A=${HOME?x}") == "1: expected ${HOME} or ${HOME:-default}");
    CHECK(read(std::string_view("A=\0", 3)) == "1: a NUL byte");
    std::string deep;
    for (int i = 0; i < 20; ++i) deep += "${N:-";
    CHECK(read("A=" + deep + "x" + std::string(20, '}')) == "1: ${…} is nested too deeply");
}

}  // namespace
}  // namespace cluster::conf
