#include "supervisor/reporter.hpp"

#include <fcntl.h>
#include <fmt/core.h>

#include <algorithm>
#include <cstddef>
#include <span>
#include <string_view>
#include <variant>

#include "core/selector.hpp"
#include "supervisor/log.hpp"
#include "supervisor/logs.hpp"
#include "supervisor/reload_texts.hpp"
#include "supervisor/status.hpp"
#include "supervisor/wording.hpp"
#include "sys/clock.hpp"
#include "sys/file.hpp"

namespace cluster::supervisor {
namespace {

constexpr std::size_t kTailBytes = 4096;
constexpr std::size_t kTailLines = 10;

bool shows_ready(const core::Instance& instance) {
    const auto* running = std::get_if<core::Running>(&instance.state);
    return running != nullptr && running->ready_at.has_value();
}

/// The last whole lines of `text`; its first one is left out when it may have lost its beginning.
std::vector<std::string> last_lines(std::string_view text, bool begins_in_a_line) {
    std::vector<std::string> lines;
    while (!text.empty()) {
        const std::size_t end = text.find('\n');
        lines.emplace_back(text.substr(0, end));
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    }
    if (begins_in_a_line && lines.size() > 1) lines.erase(lines.begin());
    if (lines.size() > kTailLines) lines.erase(lines.begin(), lines.end() - kTailLines);
    return lines;
}

std::string error_log_of(const core::WorkerSpec& spec, std::uint32_t number,
                         const std::string& log_dir) {
    return log_paths(log_dir, spec, number).error;
}

/// "old" or "new", of a reload that has two runs of one instance.
std::optional<std::string_view> side_of(const core::Fleet& fleet, const core::Place& place) {
    const std::optional<std::string_view> word = reload_word(fleet, place);
    if (place.role == core::Role::current || !word) return std::nullopt;
    return word;
}

struct Told {
    std::uint64_t epoch;
    std::string_view what;
};

/// How far the newest reload of the place has come; "" for none.
Told reload_told(const core::Reload& reload) {
    const char* what = "";
    if (reload.phase != core::ReloadPhase::none) {
        what = core::phase_name(reload.phase);
    } else if (reload.outcome == core::Outcome::done) {
        what = "done";
    } else if (reload.outcome == core::Outcome::failed) {
        what = "failed";
    }
    return {reload.epoch.value, what};
}

}  // namespace

Reporter::Reporter(const core::Fleet& fleet, Journal& journal) : fleet_(fleet), journal_(journal) {}

Reporter::Shown& Reporter::shown_of(Slot slot) {
    return shown_[slot];
}

void Reporter::resume() {
    for (const core::Place* place : fleet_.places()) {
        Shown& shown = shown_of(place->slot);
        shown.id = core::instance_id(fleet_.worker(place->worker)->spec.name, place->number);
        shown.state = core::state_name(place->instance.state);
        shown.is_ready = shows_ready(place->instance);
        shown.generation = place->instance.generation.value;
        shown.side = side_of(fleet_, *place).value_or("");
        const Told told = reload_told(place->reload);
        shown.reload_epoch = told.epoch;
        shown.reload = told.what;
    }
}

void Reporter::note_spawn(Slot slot, const std::string& error_log) {
    const auto info = sys::file_info(error_log);
    Shown& shown = shown_of(slot);
    shown.error_log = info ? Shown::ErrorLog{info->inode, info->size} : Shown::ErrorLog{};
}

void Reporter::report(const Records::Changes& changes, const std::string& log_dir, Instant now) {
    tails_ = 0;
    for (const Records::Exit& exit : changes.exits) report_exit(exit, log_dir, now);
    for (const Slot slot : changes.slots) report_state(slot, now);
}

void Reporter::report_exit(const Records::Exit& exit, const std::string& log_dir, Instant now) {
    const core::Place* place = fleet_.find(exit.slot);
    if (place == nullptr || !place->instance.history.last_exit) return;
    const core::WorkerSpec& spec = fleet_.worker(place->worker)->spec;
    const core::LastExit& last = *place->instance.history.last_exit;
    const ctl::LastExit told = describe_exit(last, spec.launch, now);
    EventLine event("exit");
    event.text("id", core::instance_id(spec.name, place->number));
    event.number("run", static_cast<std::int64_t>(exit.entry.generation));
    if (const auto role = side_of(fleet_, *place)) event.text("reload", *role);
    if (exit.entry.pid > 0) event.number("pid", exit.entry.pid);
    if (told.code) event.number("code", *told.code);
    if (told.signal) event.text("signal", *told.signal);
    event.text("reason", told.reason);
    if (told.detail) event.text("detail", *told.detail);
    if (exit.entry.uptime_ns >= 0) event.number("uptime_ms", to_ms(Duration{exit.entry.uptime_ns}));
    const bool is_crash =
        last.reason == core::ExitReason::exited && !core::is_success(spec.policy, last.status);
    if (is_crash && exit.entry.uptime_ns >= 0 && tails_ < kMaxTailsPerTurn) {
        ++tails_;
        const std::int64_t started_ms =
            sys::wall_ms() - to_ms(now - from_ns(exit.entry.at_ns - exit.entry.uptime_ns));
        const auto lines =
            last_words(shown_of(exit.slot), error_log_of(spec, place->number, log_dir), started_ms);
        if (!lines.empty()) event.texts("stderr", lines);
    }
    journal_.add(event);
}

/// What the run that has just ended wrote to stderr, as far as that is certain.
std::vector<std::string> Reporter::last_words(const Shown& shown, const std::string& path,
                                              std::int64_t started_ms) {
    const auto file = sys::open_file(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    if (!file) return {};
    const auto info = sys::file_info(file->get());
    if (!info) return {};
    // Times of files are coarse: a run of a millisecond may seem to have written before it began.
    // So the time decides only where nothing better is known.
    if (!shown.error_log && info->modified_ms < started_ms) return {};
    // A file of another inode was begun during the run.
    const bool is_same = shown.error_log && shown.error_log->inode == info->inode;
    const std::uint64_t begin = is_same ? std::min(shown.error_log->size, info->size) : 0;
    const std::uint64_t from =
        std::max(begin, info->size - std::min<std::uint64_t>(info->size, kTailBytes));
    std::string text(static_cast<std::size_t>(info->size - from), '\0');
    const auto count = sys::read_at(file->get(), std::as_writable_bytes(std::span{text}), from);
    if (!count) return {};
    text.resize(*count);
    return last_lines(text, from > begin);
}

void Reporter::report_state(Slot slot, Instant now) {
    Shown& shown = shown_of(slot);
    const core::Place* place = fleet_.find(slot);
    std::string id;
    if (place != nullptr) {
        id = core::instance_id(fleet_.worker(place->worker)->spec.name, place->number);
    }
    // The slot of one that vanished may have passed to another in the same turn.
    if (!shown.id.empty() && shown.id != id) {
        EventLine event("state");
        event.text("id", shown.id).text("from", shown.state);
        // Of an instance that goes on in another slot nothing was deleted.
        event.text("to", shown.side.empty() ? "deleted" : "gone");
        if (!shown.side.empty()) event.text("reload", shown.side);
        journal_.add(event);
        shown = Shown{};
    }
    if (place == nullptr) {
        shown_.erase(slot);
        return;
    }
    const core::WorkerSpec& spec = fleet_.worker(place->worker)->spec;
    const core::Instance& instance = place->instance;
    const char* state = core::state_name(instance.state);
    const bool is_new = shown.id != id;
    const bool ready = shows_ready(instance);
    const std::string_view side = side_of(fleet_, *place).value_or("");
    shown.side = side;
    report_reload(*place, id, shown);
    const bool is_same = !is_new && std::string_view(shown.state) == state &&
                         shown.generation == instance.generation.value && shown.is_ready == ready;
    if (is_same) return;

    EventLine event("state");
    event.text("id", id);
    if (!is_new) event.text("from", shown.state);
    event.text("to", state);
    event.number("run", static_cast<std::int64_t>(instance.generation.value));
    if (!side.empty()) event.text("reload", side);
    if (std::holds_alternative<core::Running>(instance.state)) event.boolean("ready", ready);
    if (const auto* backoff = std::get_if<core::BackingOff>(&instance.state)) {
        event.number("next_start_ms", std::max<std::int64_t>(0, to_ms(backoff->until - now)));
    }
    journal_.add(event);

    std::string text = state;
    const bool shows_exit = std::holds_alternative<core::BackingOff>(instance.state) ||
                            std::holds_alternative<core::Exited>(instance.state) ||
                            std::holds_alternative<core::Fatal>(instance.state);
    if (shows_exit && instance.history.last_exit) {
        text += " after " + exit_text(spec.launch, instance.history.last_exit->status);
    }
    const bool is_only_ready_new = !is_new && std::string_view(shown.state) == state &&
                                   shown.generation == instance.generation.value;
    if (is_only_ready_new) text += ready ? ", ready" : ", not ready";
    const std::string whose = side.empty() ? "" : std::string(side) + " ";
    log::info(fmt::format("{}: {} ({}run {})", id, text, whose, instance.generation.value));

    shown.id = id;
    shown.state = state;
    shown.is_ready = ready;
    shown.generation = instance.generation.value;
}

void Reporter::report_reload(const core::Place& place, const std::string& id, Shown& shown) {
    const Told told = reload_told(place.reload);
    if (told.epoch == shown.reload_epoch && told.what == shown.reload) return;
    shown.reload_epoch = told.epoch;
    shown.reload = told.what;
    if (told.what.empty()) return;
    EventLine event("reload");
    event.text("id", id).text("what", told.what);
    event.number("operation", static_cast<std::int64_t>(told.epoch));
    if (told.what == "failed") {
        const std::string why = reload_failure_text(fleet_, place).value_or("");
        event.text("detail", why);
        log::error(fmt::format("{}: reload failed: {}", id, why));
    }
    journal_.add(event);
}

}  // namespace cluster::supervisor
