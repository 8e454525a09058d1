#include "loading.hpp"

namespace cluster::conf {
namespace {

using core::LogSpec;

TEST_CASE("conf/log: every key of log reaches the spec") {
    const LogSpec log =
        load_line(
            "log = { max_size = \"4KiB\", keep = 0, max_total_size = \"1MB\", compress = false, "
            "timestamp = true, merge = true, max_line = \"1KiB\" }")
            .log;
    CHECK(log == LogSpec{4096, 0, 1'000'000, false, true, true, 1024});
}

TEST_CASE("conf/log: what is not said keeps its default, and unlimited is a size") {
    CHECK(load_line("log = {}").log == LogSpec{});
    CHECK(load_line("log.max_size = \"unlimited\"").log.max_size == LogSpec::kUnlimited);
    const LogSpec log = load_line("log = { max_total_size = \"64MiB\" }").log;
    CHECK(log.max_total_size == std::uint64_t{64} << 20U);
    CHECK(log.max_size == LogSpec{}.max_size);
}

TEST_CASE("conf/log: mistakes") {
    const struct {
        const char* line;
        const char* mistake;
    } cases[] = {
        {"log = \"x\"",
         "3:7 worker.w.log: expected a table, as in log = { max_size = \"50MiB\", keep = 10 }; got "
         "\"x\""},
        {"log.max_size = 5",
         "3:16 worker.w.log.max_size: expected a size from \"4KiB\" on, or \"unlimited\"; got 5"},
        {"log.max_size = \"4095B\"",
         "3:16 worker.w.log.max_size: expected a size from \"4KiB\" on, or \"unlimited\"; got "
         "\"4095B\""},
        {"log.keep = 10001",
         "3:12 worker.w.log.keep: expected an integer from 0 to 10000; got 10001"},
        {"log.max_total_size = \"49MiB\"",
         "3:22 worker.w.log.max_total_size: is less than max_size: not even the log itself would "
         "fit"},
        {"log.compress = \"gzip\"",
         "3:16 worker.w.log.compress: expected true or false, without quotes; got \"gzip\""},
        {"log.max_line = \"2MiB\"",
         "3:16 worker.w.log.max_line: expected a size from \"1KiB\" to \"1MiB\"; got \"2MiB\""},
        {"log.rotate = true", "3:5 unknown key \"rotate\" in [worker.w.log]"},
    };
    for (const auto& item : cases) {
        CAPTURE(item.line);
        CHECK(mistake_of(with_line(item.line)) == item.mistake);
    }
}

}  // namespace
}  // namespace cluster::conf
