#include "clusterctl/view/top_view.hpp"

#include <algorithm>
#include <map>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "clusterctl/view/format.hpp"
#include "clusterctl/view/style.hpp"
#include "clusterctl/view/text.hpp"

namespace cluster::clusterctl {
namespace {

/// Head line, table header, line of keys.
constexpr std::size_t kOtherLines = 3;

/// What comes first is the more interesting: the most of everything, but ids by the alphabet.
bool comes_before(const ctl::WorkerStatus& a, const ctl::WorkerStatus& b, TopOrder order) {
    switch (order) {
        case TopOrder::id:
            break;
        case TopOrder::cpu:
            if (a.cpu_percent != b.cpu_percent) return a.cpu_percent > b.cpu_percent;
            break;
        case TopOrder::memory:
            if (a.rss_bytes != b.rss_bytes) return a.rss_bytes > b.rss_bytes;
            break;
        case TopOrder::restarts:
            if (a.restarts != b.restarts) return a.restarts > b.restarts;
            break;
        case TopOrder::uptime:
            if (a.uptime_ms != b.uptime_ms) return a.uptime_ms > b.uptime_ms;
            break;
    }
    return a.name != b.name ? a.name < b.name : a.instance < b.instance;
}

const char* order_name(TopOrder order) {
    switch (order) {
        case TopOrder::id:
            return "name";
        case TopOrder::cpu:
            return "cpu";
        case TopOrder::memory:
            return "memory";
        case TopOrder::restarts:
            return "restarts";
        case TopOrder::uptime:
            return "uptime";
    }
    return "";
}

std::string head_line(const ctl::StatusAnswer& status) {
    double cpu = 0;
    std::uint64_t memory = 0;
    std::map<std::string, std::size_t> states;
    for (const ctl::WorkerStatus& worker : status.workers) {
        cpu += worker.cpu_percent.value_or(0);
        memory += worker.rss_bytes.value_or(0);
        ++states[worker.state];
    }
    std::string text =
        fmt::format("{}, cpu {}, memory {}", count_of(status.workers.size(), "instance"),
                    format_percent(cpu), format_bytes(memory));
    for (const auto& [state, count] : states) text += fmt::format(", {} {}", count, state);
    return text;
}

std::vector<std::string> lines_of(std::string_view text) {
    std::vector<std::string> lines;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        lines.emplace_back(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return lines;
}

}  // namespace

std::size_t top_rows(std::size_t height) {
    return height > kOtherLines ? height - kOtherLines : 0;
}

bool take_top_key(char key, std::size_t rows_shown, std::size_t rows_there, TopChoice& choice) {
    const auto order_by = [&choice](TopOrder order) {
        choice.is_reversed = choice.order == order && !choice.is_reversed;
        choice.order = order;
        choice.first_row = 0;
    };
    const std::size_t last = rows_there > rows_shown ? rows_there - rows_shown : 0;
    const auto move = [&choice, last](std::size_t by, bool is_down) {
        choice.first_row = is_down ? std::min(choice.first_row + by, last)
                                   : choice.first_row - std::min(choice.first_row, by);
    };
    switch (key) {
        case 'c':
            order_by(TopOrder::cpu);
            return true;
        case 'm':
            order_by(TopOrder::memory);
            return true;
        case 'r':
            order_by(TopOrder::restarts);
            return true;
        case 'u':
            order_by(TopOrder::uptime);
            return true;
        case 'n':
            order_by(TopOrder::id);
            return true;
        case 'j':
            move(1, true);
            return true;
        case 'k':
            move(1, false);
            return true;
        case ' ':
            move(rows_shown, true);
            return true;
        case 'b':
            move(rows_shown, false);
            return true;
        default:
            return false;
    }
}

std::vector<std::string> top_fields() {
    std::vector<std::string> fields = status_fields();
    fields.insert(fields.end(), {"name", "instance"});
    return fields;
}

std::string render_top(ctl::StatusAnswer status, const TopChoice& choice, std::size_t height,
                       const std::string& remark, const ViewOptions& options) {
    const auto fit = [&options](const std::string& text) {
        return options.width == 0 ? one_line(text) : cut_to_width(one_line(text), options.width);
    };
    std::stable_sort(status.workers.begin(), status.workers.end(),
                     [&choice](const ctl::WorkerStatus& a, const ctl::WorkerStatus& b) {
                         return choice.is_reversed ? comes_before(b, a, choice.order)
                                                   : comes_before(a, b, choice.order);
                     });
    const std::string head = remark.empty() ? head_line(status) : remark;
    const std::size_t there = status.workers.size();
    const std::size_t first = std::min(choice.first_row, there);
    std::vector<std::string> rows = lines_of(render_workers(status.workers, options));
    std::vector<std::string> lines = {
        paint(fit(head), remark.empty() ? Style::bold : Style::red, options.has_colour)};
    if (!rows.empty()) lines.push_back(rows.front());
    const std::size_t shown = std::min(top_rows(height), there - first);
    for (std::size_t i = 0; i < shown && first + i + 1 < rows.size(); ++i) {
        lines.push_back(rows[first + i + 1]);
    }
    lines.resize(std::max<std::size_t>(height, 1) - 1);
    std::string keys = fmt::format("by {}{}; c m r u n: order, q: quit", order_name(choice.order),
                                   choice.is_reversed ? " (reversed)" : "");
    if (there > shown) keys += fmt::format(", j k: {}-{} of {}", first + 1, first + shown, there);
    lines.push_back(paint(fit(keys), Style::dim, options.has_colour));
    std::string screen;
    for (std::size_t i = 0; i < lines.size(); ++i) screen += (i == 0 ? "" : "\n") + lines[i];
    return screen;
}

}  // namespace cluster::clusterctl
