// clusterctl events: what happened, from the event file. Reads it itself; the daemon only says
// where it is. Every event is shown once and in order, over rotations, and can be resumed after by
// its number.
#include <poll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <optional>

#include <fmt/format.h>

#include "capture/tail.hpp"
#include "clusterctl/client.hpp"
#include "clusterctl/verb.hpp"
#include "clusterctl/view/event_view.hpp"
#include "ctl/event_json.hpp"
#include "sys/file.hpp"

namespace cluster::clusterctl {
namespace {

/// The daemon keeps each file below 8 MiB; what is larger is no event file.
constexpr std::size_t kMaxFileBytes = std::size_t{64} << 20U;
constexpr std::size_t kUsualCount = 50;

struct Line {
    std::uint64_t sequence;
    std::string text;
};

std::uint64_t read_number(const char* option, const std::string& text) {
    std::uint64_t number = 0;
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, number);
    if (error != std::errc{} || stop != end) {
        throw usage_failure(std::string(option) + ": expected a number, got \"" + text + "\"");
    }
    return number;
}

/// Whole lines that are events; `size`: bytes of the file up to the end of the last one.
std::vector<Line> read_events(const std::string& path, std::uint64_t& size) {
    std::vector<Line> lines;
    size = 0;
    const Result<std::string> text = sys::read_regular_file(path, kMaxFileBytes);
    if (!text) return lines;
    std::size_t begin = 0;
    for (std::size_t end = text->find('\n'); end != std::string::npos;
         end = text->find('\n', begin)) {
        std::string line = text->substr(begin, end - begin);
        begin = end + 1;
        if (const auto event = ctl::parse_event(line)) {
            lines.push_back({event->sequence, std::move(line)});
        }
    }
    size = begin;
    return lines;
}

class EventsVerb final : public Verb {
public:
    [[nodiscard]] VerbInfo info() const override {
        return {.name = "events",
                .aliases = {},
                .usage = "[-f] [-n N | --since SEQ]",
                .summary = "Show what happened, and follow it with -f"};
    }
    void declare(OptionSink& options) override {
        options.flag("-f,--follow", follow_, "Go on with what happens from now on");
        options.value("-n,--lines", count_, "N", "How many of the last events (50)");
        options.value("--since", since_, "SEQ", "All events after the one with this number");
    }
    [[nodiscard]] int run(Session& session) override {
        if (!count_.empty() && !since_.empty()) {
            throw usage_failure("-n and --since exclude each other");
        }
        const std::size_t count =
            count_.empty() ? kUsualCount : static_cast<std::size_t>(read_number("-n", count_));
        std::optional<std::uint64_t> since;
        if (!since_.empty()) since = read_number("--since", since_);
        const std::string path = find_file(session);
        // Watched before it is read: nothing that is written in between is missed.
        const sys::UniqueFd watch = follow_ ? open_watch(path) : sys::UniqueFd();
        std::uint64_t offset = 0;
        std::vector<Line> lines = read_all(path, offset);
        if (lines.empty() && !follow_ && !sys::file_info(path)) {
            throw Failure(kFailed, "failed", "there are no events yet (" + path + ")");
        }
        show_first(session, lines, count, since);
        if (follow_) follow(session, path, offset, watch.get());
        return kDone;
    }

private:
    static std::string find_file(const Session& session) {
        Client client(session.directories());
        if (client.try_connect()) {
            if (std::string path = client.version().events; !path.empty()) return path;
        }
        return session.directories().log + "/events.jsonl";
    }

    static sys::UniqueFd open_watch(const std::string& path) {
        const std::string directory = std::filesystem::path(path).parent_path().string();
        sys::UniqueFd watch(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
        constexpr std::uint32_t kEvents = IN_MODIFY | IN_CREATE | IN_MOVED_TO | IN_ONLYDIR;
        if (::inotify_add_watch(watch.get(), directory.c_str(), kEvents) < 0) {
            throw Failure(kFailed, "failed", "watch " + directory + ": " + std::strerror(errno),
                          "without -f what happened so far can still be shown");
        }
        return watch;
    }

    /// The archive and the file. A rotation between the two leaves a gap; then both are read again.
    static std::vector<Line> read_all(const std::string& path, std::uint64_t& offset) {
        std::vector<Line> lines;
        for (int attempt = 0; attempt < 3; ++attempt) {
            std::uint64_t ignored = 0;
            lines = read_events(path + ".1", ignored);
            std::vector<Line> newer = read_events(path, offset);
            const bool has_gap = !lines.empty() && !newer.empty() &&
                                 newer.front().sequence > lines.back().sequence + 1;
            lines.insert(lines.end(), std::make_move_iterator(newer.begin()),
                         std::make_move_iterator(newer.end()));
            if (!has_gap) break;
        }
        return lines;
    }

    void show_first(const Session& session, const std::vector<Line>& lines, std::size_t count,
                    std::optional<std::uint64_t> since) {
        if (since) {
            last_ = *since;
            if (!lines.empty() && lines.front().sequence > *since + 1) {
                print_error(fmt::format("clusterctl: events {} to {} are not kept any more\n",
                                        *since + 1, lines.front().sequence - 1));
            }
            for (const Line& line : lines) show(session, line);
            return;
        }
        const std::size_t first = lines.size() - std::min(lines.size(), count);
        for (std::size_t i = first; i < lines.size(); ++i) show(session, lines[i]);
        if (!lines.empty()) last_ = lines.back().sequence;
    }

    /// Shows what is newer than the last one shown.
    void show(const Session& session, const Line& line) {
        if (line.sequence <= last_) return;
        last_ = line.sequence;
        if (session.options().is_json) {
            print(line.text + "\n");
        } else if (const auto event = ctl::parse_event(line.text)) {
            print(render_event(*event, session.view()));
        }
    }

    void follow(const Session& session, const std::string& path, std::uint64_t offset, int watch) {
        capture::Follower follower(path, offset);
        while (true) {
            show_new(session, follower, path);
            if (std::fflush(stdout) != 0) return;
            std::array<pollfd, 2> entries{pollfd{watch, POLLIN, 0}, pollfd{STDOUT_FILENO, 0, 0}};
            if (::poll(entries.data(), entries.size(), -1) < 0 && errno != EINTR) return;
            if ((entries[1].revents & (POLLERR | POLLHUP)) != 0) return;
            std::array<char, 4096> ignored;
            while (::read(watch, ignored.data(), ignored.size()) > 0) {
            }
        }
    }

    void show_new(const Session& session, capture::Follower& follower, const std::string& path) {
        while (true) {
            const auto lines = follower.read_new_lines();
            if (!lines || lines->empty()) return;
            for (const std::string& text : *lines) {
                const auto event = ctl::parse_event(text);
                if (!event) continue;
                // Two rotations may have come between two looks; then the archive has the rest.
                if (last_ != 0 && event->sequence > last_ + 1) {
                    std::uint64_t ignored = 0;
                    for (const Line& line : read_events(path + ".1", ignored)) {
                        if (line.sequence < event->sequence) show(session, line);
                    }
                }
                show(session, {event->sequence, text});
            }
        }
    }

    bool follow_ = false;
    std::string count_;
    std::string since_;
    std::uint64_t last_ = 0;  // the newest that was shown
};

}  // namespace

std::unique_ptr<Verb> make_events() {
    return std::make_unique<EventsVerb>();
}

}  // namespace cluster::clusterctl
