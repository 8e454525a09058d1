#include "supervisor/watchdogs.hpp"

#include <charconv>
#include <string>
#include <utility>
#include <variant>

#include "supervisor/records.hpp"
#include "sys/file.hpp"
#include "sys/memory.hpp"

namespace cluster::supervisor {
namespace {

wire::HeldKey interval_key(Run run) {
    wire::HeldKey key = notify_key(run);
    key.index = kHeldInterval;
    return key;
}

/// The interval as the text of its nanoseconds.
Result<sys::UniqueFd> held_interval(Duration interval) {
    auto file = sys::open_memory_file("clusterd-watchdog", 0);
    if (!file) return file;
    if (auto written = sys::write_all(file->get(), std::to_string(interval.count())); !written) {
        return tl::unexpected(written.error());
    }
    return file;
}

/// True while its silence means something.
bool is_watched(const core::Place& place) {
    const auto* const running = std::get_if<core::Running>(&place.instance.state);
    return running != nullptr && running->ready_at && !running->is_leaving;
}

}  // namespace

std::optional<Duration> read_interval(int fd) {
    const auto text = read_held_text(fd);
    if (!text) return std::nullopt;
    std::int64_t ns = 0;
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), ns);
    if (error != std::errc{} || end != text->data() + text->size() || ns < 0) return std::nullopt;
    return Duration{ns};
}

Duration Watchdogs::interval_of(Run run, const core::WorkerSpec& spec) const {
    const auto asked = asked_.find(run.slot);
    const bool has_asked = asked != asked_.end() && asked->second.run == run;
    return has_asked ? asked->second.interval : spec.policy.watchdog;
}

void Watchdogs::follow(const core::Place& place, const core::WorkerSpec& spec, Instant now) {
    const Run run{place.slot, place.instance.generation};
    if (!core::is_occupied(place.instance.state)) return forget(place.slot);
    const Duration interval = interval_of(run, spec);
    if (!is_watched(place) || interval == Duration::zero()) {
        entries_.erase(place.slot);
        return;
    }
    const auto found = entries_.find(place.slot);
    const bool is_same = found != entries_.end() && found->second.run == run &&
                         found->second.watchdog.interval() == interval;
    if (!is_same) {
        entries_.insert_or_assign(place.slot, Entry{run, ready::Watchdog{interval, now}});
    }
}

void Watchdogs::forget(Slot slot) {
    entries_.erase(slot);
    const auto asked = asked_.find(slot);
    if (asked == asked_.end()) return;
    keeper_.drop(interval_key(asked->second.run));
    asked_.erase(asked);
}

void Watchdogs::ask(Run run, Duration interval) {
    asked_.insert_or_assign(run.slot, Asked{run, interval});
    if (const auto file = held_interval(interval)) keeper_.hold(interval_key(run), file->get());
}

void Watchdogs::hear(Instant now) {
    for (const NotifySockets::SignOfLife& sign : sockets_.take_signs()) {
        if (sign.interval) ask(sign.run, *sign.interval);
        const auto found = entries_.find(sign.run.slot);
        const bool is_of_run = found != entries_.end() && found->second.run == sign.run;
        if (is_of_run && sign.interval) found->second.watchdog.set_interval(*sign.interval, now);
        if (is_of_run) found->second.watchdog.on_sign_of_life(now);
    }
}

void Watchdogs::on_time(Instant now) {
    hear(now);
    std::vector<Run> late;
    for (const auto& [slot, entry] : entries_) {
        if (entry.watchdog.has_run_out(now)) late.push_back(entry.run);
    }
    if (late.empty()) return;
    for (const Run run : late) sockets_.catch_up(run);
    hear(now);
    for (const Run run : late) {
        ready::Watchdog& watchdog = entries_.at(run.slot).watchdog;
        // What it says has to be stored before more can be read: the next turn knows.
        if (!watchdog.has_run_out(now) || sockets_.is_unconfirmed(run)) continue;
        hung_.push_back({run, watchdog.interval()});
        // Where nothing comes of it, because the run is about to be stopped, it is left alone.
        watchdog.on_sign_of_life(now);
    }
}

std::optional<Instant> Watchdogs::next_deadline() const {
    std::optional<Instant> next;
    for (const auto& [slot, entry] : entries_) {
        next = earliest(next, entry.watchdog.next_deadline());
    }
    return next;
}

std::vector<Watchdogs::Hung> Watchdogs::take_hung() {
    return std::exchange(hung_, {});
}

}  // namespace cluster::supervisor
