#include "clusterctl/view/event_view.hpp"

#include <array>
#include <cstdint>
#include <cstdlib>
#include <ctime>

#include <fmt/format.h>

#include "clusterctl/view/format.hpp"
#include "clusterctl/view/style.hpp"
#include "clusterctl/view/text.hpp"

namespace cluster::clusterctl {
namespace {

std::tm local_time(std::int64_t ms) {
    const std::time_t seconds = ms / 1000;
    std::tm parts{};
    ::localtime_r(&seconds, &parts);
    return parts;
}

std::string time_text(std::int64_t at_ms, std::int64_t now_ms) {
    const std::tm at = local_time(at_ms);
    const std::tm now = local_time(now_ms);
    const bool is_today = at.tm_year == now.tm_year && at.tm_yday == now.tm_yday;
    std::array<char, 32> text{};
    std::strftime(text.data(), text.size(), is_today ? "%H:%M:%S" : "%Y-%m-%d %H:%M:%S", &at);
    return fmt::format("{}.{:03}", text.data(), at_ms % 1000);
}

std::string duration_of(const std::string& ms) {
    return format_duration(std::strtoll(ms.c_str(), nullptr, 10));
}

struct Told {
    std::string text;
    Style style = Style::plain;
};

/// "api.0 (new)": of a reload, which of the two runs.
std::string id_of(const ctl::Event& event) {
    const std::string side = event.text("reload");
    return event.text("id") + (side.empty() ? "" : " (" + side + ")");
}

Told tell_reload(const ctl::Event& event) {
    const std::string what = event.text("what");
    Told told{event.text("id") + ": reload " + what};
    if (what == "failed") {
        told.text += ": " + event.text("detail");
        told.style = Style::red;
    }
    if (what == "done") told.style = Style::green;
    return told;
}

Told tell_state(const ctl::Event& event) {
    const std::string from = event.text("from");
    const std::string to = event.text("to");
    Told told{id_of(event) + ": " + (from.empty() || from == to ? "" : from + " → ") + to};
    if (event.text("ready") == "true") told.text += ", ready";
    if (const std::string next = event.text("next_start_ms"); !next.empty()) {
        told.text += ", next start in " + duration_of(next);
    }
    if (to == "fatal") told.style = Style::red;
    if (to == "backoff") told.style = Style::yellow;
    if (to == "running") told.style = Style::green;
    return told;
}

Told tell_exit(const ctl::Event& event) {
    std::string how = event.text("detail");
    if (how.empty() && !event.text("code").empty()) how = "exited with " + event.text("code");
    if (how.empty() && !event.text("signal").empty()) how = "killed by " + event.text("signal");
    if (how.empty()) how = "ended, nobody knows how";
    Told told{id_of(event) + ": " + how};
    const std::string reason = event.text("reason");
    const bool is_crash = reason == "exited" && event.text("code") != "0";
    if (reason != "exited" && reason != "spawn_failed") told.text += " (" + reason + ")";
    if (const std::string uptime = event.text("uptime_ms"); !uptime.empty()) {
        told.text += " after " + duration_of(uptime);
    }
    if (is_crash || reason == "spawn_failed") told.style = Style::red;
    return told;
}

std::string who(const ctl::Event& event) {
    return fmt::format(" (pid {}, uid {})", event.text("by_pid"), event.text("by_uid"));
}

/// "workers.restart api → operation 7 (pid 33, uid 0)"
Told tell_request(const ctl::Event& event) {
    std::string text = event.text("method");
    for (const char* name : {"signal", "selectors", "worker", "file", "instances", "delta"}) {
        if (const std::string value = event.text(name); !value.empty()) text += " " + value;
    }
    if (event.type == "refused")
        return {text + " refused: " + event.text("message") + who(event), Style::yellow};
    const std::string operation = event.text("operation");
    if (operation != "0") text += ": operation " + operation;
    return {text + who(event), Style::cyan};
}

Told tell_other(const ctl::Event& event) {
    std::string text = event.type + ":";
    for (const ctl::Event::Field& field : event.fields)
        text += " " + field.name + "=" + field.value;
    return {text, Style::dim};
}

Told tell(const ctl::Event& event) {
    if (event.type == "state") return tell_state(event);
    if (event.type == "exit") return tell_exit(event);
    if (event.type == "reload") return tell_reload(event);
    if (event.type == "operation" || event.type == "refused") return tell_request(event);
    if (event.type == "daemon") return {"daemon " + event.text("what"), Style::bold};
    if (event.type == "takeover") {
        return {"supervisor " + event.text("supervisor_pid") + " took over " +
                    event.text("instances") + " instances",
                Style::bold};
    }
    if (event.type == "config") {
        return {"config " + event.text("file") + ": " + event.text("changed") + " changed, " +
                event.text("unchanged") + " unchanged"};
    }
    return tell_other(event);
}

}  // namespace

std::string render_event(const ctl::Event& event, const ViewOptions& options) {
    const auto fit = [&options](const std::string& text) {
        return options.width == 0 ? text : cut_to_width(text, options.width);
    };
    const Told told = tell(event);
    std::string text =
        paint(fit(time_text(event.at_ms, options.now_ms) + " " + one_line(told.text)), told.style,
              options.has_colour) +
        "\n";
    for (const std::string& line : event.list("stderr")) {
        text += paint(fit("    | " + one_line(line)), Style::dim, options.has_colour) + "\n";
    }
    if (const std::string lost = event.text("lost"); !lost.empty()) {
        text += paint(fit("    (" + lost + " events before it could not be written)"), Style::red,
                      options.has_colour) +
                "\n";
    }
    return text;
}

}  // namespace cluster::clusterctl
