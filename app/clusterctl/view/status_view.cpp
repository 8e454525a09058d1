#include "clusterctl/view/status_view.hpp"

#include <array>
#include <vector>

#include <fmt/format.h>

#include "clusterctl/view/format.hpp"
#include "clusterctl/view/table.hpp"
#include "clusterctl/view/text.hpp"

namespace cluster::clusterctl {
namespace {

constexpr const char* kNone = "-";

Style style_of_state(const ctl::WorkerStatus& worker) {
    if (worker.state == "running") return worker.ready ? Style::green : Style::yellow;
    if (worker.state == "fatal" || worker.state == "backoff") return Style::red;
    if (worker.state == "starting" || worker.state == "stopping") return Style::yellow;
    return Style::dim;  // stopped, exited
}

/// Of a reload: "running, old" beside "starting, new".
std::string state_text(const ctl::WorkerStatus& worker) {
    std::string text = one_line(worker.state);
    if (worker.reload) text += ", " + one_line(*worker.reload);
    return text;
}

std::string ready_text(const ctl::WorkerStatus& worker) {
    if (worker.state != "running") return kNone;
    return worker.ready ? "yes" : "no";
}

/// What the other columns cannot say: what comes next, what is wrong, what the last run came to, and
/// what this one says of itself.
std::string info_text(const ctl::WorkerStatus& worker, std::int64_t now_ms) {
    std::string info;
    const auto add = [&info](const std::string& part) {
        if (!info.empty()) info += "; ";
        info += part;
    };
    if (worker.next_start_ms) add("next start in " + format_duration(*worker.next_start_ms));
    if (worker.waits_for) add("waits for " + *worker.waits_for);
    if (worker.log_problem) add("log: " + *worker.log_problem);
    if (worker.is_outdated) add("not reloaded yet");
    const bool is_up = worker.state == "running" || worker.state == "starting";
    const bool was_asked_for = worker.last_exit && worker.last_exit->reason == "stopped";
    if (worker.last_exit && !is_up && !was_asked_for) {
        add(describe_exit(*worker.last_exit));
        const std::int64_t age_ms = now_ms - worker.last_exit->at_ms;
        if (age_ms >= 1000) info += " " + format_duration(age_ms) + " ago";
    }
    if (worker.status_text) add(*worker.status_text);
    return one_line(info);
}

const std::vector<Column>& status_columns() {
    static const std::vector<Column> kColumns = {
        {.title = "id"},
        {.title = "state"},
        {.title = "ready", .expendable = 1},
        {.title = "pid", .expendable = 2, .is_right_aligned = true},
        {.title = "uptime", .expendable = 3, .is_right_aligned = true},
        {.title = "restarts", .expendable = 4, .is_right_aligned = true},
        {.title = "cpu", .expendable = 5, .is_right_aligned = true},
        {.title = "memory", .expendable = 6, .is_right_aligned = true},
        {.title = "info", .expendable = 7, .least_width = 12},
    };
    return kColumns;
}

std::vector<Cell> status_row(const ctl::WorkerStatus& worker, std::int64_t now_ms) {
    const auto or_none = [](const auto& value, auto format) {
        return value ? format(*value) : std::string(kNone);
    };
    const Style restart_style = worker.restarts > 0 ? Style::yellow : Style::plain;
    return {{one_line(worker.id)},
            {state_text(worker), style_of_state(worker)},
            {ready_text(worker)},
            {or_none(worker.pid, [](std::int32_t pid) { return std::to_string(pid); })},
            {or_none(worker.uptime_ms, format_duration)},
            {std::to_string(worker.restarts), restart_style},
            {or_none(worker.cpu_percent, format_percent)},
            {or_none(worker.rss_bytes, format_bytes)},
            {info_text(worker, now_ms), Style::dim}};
}

std::string daemon_line(const ctl::DaemonStatus& daemon, const ViewOptions& options) {
    std::vector<std::string> parts = {
        fmt::format("daemon: pid {}", daemon.pid), "up " + format_duration(daemon.uptime_ms),
        "version " + daemon.version, fmt::format("supervisor {}", daemon.supervisor_pid)};
    if (daemon.supervisor_starts > 1) {
        parts.back() += ", restarted " + count_of(daemon.supervisor_starts - 1, "time");
    }
    parts.push_back("logs in " + daemon.log_dir);
    std::string line;
    for (const std::string& part : parts) {
        const std::string longer = line + (line.empty() ? "" : ", ") + one_line(part);
        if (!line.empty() && options.width > 0 && display_width(longer) > options.width) break;
        line = longer;
    }
    if (options.width > 0) line = cut_to_width(line, options.width);
    return paint(line, Style::dim, options.has_colour) + "\n";
}

}  // namespace

std::vector<std::string> status_fields() {
    return {"id",        "state",       "ready",     "pid",           "restarts",
            "uptime_ms", "rss_bytes",   "last_exit", "next_start_ms", "cpu_percent",
            "reload",    "log_problem", "outdated",  "waits_for",     "status_text"};
}

std::string describe_exit(const ctl::LastExit& exit) {
    if (exit.detail) return *exit.detail;
    std::string text;
    if (exit.code) {
        text = fmt::format("exited with {}", *exit.code);
    } else if (exit.signal) {
        text = "killed by " + *exit.signal;
    } else {
        text = "ended, nobody knows how";
    }
    if (exit.reason == "start_timeout") text = "not ready in time, " + text;
    if (exit.reason == "killed") text += " after stop_timeout";
    return text;
}

std::string render_workers(const std::vector<ctl::WorkerStatus>& workers,
                           const ViewOptions& options) {
    std::vector<std::vector<Cell>> rows;
    rows.reserve(workers.size());
    for (const ctl::WorkerStatus& worker : workers) {
        rows.push_back(status_row(worker, options.now_ms));
    }
    return render_table(status_columns(), rows, options.width, options.has_colour);
}

std::string render_status(const ctl::StatusAnswer& status, const ViewOptions& options) {
    std::string text;
    if (status.workers.empty()) {
        text = "no workers\n";
    } else {
        text = render_workers(status.workers, options);
    }
    return text + daemon_line(status.daemon, options);
}

}  // namespace cluster::clusterctl
