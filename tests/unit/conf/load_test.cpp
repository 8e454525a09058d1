#include "conf/load.hpp"

#include <algorithm>

#include "loading.hpp"

namespace cluster::conf {
namespace {

using Mistakes = std::vector<std::string>;

TEST_CASE("conf/load: workers come in the order of the file") {
    const LoadResult result = load_text(
        "[worker.zebra]\ncommand = 'z'\n[worker.zebra.env]\nA = 1\n"
        "[daemon]\nlog_level = 'debug'\nlog_dir = 'logs'\n"
        "[worker.ape]\ncommand = 'a'\n[worker.mole]\ncommand = 'm'\n");
    REQUIRE(result);
    REQUIRE(result->workers.size() == 3);
    CHECK(result->workers[0].name == "zebra");
    CHECK(result->workers[1].name == "ape");
    CHECK(result->workers[2].name == "mole");
    CHECK(result->daemon.log_level == "debug");
    CHECK(result->daemon.log_dir == "/srv/site/logs");
}

TEST_CASE("conf/load: without a daemon table its defaults stand") {
    const LoadResult result = load_text("[worker.w]\ncommand = 'x'\n");
    REQUIRE(result);
    CHECK(result->daemon == core::DaemonSpec{});
}

TEST_CASE("conf/load: tables, dotted keys and Windows line ends mean the same") {
    const auto expected = load_text("[worker.w]\ncommand = 'x'\nenv = { A = 1 }\n");
    CHECK(load_text("worker.w.command = 'x'\nworker.w.env.A = 1\n") == expected);
    CHECK(load_text("worker = { w = { command = 'x', env = { A = 1 } } }") == expected);
    CHECK(load_text("[worker.w.env]\nA = 1\n[worker.w]\ncommand = 'x'\n") == expected);
    CHECK(load_text("[worker.w]\r\ncommand = 'x'\r\nenv = { A = 1 }\r\n") == expected);
    CHECK(load_text("\xEF\xBB\xBF[worker.w]\ncommand = 'x'\nenv = { A = 1 }\n") == expected);
}

TEST_CASE("conf/load: a file at the root has the root as its directory") {
    const LoadResult result = load("[worker.w]\ncommand = 'x'", {"/c.toml", ""});
    REQUIRE(result);
    CHECK(result->workers[0].launch.cwd == "/");
    CHECK(result->workers[0].source == "/c.toml");
}

TEST_CASE("conf/load: with nothing to run there is nothing to load") {
    const std::string nothing = "1:1 nothing to run: there is no [worker.NAME] table";
    CHECK(mistake_of("") == nothing);
    CHECK(mistake_of("# only a comment\n") == nothing);
    CHECK(mistake_of("[daemon]\nlog_level = 'info'\n") == nothing);
    CHECK(mistake_of("[worker]\n") == nothing);
}

TEST_CASE("conf/load: names at the top and the shape of the tables") {
    struct {
        std::string_view text;
        std::string_view mistake;
    } const cases[] = {
        {"[workers.w]\ncommand = 'x'", "1:2 unknown name \"workers\" (did you mean \"worker\"?)"},
        {"[sockets.web]\nlisten = 'x'", "1:2 unknown name \"sockets\" (did you mean \"socket\"?); keys of a worker stand below "
         "[worker.NAME]"},
        {"[store]\nsize = '1MiB'", "1:1 nothing to run: there is no [worker.NAME] table"},
        {"command = 'x'",
         "1:1 unknown name \"command\"; keys of a worker stand below [worker.NAME]"},
        {"log_level = 'x'", "1:1 unknown name \"log_level\"; it belongs below [daemon]"},
        {"worker = 3", "1:10 worker: expected a table, as in [worker.NAME]; got 3"},
        {"[[worker]]\ncommand = 'x'",
         "1:1 worker: expected a table, as in [worker.NAME]; got an array"},
        {"[worker]\ncommand = 'x'",
         "2:1 worker.command: keys of a worker stand below its name: [worker.NAME]"},
        {"[worker]\nw = 'x'", "2:1 worker.w: expected a table, [worker.NAME]; got \"x\""},
        {"[worker.all]\ncommand = 'x'",
         "1:9 worker.all: \"all\" is reserved: it selects every worker"},
        {"[worker.\"a b\"]\ncommand = 'x'",
         "1:9 worker.\"a b\": a worker's name has 1 to 64 letters, digits, '_' or '-'; got \"a "
         "b\""},
        {"[worker.\"\"]\ncommand = 'x'",
         "1:9 worker.\"\": a worker's name has 1 to 64 letters, digits, '_' or '-'; got \"\""},
        {"daemon = 1", "1:10 daemon: expected a table, as in [daemon]; got 1"},
    };
    for (const auto& item : cases) {
        CAPTURE(item.text);
        CHECK(mistake_of(item.text) == item.mistake);
    }
    CHECK(mistake_of("[worker." + std::string(64, 'a') + "]\ncommand = 'x'") == "none");
    CHECK(mistake_of("[worker." + std::string(65, 'a') + "]\ncommand = 'x'") != "none");
}

TEST_CASE("conf/load: the keys of daemon") {
    const std::string worker = "[worker.w]\ncommand = 'x'\n[daemon]\n";
    CHECK(mistake_of(worker + "log_level = 'verbose'") ==
          "4:13 daemon.log_level: expected \"trace\", \"debug\", \"info\", \"warn\" or \"error\"; "
          "got \"verbose\"");
    CHECK(mistake_of(worker + "log_level = 'warning'") ==
          "4:13 daemon.log_level: expected \"trace\", \"debug\", \"info\", \"warn\" or \"error\"; "
          "got \"warning\"");
    CHECK(mistake_of(worker + "log_dir = ''") ==
          "4:11 daemon.log_dir: is empty; expected a directory");
    CHECK(mistake_of(worker + "logdir = ''") ==
          "4:1 unknown key \"logdir\" in [daemon] (did you mean \"log_dir\"?)");
    CHECK(mistake_of(worker + "log_dir = '/x'\nlog_level = 'error'") == "none");
}

TEST_CASE("conf/load: ten mistakes are ten diagnostics, in the order of the file") {
    const Mistakes mistakes = mistakes_of(
        "[deamon]\n"                      // 1
        "[worker.api]\n"                  //
        "comand = ['x']\n"                // 2, and 3: no command (line 2)
        "instances = 0\n"                 // 4
        "restart = 'allways'\n"           // 5
        "stop_timeout = 10\n"             // 6
        "env = { CLUSTER_X = '1' }\n"     // 7
        "[worker.all]\n"                  // 8
        "command = ''\n"                  // 9
        "limits = { nofile = 'many' }\n"  // 10
    );
    CHECK(mistakes.size() == 10);
    const Mistakes places{"1:2",  "2:9", "3:1", "4:13", "5:11",
                          "6:16", "7:9", "8:9", "9:11", "10:21"};
    for (std::size_t i = 0; i < std::min(places.size(), mistakes.size()); ++i) {
        CAPTURE(mistakes[i]);
        CHECK(mistakes[i].rfind(places[i] + " ", 0) == 0);
    }
}

TEST_CASE("conf/load: a text of more than 1 MiB is refused, one of 1 MiB is read") {
    std::string text = "[worker.w]\ncommand = 'x'\n#";
    text.resize(kMaxTextSize, 'x');
    CHECK(mistake_of(text) == "none");
    text += 'x';
    CHECK(mistake_of(text) == "1:1 the file has 1048577 bytes; at most 1048576 (1 MiB) are read");
}

TEST_CASE("conf/load: a flood of mistakes is counted, not listed") {
    std::string text = "[worker.w]\ncommand = 'x'\n";
    for (int i = 0; i < 5000; ++i) text += "k" + std::to_string(i) + " = 1\n";
    const LoadResult result = load_text(text);
    REQUIRE_FALSE(result);
    CHECK(result.error().size() == 1001);
    CHECK(result.error().back().message == "and 4000 more that are not shown");
}

TEST_CASE("conf/format: file, place, message, line and caret") {
    const Diagnostic diagnostic{"/a/b.toml", 12, 11, "no good", "restart = \"allways\""};
    CHECK(format(diagnostic) ==
          "/a/b.toml:12:11: error: no good\n"
          "   12 | restart = \"allways\"\n"
          "      |           ^\n");
    CHECK(format(std::vector{diagnostic}) == format(diagnostic) + "1 error\n");
    CHECK(format(std::vector{diagnostic, diagnostic}) ==
          format(diagnostic) + format(diagnostic) + "2 errors\n");
}

TEST_CASE("conf/format: the caret stands under its character whatever is before it") {
    CHECK(format(Diagnostic{"f", 1, 3, "m", "\t\xc3\xa9x"}) ==
          "f:1:3: error: m\n    1 | \t\xc3\xa9x\n      | \t ^\n");
    CHECK(format(Diagnostic{"f", 1, 4, "m", "ab"}) ==
          "f:1:4: error: m\n    1 | ab\n      |    ^\n");
    CHECK(format(Diagnostic{"f", 7, 1, "m", ""}) == "f:7:1: error: m\n");
}

TEST_CASE("conf/format: what a file holds cannot steer the terminal") {
    const LoadResult result =
        load_text("[worker.w]\ncommand = 'x'\n\"\\u001b[31m\" = 1\n# \x1b[31m\n");
    REQUIRE_FALSE(result);
    const std::string text = format(result.error());
    CHECK(text.find('\x1b') == std::string::npos);
    CHECK(text.find("\\x1b[31m") != std::string::npos);
}

TEST_CASE("conf/format: what the parser quotes cannot steer the terminal either") {
    for (const std::string_view text : {"\x1b[31m = 1\n", "\"\\u001b\" = 1\n\"\\u001b\" = 2\n",
                                        "[\"\x1b\"]\n[\"\x1b\"]\n", "x = \x1b[31m\n"}) {
        const LoadResult result = load_text(text);
        REQUIRE_FALSE(result);
        CHECK(format(result.error()).find('\x1b') == std::string::npos);
    }
}

TEST_CASE("conf/format: a long line is cut") {
    const LoadResult result =
        load_text("[worker.w]\ncommand = 'x'\nx = '" + std::string(5000, 'y') + "'");
    REQUIRE_FALSE(result);
    CHECK(result.error().front().source_line.size() < 520);
}

}  // namespace
}  // namespace cluster::conf
