#include "loading.hpp"

namespace cluster::conf {
namespace {

using core::ReloadSpec;

TEST_CASE("conf/reload: every key of reload reaches the spec") {
    const ReloadSpec reload =
        load_line("reload = { mode = \"overlap\", batch = 2, surge = 5, signal = \"SIGHUP\" }")
            .reload;
    CHECK(reload == ReloadSpec{ReloadSpec::Mode::overlap, 2, 5, 1});
    CHECK(load_line("reload.mode = \"stop-first\"").reload.mode == ReloadSpec::Mode::stop_first);
}

TEST_CASE("conf/reload: what is not said keeps its default, and surge follows batch") {
    CHECK(load_line("reload = {}").reload == ReloadSpec{});
    CHECK(load_line("reload = { mode = \"auto\" }").reload == ReloadSpec{});
    CHECK(load_line("reload.batch = 3").reload.surge == 3);
    CHECK(load_line("reload = { batch = 3, surge = 1 }").reload.surge == 1);
}

TEST_CASE("conf/reload: mistakes") {
    const struct {
        const char* line;
        const char* mistake;
    } cases[] = {
        {"reload = \"overlap\"",
         "3:10 worker.w.reload: expected a table, as in reload = { mode = \"overlap\" }; got "
         "\"overlap\""},
        {"reload.mode = \"rolling\"",
         "3:15 worker.w.reload.mode: expected \"auto\", \"overlap\" or \"stop-first\"; got "
         "\"rolling\""},
        {"reload.batch = 0",
         "3:16 worker.w.reload.batch: expected an integer from 1 to 4096; got 0"},
        {"reload.signal = \"SIGKILL\"",
         "3:17 worker.w.reload.signal: SIGKILL cannot be caught: nothing reloads itself on it"},
        {"reload.max = 1", "3:8 unknown key \"max\" in [worker.w.reload]"},
    };
    for (const auto& item : cases) {
        CAPTURE(item.line);
        CHECK(mistake_of(with_line(item.line)).rfind(item.mistake, 0) == 0);
    }
}

}  // namespace
}  // namespace cluster::conf
