#include "clusterctl/view/plan_view.hpp"

#include <algorithm>
#include <string_view>

#include <fmt/format.h>

#include "clusterctl/view/format.hpp"
#include "clusterctl/view/style.hpp"
#include "clusterctl/view/text.hpp"

namespace cluster::clusterctl {
namespace {

/// More new workers than these are only named.
constexpr std::size_t kSingleAdds = 8;

class Lines {
public:
    Lines(std::size_t width, bool has_colour) : width_(width), has_colour_(has_colour) {}

    void add(const std::string& line, Style style) {
        const std::string shown =
            width_ == 0 ? one_line(line) : cut_to_width(one_line(line), width_);
        text_ += paint(shown, style, has_colour_) + "\n";
    }
    [[nodiscard]] std::string take() { return std::move(text_); }

private:
    std::size_t width_;
    bool has_colour_;
    std::string text_;
};

std::string change_text(const ctl::PlannedChange& change) {
    return fmt::format("    {}: {} → {}", change.key, change.before.value_or("(not set)"),
                       change.after.value_or("(not set)"));
}

std::string joined(const std::vector<std::string>& names) {
    std::string text;
    for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
    return text;
}

struct Words {
    const char* mark;
    const char* what;
    Style style;
};

Words words_for(std::string_view action) {
    if (action == "add") return {"+", "add", Style::green};
    if (action == "delete") return {"-", "stop and delete", Style::red};
    if (action == "start") return {"+", "start", Style::green};
    if (action == "reload") return {"~", "reload", Style::yellow};
    if (action == "change") return {"~", "change in place", Style::yellow};
    return {" ", "unchanged", Style::dim};
}

}  // namespace

std::string render_plan(const std::vector<ctl::PlannedWorker>& plan, std::size_t width,
                        bool has_colour) {
    Lines lines(width, has_colour);
    std::vector<std::string> unchanged;
    std::vector<std::string> added;
    const auto adds = static_cast<std::size_t>(
        std::count_if(plan.begin(), plan.end(),
                      [](const ctl::PlannedWorker& worker) { return worker.action == "add"; }));
    for (const ctl::PlannedWorker& worker : plan) {
        const bool is_add = worker.action == "add";
        if (worker.action == "unchanged") {
            unchanged.push_back(worker.worker);
        } else if (is_add && adds > kSingleAdds) {
            added.push_back(worker.worker);
        } else {
            const Words words = words_for(worker.action);
            std::string line = fmt::format("{} {}: {}", words.mark, worker.worker, words.what);
            if (is_add) line += ", " + count_of(worker.instances, "instance");
            lines.add(line, words.style);
            for (const ctl::PlannedChange& change : worker.changes) {
                lines.add(change_text(change), Style::plain);
            }
        }
    }
    if (!added.empty())
        lines.add(fmt::format("+ {} new: {}", added.size(), joined(added)), Style::green);
    if (!unchanged.empty()) {
        lines.add(fmt::format("  {} unchanged: {}", unchanged.size(), joined(unchanged)),
                  Style::dim);
    }
    if (plan.empty()) lines.add("nothing to do: the file has no workers", Style::dim);
    return lines.take();
}

}  // namespace cluster::clusterctl
