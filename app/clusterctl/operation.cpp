#include "clusterctl/operation.hpp"

#include <algorithm>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "capture/tail.hpp"
#include "clusterctl/interrupt.hpp"
#include "clusterctl/view/format.hpp"
#include "clusterctl/view/plan_view.hpp"
#include "clusterctl/view/progress.hpp"
#include "clusterctl/view/style.hpp"
#include "clusterctl/view/text.hpp"
#include "conf/values.hpp"
#include "ctl/documents.hpp"
#include "sys/clock.hpp"

namespace cluster::clusterctl {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// How often a terminal's progress line is renewed, and how long one question to the daemon may
/// wait otherwise.
constexpr Duration kRedraw = milliseconds{500};
constexpr Duration kQuestion = seconds{10};
/// Where no terminal is: the first word about a long wait, then one each so often.
constexpr Duration kFirstWord = seconds{3};
constexpr Duration kNextWord = seconds{30};

constexpr std::size_t kShownFailures = 20;
constexpr std::size_t kShownLogs = 3;
constexpr std::size_t kShownLogLines = 10;

/// The line that says what we wait for: redrawn in place on a terminal, now and then a new line
/// elsewhere.
class ProgressLine {
public:
    ProgressLine(const Terminal& terminal, Instant start)
        : terminal_(terminal), next_word_(start + kFirstWord) {}
    ~ProgressLine() { clear(); }
    ProgressLine(const ProgressLine&) = delete;
    ProgressLine& operator=(const ProgressLine&) = delete;

    void show(const ctl::OperationAnswer& operation, Instant now) {
        if (terminal_.is_terminal) {
            print_error("\r\x1b[K" + progress_line(operation, terminal_.width() - 1));
            is_drawn_ = true;
        } else if (now >= next_word_) {
            print_error(progress_line(operation, 0) + "\n");
            next_word_ = now + kNextWord;
        }
    }

    void clear() {
        if (is_drawn_) print_error("\r\x1b[K");
        is_drawn_ = false;
    }

private:
    const Terminal& terminal_;
    Instant next_word_;
    bool is_drawn_ = false;
};

std::string worker_of(const std::string& id) {
    return id.substr(0, id.rfind('.'));
}

/// False when there is nothing to show.
bool show_last_lines(const std::string& path) {
    const Result<capture::LastLines> last = capture::read_last_lines(path, kShownLogLines);
    if (!last || last->lines.empty()) return false;
    std::string text = "  last lines of " + one_line(path) + ":\n";
    for (const std::string& line : last->lines) text += "  | " + harmless_line(line) + "\n";
    print_error(text);
    return true;
}

void show_failures(const Session& session, const ctl::OperationAnswer& operation) {
    std::size_t shown = 0;
    std::size_t failed = 0;
    std::size_t serving = 0;
    std::string first;
    for (const ctl::InstanceOutcome& instance : operation.instances) {
        if (instance.outcome != "failed") continue;
        if (instance.is_serving) ++serving;
        if (++failed > kShownFailures) continue;
        if (first.empty()) first = instance.id;
        const std::string why = instance.detail.value_or("failed, now " + instance.state);
        print_error(paint(instance.id, Style::red, session.err().has_colour) + ": " +
                    one_line(why) + "\n");
        const bool has_log = instance.err_log && shown < kShownLogs;
        if (has_log && show_last_lines(*instance.err_log)) ++shown;
    }
    if (failed == 0) return;
    if (failed > kShownFailures)
        print_error(fmt::format("… and {} more\n", failed - kShownFailures));
    const std::string worker = worker_of(first);
    if (serving > 0) {
        print_error("clusterctl: the reload ended there: " + count_of(failed, "instance") +
                    " not replaced, " + std::to_string(serving) +
                    " of them still serving; look: clusterctl logs " + worker +
                    "; once mended: clusterctl reload " + worker + "\n");
        return;
    }
    print_error("clusterctl: " + count_of(failed, "instance") + " failed; look: clusterctl logs " +
                worker + "; once mended: clusterctl restart " + worker +
                "; to give it up: clusterctl delete " + worker + "\n");
}

/// What of a row is shown and chosen by.
std::vector<std::string> operation_fields() {
    std::vector<std::string> fields = status_fields();
    fields.emplace_back("name");
    return fields;
}

/// The status afterwards, reduced to what the operation was about. None when the daemon is gone by
/// now.
std::optional<ctl::StatusAnswer> status_after(Client& client, const ctl::OperationAnswer& operation,
                                              const Shown& shown,
                                              std::vector<std::string> fields) {
    ctl::StatusAnswer status;
    try {
        status = client.status({}, std::move(fields));
    } catch (const Failure&) {
        return std::nullopt;
    }
    std::set<std::string> names(shown.names.begin(), shown.names.end());
    for (const std::string& id : operation.selected) names.insert(worker_of(id));
    if (shown.all || names.empty()) return status;
    std::erase_if(status.workers,
                  [&names](const ctl::WorkerStatus& row) { return names.count(row.name) == 0; });
    return status;
}

}  // namespace

