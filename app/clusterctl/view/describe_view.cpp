#include "clusterctl/view/describe_view.hpp"

#include <algorithm>
#include <cstdint>

#include <fmt/format.h>

#include "clusterctl/view/format.hpp"
#include "clusterctl/view/style.hpp"
#include "clusterctl/view/text.hpp"

namespace cluster::clusterctl {
namespace {

/// A label wider than this pushes only its own value aside.
constexpr std::size_t kMostLabelColumns = 26;

class Page {
public:
    explicit Page(const ViewOptions& options) : options_(options) {}

    void line(const std::string& text, Style style = Style::plain) {
        const std::string shown = one_line(text);
        text_ += paint(options_.width == 0 ? shown : cut_to_width(shown, options_.width), style,
                       options_.has_colour) +
                 "\n";
    }
    void heading(const std::string& text) { line(text, Style::bold); }
    void item(const std::string& label, const std::string& value, std::size_t label_columns,
              Style style = Style::plain) {
        const std::size_t used = display_width(one_line(label));
        const std::size_t padding = used < label_columns ? label_columns - used : 0;
        line("  " + label + std::string(padding + 2, ' ') + value, style);
    }
    [[nodiscard]] std::string take() { return std::move(text_); }

private:
    const ViewOptions& options_;
    std::string text_;
};

template <class Items, class Label>
std::size_t label_columns(const Items& items, Label label) {
    std::size_t columns = 0;
    for (const auto& item : items)
        columns = std::max(columns, display_width(one_line(label(item))));
    return std::min(columns, kMostLabelColumns);
}

/// What a full disk does to its output, and did; empty: nothing.
std::string log_trouble(const ctl::WorkerStatus& status) {
    std::string text;
    if (status.log_problem) text = "cannot be written: " + *status.log_problem;
    if (status.log_lost_bytes == 0) return text;
    return text + (text.empty() ? "" : "; ") + format_bytes(status.log_lost_bytes) +
           " of output thrown away";
}

void add_state(const ctl::Description& description, const ViewOptions& options, Page& page) {
    constexpr std::size_t kColumns = 9;
    const ctl::WorkerStatus& status = description.status;
    std::string state = status.state;
    if (status.state == "running") state += status.ready ? ", ready" : ", not ready";
    page.heading(status.id + ": " + state);
    if (status.pid) {
        std::string process = fmt::format("pid {}", *status.pid);
        if (status.uptime_ms) process += ", up " + format_duration(*status.uptime_ms);
        if (status.cpu_percent) process += ", cpu " + format_percent(*status.cpu_percent);
        if (status.rss_bytes) process += ", memory " + format_bytes(*status.rss_bytes);
        page.item("process", process, kColumns);
    }
    if (status.status_text) page.item("says", *status.status_text, kColumns);
    page.item("run",
              fmt::format("{}, {} since it was started by hand", description.run,
                          count_of(status.restarts, "automatic restart")),
              kColumns);
    page.item("wanted", status.is_wanted ? "up" : "down", kColumns);
    if (description.reload_failure) {
        page.item("last reload", "failed: " + *description.reload_failure, kColumns, Style::red);
    }
    if (description.waits_for)
        page.item("waits for", *description.waits_for, kColumns, Style::yellow);
    if (description.liveness_failure) {
        page.item("liveness", "last probe failed: " + *description.liveness_failure, kColumns,
                  Style::yellow);
    }
    if (!description.stored_descriptors.empty()) {
        std::string names;
        for (const std::string& name : description.stored_descriptors) {
            names += (names.empty() ? "" : ", ") + name;
        }
        page.item("stored", names, kColumns);
    }
    if (description.refused_notifications > 0) {
        page.item("notify",
                  count_of(description.refused_notifications, "datagram") +
                      " refused: not of this run, or no sd_notify",
                  kColumns, Style::yellow);
    }
    if (description.deadline) {
        page.item("next",
                  fmt::format("in {}: {}", format_duration(description.deadline_ms.value_or(0)),
                              *description.deadline),
                  kColumns);
    }
    if (status.last_exit) {
        page.item("last exit",
                  describe_exit(*status.last_exit) + ", " +
                      format_duration(options.now_ms - status.last_exit->at_ms) + " ago",
                  kColumns);
    }
    page.item("from", description.source.empty() ? "the command line" : description.source,
              kColumns);
    page.item("out log", status.out_log, kColumns);
    if (status.err_log != status.out_log) page.item("err log", status.err_log, kColumns);
    const std::string trouble = log_trouble(status);
    if (!trouble.empty()) page.item("logs", trouble, kColumns, Style::yellow);
}

void add_sockets(const ctl::Description& description, Page& page) {
    if (description.sockets.empty()) return;
    page.heading("sockets");
    const std::size_t columns = label_columns(
        description.sockets, [](const ctl::SocketStatus& socket) { return socket.name; });
    for (const ctl::SocketStatus& socket : description.sockets) {
        std::string text = socket.kind + " " + socket.address.value_or(socket.listen);
        if (socket.address && *socket.address != socket.listen) {
            text += " (" + socket.listen + ")";
        }
        if (socket.number) text += fmt::format(", descriptor {}", *socket.number);
        const bool takes_connections = socket.kind == "tcp";
        if (takes_connections && socket.waiting.value_or(0) > 0) {
            text += fmt::format(", {} not accepted yet", count_of(*socket.waiting, "connection"));
        }
        page.item(socket.name, text, columns);
        if (socket.problem) page.line("    " + *socket.problem, Style::red);
    }
}

/// What went wrong on a channel; empty: nothing.
std::string channel_trouble(const ctl::ChannelStatus& channel) {
    const std::pair<std::uint64_t, const char*> counts[] = {
        {channel.malformed, "malformed"},
        {channel.too_long, "too long"},
        {channel.unfinished, "unfinished"},
        {channel.dropped, "dropped"},
        {channel.undeliverable, "undeliverable"},
        {channel.unanswered, "replies to nothing"},
        {channel.descriptors, "uninvited descriptors"},
        {channel.unmatched, "without the field of a rule"}};
    std::string text;
    for (const auto& [count, name] : counts) {
        if (count > 0) text += fmt::format("{}{} {}", text.empty() ? "" : ", ", count, name);
    }
    return text;
}

void add_channel(const ctl::Description& description, Page& page) {
    if (!description.channel) return;
    constexpr std::size_t kColumns = 9;
    const ctl::ChannelStatus& channel = *description.channel;
    const bool is_open = channel.state == "open";
    page.heading("channel");
    page.item("mode", channel.mode + (is_open ? "" : ", closed: " + channel.state), kColumns,
              is_open ? Style::plain : Style::yellow);
    std::string messages = fmt::format("{} received, {} sent", channel.received, channel.sent);
    if (channel.queued_bytes > 0) {
        messages += ", " + format_bytes(channel.queued_bytes) + " not read yet";
    }
    page.item("messages", messages, kColumns);
    if (channel.subscriptions > 0 || channel.requests > 0) {
        page.item("waits for",
                  fmt::format("{}, {} {}", count_of(channel.subscriptions, "topic"),
                              channel.requests, channel.requests == 1 ? "reply" : "replies"),
                  kColumns);
    }
    if (channel.heartbeat_ms) {
        page.item("heartbeat", format_duration(*channel.heartbeat_ms) + " ago", kColumns);
    }
    const std::string trouble = channel_trouble(channel);
    if (!trouble.empty()) page.item("trouble", trouble, kColumns, Style::yellow);
}

void add_cluster(const ctl::Description& description, Page& page) {
    if (!description.cluster) return;
    constexpr std::size_t kColumns = 9;
    const ctl::ClusterStatus& cluster = *description.cluster;
    page.heading("node cluster");
    page.item("state", cluster.state + (cluster.drains ? ", can drain" : ""), kColumns,
              cluster.state == "offline" ? Style::yellow : Style::plain);
    for (const ctl::ClusterAddress& each : cluster.addresses) {
        const bool is_shared = each.schedule == "shared";
        page.item("listens",
                  each.address + ", " +
                      (is_shared ? each.schedule
                                 : fmt::format("{}, {} taken", each.schedule,
                                               count_of(each.connections, "connection"))),
                  kColumns);
    }
    if (cluster.unanswered > 0) {
        page.item("waits for",
                  fmt::format("its answer to {}", count_of(cluster.unanswered, "connection")),
                  kColumns, Style::yellow);
    }
    if (cluster.problem) page.item("problem", *cluster.problem, kColumns, Style::red);
    if (cluster.warning) page.item("warning", *cluster.warning, kColumns, Style::yellow);
}

void add_spec(const ctl::Description& description, Page& page) {
    page.heading("spec");
    const std::size_t columns =
        label_columns(description.spec, [](const ctl::SpecKey& key) { return key.key; });
    for (const ctl::SpecKey& key : description.spec) {
        if (key.origin != "default") page.item(key.key, key.value, columns);
    }
    page.line("  and by default:", Style::dim);
    for (const ctl::SpecKey& key : description.spec) {
        if (key.origin == "default") page.item(key.key, key.value, columns, Style::dim);
    }
}

/// Why the value of the next run is not that of the running one; empty: it is.
std::string difference(const ctl::Variable& variable) {
    if (variable.next == variable.running) return {};
    if (!variable.running) return "(not set in the running one)";
    return variable.next ? "(running: " + *variable.running + ")"
                         : "(of the running one only: " + *variable.running + ")";
}

void add_environment(const ctl::Description& description, Page& page) {
    page.heading("environment of the next run");
    if (description.environment_problem) {
        page.line("  cannot be told: " + *description.environment_problem, Style::red);
    }
    std::size_t differing = 0;
    for (const ctl::Variable& variable : description.environment) {
        std::string text = "  " + variable.name;
        if (variable.next) text += "=" + *variable.next;
        const bool is_compared =
            description.is_environment_read && !description.environment_problem;
        const std::string remark = is_compared ? difference(variable) : std::string();
        if (!remark.empty()) ++differing;
        page.line(remark.empty() ? text : text + "  " + remark,
                  remark.empty() ? Style::plain : Style::yellow);
    }
    if (differing > 0) {
        page.line(fmt::format("  {} differ from the running process; a restart takes them over",
                              differing),
                  Style::yellow);
    }
}

void add_descriptors(const ctl::Description& description, Page& page) {
    if (description.descriptor_count == 0) return;
    page.heading(fmt::format("descriptors ({})", description.descriptor_count));
    for (const ctl::OpenDescriptor& open : description.descriptors) {
        page.line(fmt::format("  {:>3}  {}", open.number, open.target));
    }
    const std::size_t shown = description.descriptors.size();
    if (description.descriptor_count > shown) {
        page.line(fmt::format("  … and {} more", description.descriptor_count - shown), Style::dim);
    }
}

void add_exits(const ctl::Description& description, const ViewOptions& options, Page& page) {
    page.heading("exits");
    if (description.exits.empty()) page.line("  none", Style::dim);
    for (auto past = description.exits.rbegin(); past != description.exits.rend(); ++past) {
        std::string text = fmt::format("  {:>9} ago  run {}  {}",
                                       format_duration(options.now_ms - past->exit.at_ms),
                                       past->run, describe_exit(past->exit));
        if (past->uptime_ms) text += ", after " + format_duration(*past->uptime_ms);
        if (past->pid) text += fmt::format(" (pid {})", *past->pid);
        page.line(text);
    }
}

}  // namespace

std::string render_description(const ctl::Description& description, const ViewOptions& options) {
    Page page(options);
    add_state(description, options, page);
    add_sockets(description, page);
    add_channel(description, page);
    add_cluster(description, page);
    add_spec(description, page);
    add_environment(description, page);
    add_descriptors(description, page);
    add_exits(description, options, page);
    return page.take();
}

}  // namespace cluster::clusterctl
