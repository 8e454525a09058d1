#include "core/selector.hpp"

#include <doctest/doctest.h>

#include <string>

namespace cluster::core {

TEST_CASE("core/selector: valid names are short, plain and not reserved") {
    CHECK(is_valid_worker_name("api"));
    CHECK(is_valid_worker_name("A-z_09"));
    CHECK(is_valid_worker_name(std::string(64, 'x')));
    CHECK_FALSE(is_valid_worker_name(std::string(65, 'x')));
    CHECK_FALSE(is_valid_worker_name(""));
    CHECK_FALSE(is_valid_worker_name("all"));
    CHECK_FALSE(is_valid_worker_name("a.b"));
    CHECK_FALSE(is_valid_worker_name("a b"));
    CHECK_FALSE(is_valid_worker_name("@a"));
    CHECK_FALSE(is_valid_worker_name("ä"));
    CHECK(is_valid_group_name("site"));
    CHECK_FALSE(is_valid_group_name("all"));
}

TEST_CASE("core/selector: a name, an id, a group, all and globs select") {
    CHECK(instance_id("api", 12) == "api.12");
    CHECK(selects("api", "api", 3, ""));
    CHECK_FALSE(selects("api", "api2", 3, ""));
    CHECK(selects("api.3", "api", 3, ""));
    CHECK_FALSE(selects("api.3", "api", 33, ""));
    CHECK_FALSE(selects("api.03", "api", 3, ""));
    CHECK(selects("all", "x", 0, ""));
    CHECK(selects("@site", "x", 0, "site"));
    CHECK_FALSE(selects("@site", "site", 0, ""));
    CHECK_FALSE(selects("site", "x", 0, "site"));
    CHECK(selects("@si*", "x", 0, "site"));
    CHECK_FALSE(selects("@*", "x", 0, ""));
    CHECK(selects("a*", "api", 0, ""));
    CHECK(selects("*.0", "api", 0, ""));
    CHECK_FALSE(selects("*.0", "api", 1, ""));
    CHECK(selects("api.[0-2]", "api", 2, ""));
    CHECK_FALSE(selects("api.[0-2]", "api", 3, ""));
    CHECK_FALSE(selects("", "api", 0, ""));
    CHECK_FALSE(selects("@", "api", 0, "site"));
}

TEST_CASE("core/selector: globs match a whole text") {
    CHECK(matches_glob("*", ""));
    CHECK(matches_glob("**", "abc"));
    CHECK_FALSE(matches_glob("", "a"));
    CHECK(matches_glob("", ""));
    CHECK(matches_glob("a?c", "abc"));
    CHECK_FALSE(matches_glob("a?c", "ac"));
    CHECK(matches_glob("*b*c", "abbcbc"));
    CHECK_FALSE(matches_glob("*b*c", "abbcb"));
    CHECK(matches_glob("[!a]x", "bx"));
    CHECK_FALSE(matches_glob("[!a]x", "ax"));
    CHECK(matches_glob("[]]", "]"));
    CHECK(matches_glob("[a-]", "-"));
    CHECK(matches_glob("[abc", "[abc"));
    CHECK_FALSE(matches_glob("[abc", "a"));
    CHECK(matches_glob("[", "["));
    CHECK(matches_glob("[!", "[!"));
    CHECK(matches_glob("x[0-9][0-9]", "x42"));
}

TEST_CASE("core/selector: a hostile pattern costs no more than pattern times text") {
    std::string pattern;
    for (int i = 0; i < 200; ++i) pattern += "a*";
    CHECK_FALSE(matches_glob(pattern + "b", std::string(5000, 'a')));
}

}  // namespace cluster::core
