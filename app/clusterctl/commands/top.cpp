// clusterctl top: the workers, again and again, on the whole terminal.
//
// Each picture is one write that begins at the upper left corner and overwrites what is there, line
// by line: nothing is ever cleared before something else takes its place, so nothing flickers. The
// terminal is as it was afterwards, however we end short of SIGKILL.
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <optional>

#include "clusterctl/client.hpp"
#include "clusterctl/verb.hpp"
#include "clusterctl/view/top_view.hpp"
#include "conf/values.hpp"
#include "sys/clock.hpp"

namespace cluster::clusterctl {
namespace {

constexpr Duration kUsualInterval = std::chrono::seconds{1};
constexpr Duration kLeastInterval = std::chrono::milliseconds{100};
constexpr char kEscape = '\x1b';
constexpr char kInterruptKey = '\x03';  // Ctrl-C, which raises no signal in raw mode

/// The terminal in raw mode on its second screen, and back.
class Screen {
public:
    Screen() {
        sigset_t signals;
        sigemptyset(&signals);
        for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH}) {
            sigaddset(&signals, signal);
        }
        ::sigprocmask(SIG_BLOCK, &signals, &before_);
        signals_ = sys::UniqueFd(::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
        is_raw_ = ::tcgetattr(STDIN_FILENO, &settings_) == 0;
        if (is_raw_) {
            termios raw = settings_;
            ::cfmakeraw(&raw);
            raw.c_oflag |= OPOST | ONLCR;
            ::tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
        }
        // Source: xterm's control sequences: alternate screen; cursor off; no wrapping.
        write("\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[H\x1b[2J");
    }
    ~Screen() {
        write("\x1b[?7h\x1b[?25h\x1b[?1049l");
        if (is_raw_) ::tcsetattr(STDIN_FILENO, TCSADRAIN, &settings_);
        ::sigprocmask(SIG_SETMASK, &before_, nullptr);
    }
    Screen(const Screen&) = delete;
    Screen& operator=(const Screen&) = delete;

    [[nodiscard]] int signals() const { return signals_.get(); }

    static void show(const std::string& lines) {
        std::string picture = "\x1b[H";
        for (const char c : lines) {
            if (c == '\n') picture += "\x1b[K";  // what an older, longer line left
            picture += c;
        }
        write(picture + "\x1b[K\x1b[J");
    }

private:
    static void write(const std::string& text) {
        const char* rest = text.data();
        std::size_t size = text.size();
        while (size > 0) {
            const ssize_t count = ::write(STDOUT_FILENO, rest, size);
            if (count < 0 && errno != EINTR) return;
            if (count < 0) continue;
            rest += count;
            size -= static_cast<std::size_t>(count);
        }
    }

    sigset_t before_{};
    sys::UniqueFd signals_;
    termios settings_{};
    bool is_raw_ = false;
};

class TopVerb final : public Verb {
public:
    [[nodiscard]] VerbInfo info() const override {
        return {.name = "top",
                .aliases = {"monit"},
                .usage = "[-d INTERVAL] [SELECTOR…]",
                .summary = "Watch workers; keys order and scroll"};
    }
    void declare(OptionSink& options) override {
        options.words("SELECTOR", selectors_, "What to watch: api, api.0, @site, api*, all");
        options.value("-d,--delay", delay_, "DURATION", "Between two pictures (1s)");
    }
    [[nodiscard]] int run(Session& session) override {
        const Duration interval = read_interval();
        if (!session.out().is_terminal || ::isatty(STDIN_FILENO) != 1 ||
            session.options().is_json) {
            throw usage_failure(
                "top needs a terminal",
                "for programs: clusterctl status --json; for scripts: clusterctl status");
        }
        client_.emplace(session.directories());
        client_->connect();
        // A selector that matches nothing is said before the screen is taken.
        status_ = client_->status(selectors_, top_fields());
        watch(session, interval);
        return kDone;
    }

private:
    [[nodiscard]] Duration read_interval() const {
        if (delay_.empty()) return kUsualInterval;
        const tl::expected<Duration, std::string> interval = conf::parse_duration(delay_);
        if (!interval) throw usage_failure("--delay: " + interval.error());
        return std::max(*interval, kLeastInterval);
    }

    void watch(const Session& session, Duration interval) {
        const Screen screen;
        Instant next = sys::monotonic_now() + interval;
        draw(session);
        while (true) {
            const Duration left = std::max(next - sys::monotonic_now(), Duration::zero());
            std::array<pollfd, 2> entries{pollfd{STDIN_FILENO, POLLIN, 0},
                                          pollfd{screen.signals(), POLLIN, 0}};
            const int timeout = static_cast<int>(to_ms(left)) + (left > Duration::zero() ? 1 : 0);
            if (::poll(entries.data(), entries.size(), timeout) < 0 && errno != EINTR) return;
            if ((entries[0].revents & (POLLHUP | POLLERR)) != 0) return;
            if (entries[0].revents != 0 && !take_keys(session)) return;
            if (entries[1].revents != 0 && !take_signals(screen.signals())) return;
            if (sys::monotonic_now() >= next) {
                ask();
                next = sys::monotonic_now() + interval;
            }
            draw(session);
        }
    }

    /// A daemon that does not answer is waited for: it is what somebody may be watching for.
    void ask() {
        try {
            if (!client_->try_connect()) {
                remark_ = "no daemon runs here; waiting for it";
                return;
            }
            status_ = client_->status(selectors_, top_fields());
            remark_.clear();
        } catch (const Failure& failure) {
            remark_ = failure.message;
        }
    }

    void draw(const Session& session) const {
        const ViewOptions options = session.view();
        Screen::show(render_top(status_, choice_, height(), remark_, options));
    }

    [[nodiscard]] static std::size_t height() {
        winsize size{};
        const bool is_known = ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0;
        return is_known ? size.ws_row : 24;
    }

    /// False: the user wants to leave.
    bool take_keys(const Session& /*session*/) {
        std::array<char, 64> keys;
        const ssize_t count = ::read(STDIN_FILENO, keys.data(), keys.size());
        if (count <= 0) return count < 0 && errno == EINTR;
        const std::size_t rows = top_rows(height());
        for (ssize_t i = 0; i < count; ++i) {
            char key = keys[static_cast<std::size_t>(i)];
            // The arrow keys: ESC [ A, ESC [ B (or ESC O A …).
            if (key == kEscape && i + 2 < count) {
                const char last = keys[static_cast<std::size_t>(i + 2)];
                key = last == 'A' ? 'k' : last == 'B' ? 'j' : '\0';
                i += 2;
            } else if (key == 'q' || key == kEscape || key == kInterruptKey) {
                return false;
            }
            (void)take_top_key(key, rows, status_.workers.size(), choice_);
        }
        return true;
    }

    /// False: one that ends us.
    static bool take_signals(int signals) {
        signalfd_siginfo info{};
        while (::read(signals, &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
            if (info.ssi_signo != static_cast<std::uint32_t>(SIGWINCH)) return false;
        }
        return true;
    }

    std::vector<std::string> selectors_;
    std::string delay_;
    std::optional<Client> client_;
    ctl::StatusAnswer status_;
    std::string remark_;
    TopChoice choice_;
};

}  // namespace

std::unique_ptr<Verb> make_top() {
    return std::make_unique<TopVerb>();
}

}  // namespace cluster::clusterctl
