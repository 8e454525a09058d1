#include "ctl/nearest.hpp"

#include <doctest/doctest.h>

#include <array>
#include <string>

using cluster::ctl::nearest;
using cluster::ctl::suggestion;

TEST_CASE("ctl/nearest: a typing mistake finds its word, another word finds none") {
    constexpr std::array<std::string_view, 4> kVerbs = {"start", "stop", "status", "restart"};
    CHECK(nearest("statsu", kVerbs) == "status");
    CHECK(nearest("strat", kVerbs) == "start");  // two letters swapped are one slip
    CHECK(nearest("sxxrt", kVerbs).empty());     // two edits in five letters are too many
    CHECK(nearest("stp", kVerbs) == "stop");
    CHECK(nearest("restrt", kVerbs) == "restart");
    CHECK(nearest("frobnicate", kVerbs).empty());
    CHECK(nearest("", kVerbs).empty());
    CHECK(nearest(std::string(1000, 's'), kVerbs).empty());
    CHECK(suggestion("statsu", kVerbs) == "; did you mean \"status\"?");
    CHECK(suggestion("x", kVerbs).empty());
}
