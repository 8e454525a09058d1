#include "clusterctl/view/status_view.hpp"

#include <doctest/doctest.h>

#include <string>

#include "clusterctl/view/table.hpp"
#include "clusterctl/view/text.hpp"

using cluster::clusterctl::Cell;
using cluster::clusterctl::Column;
using cluster::clusterctl::describe_exit;
using cluster::clusterctl::display_width;
using cluster::clusterctl::render_status;
using cluster::clusterctl::render_table;
using cluster::ctl::LastExit;
using cluster::ctl::StatusAnswer;
using cluster::ctl::WorkerStatus;

namespace {

constexpr std::int64_t kNow = 1'700'000'100'000;

WorkerStatus row(const std::string& name, std::uint32_t instance, const std::string& state) {
    WorkerStatus worker;
    worker.id = name + "." + std::to_string(instance);
    worker.name = name;
    worker.instance = instance;
    worker.state = state;
    return worker;
}

StatusAnswer sample() {
    StatusAnswer status;
    status.daemon = {812, 813, "0.1.0", 11'520'000, {}, "/var/log/clusterd", 3};
    WorkerStatus running = row("api", 0, "running");
    running.ready = true;
    running.pid = 4711;
    running.uptime_ms = 192'000;
    running.cpu_percent = 12.3;
    running.rss_bytes = 48ULL << 20U;
    WorkerStatus backoff = row("crasher", 0, "backoff");
    backoff.restarts = 7;
    backoff.next_start_ms = 3200;
    backoff.last_exit = LastExit{3, {}, "exited", {}, kNow - 2000};
    WorkerStatus fatal = row("broken", 0, "fatal");
    fatal.last_exit =
        LastExit{{}, {}, "spawn_failed", "exec ./srv: Permission denied", kNow - 65'000};
    WorkerStatus stopped = row("old", 0, "stopped");
    stopped.last_exit = LastExit{{}, "SIGTERM", "stopped", {}, kNow - 9000};
    status.workers = {running, backoff, fatal, stopped};
    return status;
}

std::string at_width(std::size_t width) {
    return render_status(sample(), {width, false, kNow});
}

/// Of the widest line.
std::size_t widest(const std::string& text) {
    std::size_t most = 0;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = text.find('\n', at);
        most = std::max(most, display_width(text.substr(at, end - at)));
        at = end + 1;
    }
    return most;
}

}  // namespace

TEST_CASE("clusterctl/status_view: without a terminal everything is shown") {
    CHECK(
        at_width(0) ==
        "id         state    ready   pid  uptime  restarts  cpu    memory  info\n"
        "api.0      running  yes    4711  3m 12s         0  12%  48.0 MiB\n"
        "crasher.0  backoff  -         -       -         7    -         -  next start in 3s; "
        "exited "
        "with 3 2s ago\n"
        "broken.0   fatal    -         -       -         0    -         -  exec ./srv: Permission "
        "denied 1m 5s ago\n"
        "old.0      stopped  -         -       -         0    -         -\n"
        "daemon: pid 812, up 3h 12m, version 0.1.0, supervisor 813, restarted 2 times, logs in "
        "/var/log/clusterd\n");
}

TEST_CASE("clusterctl/status_view: what an instance waits for, and what it says of itself") {
    StatusAnswer status = sample();
    status.workers.resize(2);
    status.workers[0].status_text = "42 clients\x1b[2J";
    status.workers[1].state = "waiting";
    status.workers[1].next_start_ms.reset();
    status.workers[1].last_exit.reset();
    status.workers[1].waits_for = "db to be ready";
    const std::string text = render_status(status, {0, false, kNow});
    CHECK(text.find("48.0 MiB  42 clients") != std::string::npos);
    CHECK(text.find('\x1b') == std::string::npos);
    CHECK(text.find("  waits for db to be ready\n") != std::string::npos);
}

TEST_CASE("clusterctl/status_view: at 80 columns the info is cut") {
    CHECK(at_width(80) ==
          "id         state    ready   pid  uptime  restarts  cpu    memory  info\n"
          "api.0      running  yes    4711  3m 12s         0  12%  48.0 MiB\n"
          "crasher.0  backoff  -         -       -         7    -         -  next start in…\n"
          "broken.0   fatal    -         -       -         0    -         -  exec ./srv: P…\n"
          "old.0      stopped  -         -       -         0    -         -\n"
          "daemon: pid 812, up 3h 12m, version 0.1.0, supervisor 813, restarted 2 times\n");
}

