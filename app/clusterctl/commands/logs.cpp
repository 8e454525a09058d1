// clusterctl logs: the last lines of each stream, and with -f what is written afterwards. Reads the
// files itself.
#include <algorithm>
#include <charconv>
#include <optional>

#include "capture/tail.hpp"
#include "clusterctl/client.hpp"
#include "clusterctl/failure.hpp"
#include "clusterctl/follow.hpp"
#include "clusterctl/log_files.hpp"
#include "clusterctl/verb.hpp"
#include "clusterctl/view/style.hpp"
#include "clusterctl/view/text.hpp"
#include "ctl/documents.hpp"

namespace cluster::clusterctl {
namespace {

/// Each stream's tail is read whole before it is shown.
constexpr std::size_t kMostLines = 1'000'000;

class LogsVerb final : public Verb {
public:
    [[nodiscard]] VerbInfo info() const override {
        return {.name = "logs",
                .aliases = {"log"},
                .usage = "[-f] [-n N] [--out|--err] [SELECTOR…]",
                .summary = "Show the last lines of the logs, and follow them with -f"};
    }
    void declare(OptionSink& options) override {
        options.words("SELECTOR", selectors_, "Whose logs: api, api.0, @site, api*, all");
        options.flag("-f,--follow", follow_, "Go on with what is written from now on");
        options.value("-n,--lines", count_, "N", "How many lines of each stream (15)");
        options.flag("--out", only_out_, "Standard output only");
        options.flag("--err", only_err_, "Standard error only");
        options.flag("--rotate", rotate_, "Make archives of the logs now, and show nothing");
    }
    [[nodiscard]] int run(Session& session) override {
        if (rotate_) return rotate(session);
        if (only_out_ && only_err_) throw usage_failure("--out and --err exclude each other");
        const std::size_t count = read_count();
        LogFiles logs = find_log_files(session, selectors_);
        std::erase_if(logs.files, [this](const LogFile& file) { return !is_wanted(file); });
        for (const LogFile& file : logs.files) width_ = std::max(width_, file.id.size());

        std::optional<LogWatch> watch;
        if (follow_) watch.emplace(logs.files, logs.directory);
        for (const LogFile& file : logs.files) {
            const std::uint64_t end = show_last_lines(session, file, count);
            if (watch) watch->follow(file, end);
        }
        if (watch) {
            watch->run(selectors_, [this, &session](const LogFile& file, const std::string& line) {
                if (is_wanted(file)) show(session, file, line);
            });
        }
        return kDone;
    }

private:
    [[nodiscard]] int rotate(const Session& session) const {
        if (follow_ || !count_.empty() || only_out_ || only_err_) {
            throw usage_failure("--rotate takes selectors only");
        }
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

    [[nodiscard]] std::size_t read_count() const {
        if (count_.empty()) return 15;
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
        return file.stream == Stream::out ? !only_err_ : !only_out_;
    }

    /// Where following begins. A file that is not there yet has no lines.
    std::uint64_t show_last_lines(const Session& session, const LogFile& file, std::size_t count) {
        const Result<capture::LastLines> last = capture::read_last_lines(file.path, count);
        if (!last) {
            if (last.error().code != ENOENT)
                print_error("clusterctl: " + describe(last.error(), file.path) + "\n");
            return 0;
        }
        for (const std::string& line : last->lines) show(session, file, line);
        return last->end_offset;
    }

    void show(const Session& session, const LogFile& file, const std::string& line) {
        const bool is_error = file.stream == Stream::err;
        if (session.options().is_json) {
            print(ctl::log_line_document(file.id, is_error ? "err" : "out", line));
            return;
        }
        const bool has_colour = session.out().has_colour;
        width_ = std::max(width_, file.id.size());
        const std::string id = file.id + std::string(width_ - file.id.size(), ' ');
        print(paint(id, style_of_id(file.id), has_colour) + " " +
              paint("|", is_error ? Style::red : Style::dim, has_colour) + " " +
              (session.out().is_terminal ? harmless_line(line) : line) + "\n");
    }

    std::vector<std::string> selectors_;
    bool follow_ = false;
    std::string count_;
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