void WaitOptions::declare(OptionSink& options) {
    options.flag("--no-wait", no_wait, "Return as soon as the daemon has accepted it");
    options.value("--timeout", timeout, "DURATION",
                  "Wait no longer than this (10s, 5m), then exit with 1; the daemon goes on");
}

std::optional<Duration> WaitOptions::limit() const {
    if (timeout.empty()) return std::nullopt;
    const tl::expected<Duration, std::string> duration = conf::parse_duration(timeout);
    if (!duration) throw usage_failure("--timeout: " + duration.error());
    return *duration;
}

ctl::OperationAnswer wait_until_settled(Session& session, Client& client,
                                        ctl::OperationAnswer operation,
                                        std::optional<Duration> limit) {
    const Interrupt interrupt;
    client.set_interrupt(interrupt.descriptor());
    const Instant start = sys::monotonic_now();
    ProgressLine progress(session.err(), start);
    try {
        Instant now = start;
        while (operation.state == "pending" && (!limit || now < start + *limit)) {
            // A first answer within a moment is the rule: nothing is drawn for it.
            if (now > start) progress.show(operation, now);
            Duration question = session.err().is_terminal ? kRedraw : kFirstWord;
            if (!session.err().is_terminal && now - start > kFirstWord) question = kQuestion;
            if (limit) question = std::min(question, start + *limit - now);
            const auto question_ms = static_cast<std::uint32_t>(to_ms(question) + 1);
            operation = client.wait(operation.operation, question_ms);
            now = sys::monotonic_now();
        }
    } catch (const Interrupted&) {
        progress.clear();
        throw Failure(kInterrupted, "interrupted",
                      fmt::format("not waiting any more; operation {} goes on in the daemon",
                                  operation.operation),
                      "see how things stand: clusterctl status");
    }
    client.set_interrupt(-1);
    return operation;
}

int finish_operation(Session& session, Client& client, ctl::OperationAnswer operation,
                     const WaitOptions& options, const Shown& shown) {
    const std::optional<Duration> limit = options.limit();
    std::vector<std::string> notes = operation.notes;
    std::vector<ctl::PlannedWorker> plan = operation.plan;
    if (!session.options().is_json) {
        for (const std::string& note : notes) print_error(one_line(note) + "\n");
        if (!plan.empty()) {
            print_error(render_plan(plan, session.err().width(), session.err().has_colour));
        }
    }
    if (!options.no_wait) {
        operation = wait_until_settled(session, client, std::move(operation), limit);
        if (operation.notes.empty()) operation.notes = std::move(notes);
        if (operation.plan.empty()) operation.plan = std::move(plan);
    }

    const bool is_late = operation.state == "pending" && !options.no_wait;
    const std::optional<ctl::StatusAnswer> status = status_after(
        client, operation, shown,
        session.options().is_json ? std::vector<std::string>{} : operation_fields());
    if (session.options().is_json) {
        print(ctl::operation_document(operation, status));
    } else if (status) {
        print(render_status(*status, session.view()));
        // The table first, also where both streams are one file.
        (void)finish_output();
    }
    show_failures(session, operation);
    if (is_late) {
        print_error("clusterctl: still " + progress_line(operation, 0) + " after " +
                    options.timeout + "; it goes on in the daemon, see clusterctl status\n");
    }
    return operation.state == "failed" || is_late ? kFailed : kDone;
}

int change_selected(Session& session, const std::vector<std::string>& selectors, ctl::Method method,
                    const WaitOptions& options, const Shown& shown, const char* example) {
    if (selectors.empty()) {
        throw usage_failure("say which workers: a name, api.0, @group, a glob, or all",
                            std::string("for example: ") + example);
    }
    (void)options.limit();  // a mistake in it must be known before anything is changed
    Client client(session.directories());
    client.connect();
    ctl::OperationAnswer operation = client.change(std::move(method));
    return finish_operation(session, client, std::move(operation), options, shown);
}

}  // namespace cluster::clusterctl
