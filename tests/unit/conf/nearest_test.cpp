#include "conf/nearest.hpp"

#include <doctest/doctest.h>

namespace cluster::conf {
namespace {

TEST_CASE("conf/nearest: the distance counts inserts, deletes, replacements and swaps") {
    CHECK(edit_distance("", "") == 0);
    CHECK(edit_distance("", "abc") == 3);
    CHECK(edit_distance("abc", "") == 3);
    CHECK(edit_distance("abc", "abc") == 0);
    CHECK(edit_distance("abc", "abd") == 1);
    CHECK(edit_distance("abc", "ab") == 1);
    CHECK(edit_distance("abc", "xabc") == 1);
    CHECK(edit_distance("abc", "bac") == 1);
    CHECK(edit_distance("kitten", "sitting") == 3);
    CHECK(edit_distance("ca", "abc") == 3);  // no edit inside a swap
}

TEST_CASE("conf/nearest: a typing mistake finds its name, a strange word finds none") {
    const std::vector<std::string_view> keys{"command", "instances", "stop_signal", "stop_timeout",
                                             "env",     "cwd",       "user"};
    CHECK(nearest("instnces", keys) == "instances");
    CHECK(nearest("instance", keys) == "instances");
    CHECK(nearest("Command", keys) == "command");
    CHECK(nearest("comand", keys) == "command");
    CHECK(nearest("stop-signal", keys) == "stop_signal");
    CHECK(nearest("stopsignal", keys) == "stop_signal");
    CHECK(nearest("evn", keys) == "env");
    CHECK(nearest("usr", keys) == "user");
    CHECK_FALSE(nearest("", keys));
    CHECK_FALSE(nearest("zz", keys));
    CHECK_FALSE(nearest("sockets", keys));
    CHECK_FALSE(nearest(std::string(100'000, 'x'), keys));
}

TEST_CASE("conf/nearest: the suggestion is ready to stand behind a message") {
    CHECK(suggestion("evn", {"env"}) == " (did you mean \"env\"?)");
    CHECK(suggestion("store", {"env"}).empty());
}

}  // namespace
}  // namespace cluster::conf
