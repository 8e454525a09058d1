#include "clusterctl/view/words.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using cluster::clusterctl::LogName;
using cluster::clusterctl::meaning_of;
using cluster::clusterctl::name_from_program;
using cluster::clusterctl::parse_log_name;
using cluster::clusterctl::parse_scale;
using cluster::clusterctl::parse_variable;
using cluster::clusterctl::PathKind;
using cluster::clusterctl::split_at_separator;
using cluster::clusterctl::StartWord;
using cluster::clusterctl::take_verb;

using Words = std::vector<std::string>;

TEST_CASE("clusterctl/words: start tells a config from a selector and from a program") {
    CHECK(meaning_of("site.toml", PathKind::nothing) == StartWord::config);
    CHECK(meaning_of("site.toml", PathKind::program) == StartWord::config);
    CHECK(meaning_of("site.conf", PathKind::file) == StartWord::config);
    CHECK(meaning_of("conf/site", PathKind::nothing) == StartWord::config);
    CHECK(meaning_of("./srv", PathKind::program) == StartWord::program);
    CHECK(meaning_of("api", PathKind::nothing) == StartWord::selector);
    CHECK(meaning_of("api", PathKind::program) == StartWord::selector);
    CHECK(meaning_of("api", PathKind::other) == StartWord::selector);
    CHECK(meaning_of("api.0", PathKind::nothing) == StartWord::selector);
    CHECK(meaning_of("@site", PathKind::nothing) == StartWord::selector);
    CHECK(meaning_of("w*", PathKind::nothing) == StartWord::selector);
}

TEST_CASE("clusterctl/words: scale takes a number, more, or fewer") {
    CHECK(parse_scale("4")->instances == 4U);
    CHECK(parse_scale("0")->instances == 0U);
    CHECK_FALSE(parse_scale("4")->delta.has_value());
    CHECK(parse_scale("+2")->delta == 2);
    CHECK(parse_scale("-1")->delta == -1);
    CHECK_FALSE(parse_scale("-1")->instances.has_value());
    for (const char* bad :
         {"", "+", "-", "4x", " 4", "4.0", "--1", "+-1", "4097", "99999999999", "max"}) {
        CAPTURE(bad);
        CHECK_FALSE(parse_scale(bad).has_value());
    }
}

TEST_CASE("clusterctl/words: a program's path gives a worker's name") {
    CHECK(name_from_program("node") == "node");
    CHECK(name_from_program("/usr/bin/python3.11") == "python3_11");
    CHECK(name_from_program("./my server") == "my_server");
    CHECK(name_from_program(std::string(100, 'x')) == std::string(64, 'x'));
    CHECK(name_from_program("/usr/bin/") == "");
    CHECK(name_from_program("all") == "");
}

TEST_CASE("clusterctl/words: variables") {
    CHECK(parse_variable("A=b=c")->first == "A");
    CHECK(parse_variable("A=b=c")->second == "b=c");
    CHECK(parse_variable("A=")->second.empty());
    CHECK_FALSE(parse_variable("A").has_value());
    CHECK_FALSE(parse_variable("=b").has_value());
}

TEST_CASE("clusterctl/words: names of log files") {
    const auto out = parse_log_name("api.12.out.log");
    REQUIRE(out.has_value());
    CHECK(out->worker == "api");
    CHECK(out->instance == 12);
    CHECK(out->stream == LogName::Stream::out);
    CHECK(parse_log_name("a-b_c.0.err.log")->stream == LogName::Stream::err);
    CHECK(parse_log_name("a.7.log")->stream == LogName::Stream::both);
    CHECK(parse_log_name("a.7.log")->instance == 7);
    CHECK_FALSE(parse_log_name("clusterd.log").has_value());
    for (const char* other :
         {"clusterd.log", "api.out.log", "api.x.out.log", ".0.out.log", "api.0.out.log.1",
          "api.0.out.log.gz", "api.-1.out.log", "all.0.out.log", ".out.log", ""}) {
        CAPTURE(other);
        CHECK_FALSE(parse_log_name(other).has_value());
    }
}

TEST_CASE("clusterctl/words: the verb is the first word that is no option") {
    Words words = {"--json", "--runtime-dir", "start", "status", "api"};
    CHECK(take_verb(words, {"--runtime-dir"}) == "status");
    CHECK(words == Words{"--json", "--runtime-dir", "start", "api"});
    Words none = {"--json", "--runtime-dir"};
    CHECK(take_verb(none, {"--runtime-dir"}).empty());
    Words negative = {"scale", "api", "-2"};
    CHECK(take_verb(negative, {}) == "scale");
}

TEST_CASE("clusterctl/words: what stands behind -- is kept apart, the first -- only") {
    const auto split = split_at_separator({"start", "--name", "x", "--", "cmd", "--", "-f"});
    CHECK(split.has_separator);
    CHECK(split.head == Words{"start", "--name", "x"});
    CHECK(split.tail == Words{"cmd", "--", "-f"});
    CHECK_FALSE(split_at_separator({"status"}).has_separator);
}