TEST_CASE("clusterctl/status_view: columns go, the least important first") {
    CHECK(at_width(66) ==
          "id         state    ready   pid  uptime  restarts  cpu    memory\n"
          "api.0      running  yes    4711  3m 12s         0  12%  48.0 MiB\n"
          "crasher.0  backoff  -         -       -         7    -         -\n"
          "broken.0   fatal    -         -       -         0    -         -\n"
          "old.0      stopped  -         -       -         0    -         -\n"
          "daemon: pid 812, up 3h 12m, version 0.1.0\n");
    CHECK(at_width(40) ==
          "id         state    ready   pid  uptime\n"
          "api.0      running  yes    4711  3m 12s\n"
          "crasher.0  backoff  -         -       -\n"
          "broken.0   fatal    -         -       -\n"
          "old.0      stopped  -         -       -\n"
          "daemon: pid 812, up 3h 12m\n");
    CHECK(at_width(20) ==
          "id         state\n"
          "api.0      running\n"
          "crasher.0  backoff\n"
          "broken.0   fatal\n"
          "old.0      stopped\n"
          "daemon: pid 812\n");
}

TEST_CASE("clusterctl/status_view: an id is cut only when nothing else is left to go") {
    StatusAnswer status;
    status.workers = {row(std::string(64, 'n'), 12, "stopping")};
    CHECK(render_status(status, {20, false, kNow}) ==
          "id          state\n"
          "nnnnnnnnn…  stopping\n"
          "daemon: pid 0\n");
    CHECK(render_status(status, {77, false, kNow}).find(std::string(64, 'n') + ".12  stopping\n") !=
          std::string::npos);
}

TEST_CASE("clusterctl/status_view: no width from 20 on is ever exceeded") {
    StatusAnswer status = sample();
    status.workers[2].last_exit->detail = "exec /srv/日本語/プログラム: x\n\x1b[2J";
    status.workers.push_back(row(std::string(64, 'w'), 4095, "starting"));
    for (std::size_t width = 20; width < 240; ++width) {
        CAPTURE(width);
        REQUIRE(widest(render_status(status, {width, false, kNow})) <= width);
    }
}

TEST_CASE("clusterctl/status_view: colour is there only when asked for, and changes no letter") {
    std::string coloured = render_status(sample(), {80, true, kNow});
    REQUIRE(coloured.find("\x1b[32mrunning\x1b[0m") != std::string::npos);
    REQUIRE(coloured.find("\x1b[31mbackoff\x1b[0m") != std::string::npos);
    std::string plain;
    for (std::size_t at = 0; at < coloured.size(); ++at) {
        if (coloured[at] == '\x1b') {
            at = coloured.find('m', at);
        } else {
            plain += coloured[at];
        }
    }
    CHECK(plain == at_width(80));
    CHECK(at_width(80).find('\x1b') == std::string::npos);
}

TEST_CASE("clusterctl/status_view: no workers, and a worker that is running but not ready") {
    StatusAnswer status;
    status.daemon.version = "0.1.0";
    CHECK(render_status(status, {0, false, kNow}).rfind("no workers\ndaemon: pid 0", 0) == 0);
    status.workers = {row("api", 0, "running")};
    CHECK(render_status(status, {0, false, kNow}).find("api.0  running  no") != std::string::npos);
}

TEST_CASE("clusterctl/status_view: an exit in words") {
    CHECK(describe_exit({0, {}, "exited", {}, 0}) == "exited with 0");
    CHECK(describe_exit({{}, "SIGSEGV", "exited", {}, 0}) == "killed by SIGSEGV");
    CHECK(describe_exit({{}, "SIGKILL", "killed", {}, 0}) ==
          "killed by SIGKILL after stop_timeout");
    CHECK(describe_exit({143, {}, "start_timeout", {}, 0}) == "not ready in time, exited with 143");
    CHECK(describe_exit({{}, {}, "unknown", {}, 0}) == "ended, nobody knows how");
    CHECK(describe_exit({{}, {}, "spawn_failed", "chdir to /x: No such file", 0}) ==
          "chdir to /x: No such file");
}

TEST_CASE("clusterctl/table: an expendable column in which nothing stands is left out") {
    const std::vector<Column> columns = {{.title = "a"}, {.title = "b", .expendable = 1}};
    CHECK(render_table(columns, {{Cell{"x"}, Cell{""}}}, 0, false) == "a\nx\n");
    CHECK(render_table(columns, {{Cell{"x"}, Cell{"y"}}}, 0, false) == "a  b\nx  y\n");
}
