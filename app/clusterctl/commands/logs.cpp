// clusterctl logs: the last lines of each stream, archives included, and with -f what is written
// afterwards. Reads the files itself; only --rotate is the daemon's to do.
#include <algorithm>
#include <charconv>
#include <optional>

#include "capture/archive.hpp"
#include "clusterctl/client.hpp"
#include "clusterctl/failure.hpp"
#include "clusterctl/follow.hpp"
#include "clusterctl/log_files.hpp"
#include "clusterctl/log_lines.hpp"
#include "clusterctl/verb.hpp"
#include "clusterctl/view/style.hpp"
#include "clusterctl/view/text.hpp"
#include "ctl/documents.hpp"
#include "sys/clock.hpp"

namespace cluster::clusterctl {
namespace {

/// Each stream's last lines are held in memory before they are shown.
constexpr std::size_t kMostLines = 1'000'000;
constexpr std::size_t kUsualLines = 15;

const char* name_of(Stream stream) {
    switch (stream) {
        case Stream::out:
            return "out";
        case Stream::err:
            return "err";
        case Stream::both:
            return "both";
    }
    return "out";
}

class LogsVerb final : public Verb {
public:
    [[nodiscard]] VerbInfo info() const override {
        return {.name = "logs",
                .aliases = {"log"},
                .usage = "[-f] [-n N] [--since T] [--grep PATTERN] [--out|--err] [SELECTOR…]",
                .summary = "Show the last lines of the logs, and follow them with -f"};
    }
    void declare(OptionSink& options) override {
        options.words("SELECTOR", selectors_, "Whose logs: api, api.0, @site, api*, all");
        options.flag("-f,--follow", follow_, "Go on with what is written from now on");
        options.value("-n,--lines", count_, "N",
                      "How many lines of each stream (15; with --since all)");
        options.value("--since", since_, "TIME",
                      "From then on: 10m (ago), 09:30, 2024-05-17, \"2024-05-17 09:30:00\"");
        options.value("--grep", pattern_, "PATTERN", "Only lines that match, as grep -E does it");
        options.flag("--out", only_out_, "Standard output only");
        options.flag("--err", only_err_, "Standard error only");
        options.flag("--rotate", rotate_, "Make archives of the logs now, and show nothing");
    }
    [[nodiscard]] int run(Session& session) override {
        if (rotate_) return rotate(session);
        if (only_out_ && only_err_) throw usage_failure("--out and --err exclude each other");
        const LogFilter filter = read_filter();
        LogFiles logs = find_log_files(session, selectors_);
        std::erase_if(logs.files, [this](const LogFile& file) { return !is_wanted(file); });
        for (const LogFile& file : logs.files) width_ = std::max(width_, file.id.size());

        std::optional<LogWatch> watch;
        if (follow_) watch.emplace(logs.files, logs.directory);
        show_past(session, logs.files, filter, watch);
        if (watch) {
            watch->run(selectors_, [&](const LogFile& file, const std::string& line) {
                const bool is_match =
                    !filter.pattern || filter.pattern->matches(split_stamp(line).text);
                if (is_wanted(file) && is_match) show(session, file, line);
            });
        }
        return kDone;
    }

private:
    [[nodiscard]] int rotate(const Session& session) const {
        const bool is_reading = follow_ || only_out_ || only_err_ || !count_.empty() ||
                                !since_.empty() || !pattern_.empty();
        if (is_reading) throw usage_failure("--rotate takes selectors only");
        Client client(session.directories());
        client.connect();
        const std::uint32_t count = client.rotate_logs(selectors_);
        if (session.options().is_json) {
            print("{\n  \"archives\": " + std::to_string(count) + "\n}\n");
        } else {
            print(std::to_string(count) + (count == 1 ? " log was" : " logs were") + " rotated\n");
        }
        return kDone;
    }

    [[nodiscard]] LogFilter read_filter() const {
        LogFilter filter;
        if (!since_.empty()) {
            const auto since = parse_since(since_, sys::wall_ms());
            if (!since) throw usage_failure("--since: " + since.error());
            filter.since_ms = *since;
        }
        if (!pattern_.empty()) {
            auto pattern = LinePattern::make(pattern_);
            if (!pattern) throw usage_failure("--grep: " + pattern.error());
            filter.pattern = std::move(*pattern);
        }
        if (!count_.empty() || !filter.since_ms) filter.count = read_count();
        return filter;
    }

    [[nodiscard]] std::size_t read_count() const {
        if (count_.empty()) return kUsualLines;
        std::size_t count = 0;
        const char* end = count_.data() + count_.size();
        const auto [stop, error] = std::from_chars(count_.data(), end, count);
        if (error != std::errc{} || stop != end || count > kMostLines) {
            throw usage_failure("-n: expected a number of lines from 0 to " +
                                std::to_string(kMostLines) + ", got \"" + count_ + "\"");
        }
        return count;
    }

    [[nodiscard]] bool is_wanted(const LogFile& file) const {
        // Which stream a line of a merged log came from is not known.
        if (file.stream == Stream::both) return true;
        return file.stream == Stream::out ? !only_err_ : !only_out_;
    }

    void show_past(const Session& session, const std::vector<LogFile>& files,
                   const LogFilter& filter, std::optional<LogWatch>& watch) {
        std::vector<LogLines> logs;
        logs.reserve(files.size());
        std::vector<const LogFile*> shown;
        std::vector<NextLine> sources;
        for (const LogFile& file : files) {
            auto lines = LogLines::open(file.path, filter);
            if (!lines) {
                print_error("clusterctl: " + describe(lines.error(), file.path) + "\n");
                continue;
            }
            if (watch) watch->follow(file, lines->offset(), lines->inode());
            logs.push_back(std::move(*lines));
            shown.push_back(&file);
            sources.emplace_back([log = &logs.back()] { return log->next(); });
        }
        merge_by_time(sources, [&](std::size_t log, const std::string& line) {
            show(session, *shown[log], line);
        });
        std::string unknown;
        for (std::size_t i = 0; i < logs.size(); ++i) {
            if (logs[i].has_unknown_times()) unknown += "\n  " + shown[i]->path;
        }
        if (unknown.empty()) return;
        print_error(
            "clusterctl: --since goes by whole files where lines have no time (log.timestamp "
            "is false):" +
            unknown + "\n");
    }

    void show(const Session& session, const LogFile& file, const std::string& line) {
        if (session.options().is_json) {
            const StampedLine parts = split_stamp(line);
            const std::string time = parts.time_ms ? capture::format_time_ms(*parts.time_ms) : "";
            print(ctl::log_line_document(file.id, name_of(file.stream), time, parts.text));
            return;
        }
        const bool has_colour = session.out().has_colour;
        width_ = std::max(width_, file.id.size());
        const std::string id = file.id + std::string(width_ - file.id.size(), ' ');
        const Style bar = file.stream == Stream::err ? Style::red : Style::dim;
        print(paint(id, style_of_id(file.id), has_colour) + " " + paint("|", bar, has_colour) +
              " " + (session.out().is_terminal ? harmless_line(line) : line) + "\n");
    }

    std::vector<std::string> selectors_;
    bool follow_ = false;
    std::string count_;
    std::string since_;
    std::string pattern_;
    bool only_out_ = false;
    bool only_err_ = false;
    bool rotate_ = false;
    std::size_t width_ = 0;  // of the widest id so far
};

}  // namespace

std::unique_ptr<Verb> make_logs() {
    return std::make_unique<LogsVerb>();
}

}  // namespace cluster::clusterctl
