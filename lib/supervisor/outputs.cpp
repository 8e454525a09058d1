#include "supervisor/outputs.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "supervisor/log.hpp"
#include "sys/clock.hpp"
#include "sys/file.hpp"
#include "sys/memory.hpp"

namespace cluster::supervisor {
namespace {

wire::HeldKey key_of(wire::HeldKind kind, Run run, std::uint16_t index) {
    return {
        .kind = kind, .index = index, .slot = run.slot.value, .generation = run.generation.value};
}

/// A budget and a staging file fill so many of the smallest logs.
constexpr int kMaxRotationsPerTurn = 512;

bool looks_at_lines(const core::LogSpec& spec) {
    return spec.timestamp || spec.merge;
}

capture::LineFormat format_of(const core::LogSpec& spec) {
    return {.has_stamps = spec.timestamp, .is_shared = spec.merge, .max_line = spec.max_line};
}

}  // namespace

wire::HeldKey held_key(Run run, Stream stream) {
    return key_of(stream == Stream::output ? wire::HeldKind::output : wire::HeldKind::error_output,
                  run, 0);
}

wire::HeldKey staging_key(Run run, Stream stream) {
    return key_of(wire::HeldKind::staging, run, static_cast<std::uint16_t>(stream));
}

wire::HeldKey relay_key(Run run, Stream stream) {
    return key_of(wire::HeldKind::relay, run, static_cast<std::uint16_t>(stream));
}

wire::HeldKey path_key(Run run, Stream stream) {
    return key_of(wire::HeldKind::log_path, run, static_cast<std::uint16_t>(stream));
}

Outputs::Outputs(ev::Loop& loop, KeeperLink& keeper, Logs& logs, SlotChange on_slot_change,
                 TargetOf target_of)
    : loop_(loop),
      keeper_(keeper),
      logs_(logs),
      on_slot_change_(std::move(on_slot_change)),
      target_of_(std::move(target_of)) {}

// --- opening and closing

Status Outputs::open(Run run, Stream stream, sys::UniqueFd pipe, const std::string& path,
                     const core::LogSpec& spec) {
    return open_entry({run, stream}, {.pipe = std::move(pipe), .staging = {}, .relay = {}}, path,
                      spec, {});
}

Status Outputs::open_entry(const Key& key, Held held, const std::string& path,
                           const std::optional<core::LogSpec>& spec,
                           const std::vector<std::string>& former) {
    auto log = logs_.open(path, spec.value_or(core::LogSpec{}));
    if (!log) return tl::unexpected(log.error());
    capture::Pump pump{std::move(held.pipe), std::move(*log)};
    if (const auto present = entries_.find(key); present != entries_.end()) {
        // A pipe that a predecessor made for this run, which then never began: custody has the new
        // one by now.
        loop_.remove(present->second.watch);
        uncount(present->second);
        --open_per_slot_[key.run.slot];
        entries_.erase(present);
        partials_.erase(key);
    }
    if (held.staging.is_open()) attach_staging(key, pump, std::move(held.staging), former);
    if (held.relay.is_open()) attach_relay(key, pump, std::move(held.relay));
    if (spec) apply_format(key, pump, *spec);
    const auto position = entries_.emplace(key, Entry{std::move(pump)}).first;
    if (auto watched = watch(key, position->second); !watched) {
        uncount(position->second);
        entries_.erase(position);
        return watched;
    }
    note_partial(key, position->second);
    if (++open_per_slot_[key.run.slot] == 1) on_slot_change_(key.run.slot, true);
    return {};
}

/// Before anybody writes to the log: the batch that a kill has cut off is written first.
void Outputs::attach_staging(const Key& key, capture::Pump& pump, sys::UniqueFd file,
                             const std::vector<std::string>& former) {
    auto staging = capture::Staging::attach(std::move(file));
    if (!staging) {
        log::error(
            fmt::format("{}: its staging file cannot be read; what it holds is lost", pump.path()));
        keeper_.drop(staging_key(key.run, key.stream));
        return;
    }
    if (auto recovered = staging->recover(pump.log(), former); !recovered) {
        log::warn(fmt::format("{}: {}", pump.path(), std::strerror(recovered.error().code)));
    }
    const capture::LineFormat format = staging->format();
    pump.stage(std::move(*staging), format, &sys::wall_ms);
}

/// An output whose lines are looked at has none: it was given up before the staging file was held.
void Outputs::attach_relay(const Key& key, capture::Pump& pump, sys::UniqueFd pipe) {
    auto relay = capture::Relay::attach(std::move(pipe));
    if (relay && !pump.is_staged()) return use_relay(pump, std::move(*relay));
    keeper_.drop(relay_key(key.run, key.stream));
}

/// It writes as fast as we read: with a relay nobody waits for the other.
void Outputs::begin_relay(const Key& key, Entry& entry) {
    const bool can = !entry.pump.has_relay() && !entry.pump.is_staged() &&
                     entry.pump.mode() == capture::Pump::Mode::splice && relays_ < kMostRelays;
    if (!can) return;
    auto relay = capture::Relay::create();
    if (!relay) return;  // it is only slower
    keeper_.hold(relay_key(key.run, key.stream), relay->descriptor());
    // We run out of descriptors before the keeper does, which would refuse it and nobody had it.
    if (!keeper_.copies().is_complete()) return keeper_.drop(relay_key(key.run, key.stream));
    use_relay(entry.pump, std::move(*relay));
}

void Outputs::use_relay(capture::Pump& pump, capture::Relay relay) {
    pump.use(std::move(relay));
    ++relays_;
}

/// False: what is in it cannot be written now.
bool Outputs::give_up_relay(const Key& key, capture::Pump& pump) {
    if (!pump.has_relay()) return true;
    if (pump.relayed() > 0) return false;
    pump.give_up_relay();
    --relays_;
    keeper_.drop(relay_key(key.run, key.stream));
    return true;
}

void Outputs::apply_format(const Key& key, capture::Pump& pump, const core::LogSpec& spec) {
    // A staged pump with the format of a plain log passes bytes on as they are.
    if (pump.is_staged()) pump.set_format(format_of(spec));
    if (looks_at_lines(spec) == pump.is_staged()) return;
    if (pump.is_staged()) {
        if (pump.flush() != capture::Pumped::idle) return;  // stays staged, which is only slower
        pump.unstage();
        keeper_.drop(staging_key(key.run, key.stream));
        return;
    }
    if (!give_up_relay(key, pump)) return;
    auto staging = capture::Staging::create();
    if (!staging) {
        log::error(fmt::format("{}: no memory for a staging file; its lines stay as they are",
                               pump.path()));
        return;
    }
    keeper_.hold(staging_key(key.run, key.stream), staging->descriptor());
    pump.stage(std::move(*staging), format_of(spec), &sys::wall_ms);
}

/// Nothing where not all of it can be duplicated: bytes of a part alone would be out of order.
Outputs::Held Outputs::duplicate_of(const Held& held) {
    Held copy;
    for (sys::UniqueFd Held::* const part : {&Held::pipe, &Held::staging, &Held::relay}) {
        if (!(held.*part).is_open()) continue;
        auto duplicate = sys::duplicate((held.*part).get());
        if (!duplicate) return {};
        copy.*part = std::move(*duplicate);
    }
    return copy;
}

void Outputs::resume(Run run, Stream stream, Held held, const std::string& path,
                     const std::optional<core::LogSpec>& spec, std::vector<std::string> former) {
    Held spare = duplicate_of(held);
    const auto opened = open_entry({run, stream}, std::move(held), path, spec, former);
    if (opened) return;
    log::error(fmt::format("{}: {}: {}; trying again", path, op_name(opened.error().op),
                           std::strerror(opened.error().code)));
    if (!spare.pipe.is_open()) return;  // the keeper still has it, and our successor will
    unopened_.push_back({{run, stream}, std::move(spare), path, spec, std::move(former)});
}

void Outputs::write_staged() {
    std::vector<Key> waiting;
    for (const auto& [key, entry] : entries_) {
        if (entry.pump.has_partial() || entry.pump.taken() > 0) waiting.push_back(key);
    }
    for (const Key& key : waiting) write_taken(key);
}

void Outputs::write_taken(const Key& key) {
    Entry& entry = entries_.at(key);
    // A change to a log whose lines are looked at waits until the relay is empty.
    entry.is_stale = entry.pump.taken() > 0;
    act_on(key, entry, pump(entry, entry.pump.taken()));
    const auto found = entries_.find(key);
    if (found == entries_.end() || !found->second.is_stale) return;
    if (found->second.flow == Flow::runs) retarget(key, found->second);
}

void Outputs::open_again() {
    for (Unopened& item : std::exchange(unopened_, {})) {
        resume(item.key.run, item.key.stream, std::move(item.held), item.path, item.spec,
               std::move(item.former));
        if (!entries_.contains(item.key)) continue;
        log::info(fmt::format("{}: takes output again", item.path));
        write_taken(item.key);
    }
}

void Outputs::keep_paths(Slot slot) {
    if (!open_per_slot_.contains(slot)) return;
    for (auto& [key, entry] : entries_) {
        if (key.run.slot != slot || entry.is_path_held) continue;
        const auto file = sys::make_sealed_file("clusterd-log-path", entry.pump.path());
        if (!file) {
            log::warn(
                fmt::format("{}: what is still written to it would be lost with this supervisor",
                            entry.pump.path()));
            continue;
        }
        keeper_.hold(path_key(key.run, key.stream), file->get());
        entry.is_path_held = true;
    }
}

Status Outputs::watch(const Key& key, Entry& entry) {
    // The map's own key stays where it is, so the handler needs no memory for one.
    const Key* const stored = &entries_.find(key)->first;
    auto added = loop_.add(entry.pump.pipe(), {},
                           [this, stored](const ev::Ready& ready) {
                               on_ready(Key{*stored}, ready.is_drained);
                           });
    if (!added) return tl::unexpected(added.error());
    entry.watch = *added;
    return {};
}

void Outputs::close(Run run) {
    for (const Stream stream : {Stream::output, Stream::error_output}) {
        if (entries_.contains({run, stream})) remove({run, stream});
    }
}

/// It is about to be erased.
void Outputs::uncount(const Entry& entry) {
    if (entry.flow != Flow::runs) --blocked_;
    if (entry.pump.has_relay()) --relays_;
}

void Outputs::remove(const Key& key) {
    const auto found = entries_.find(key);
    const Entry& entry = found->second;
    loop_.remove(entry.watch);
    uncount(entry);
    if (entry.is_path_held) keeper_.drop(path_key(key.run, key.stream));
    if (entry.pump.is_staged()) keeper_.drop(staging_key(key.run, key.stream));
    if (entry.pump.has_relay()) keeper_.drop(relay_key(key.run, key.stream));
    entries_.erase(found);
    partials_.erase(key);
    keeper_.drop(held_key(key.run, key.stream));
    const auto count = open_per_slot_.find(key.run.slot);
    if (--count->second == 0) {
        open_per_slot_.erase(count);
        on_slot_change_(key.run.slot, false);
    }
}

// --- pumping

void Outputs::on_ready(const Key& key, bool is_drained) {
    const auto found = entries_.find(key);
    if (found == entries_.end()) return;
    Entry& entry = found->second;
    // The poll may have looked at the pipe before the last line and at its writers after that.
    const bool is_over = is_drained && entry.flow == Flow::runs && !entry.pump.has_taken() &&
                         sys::bytes_in_pipe(entry.pump.pipe()).value_or(1) == 0;
    if (is_over) return remove(key);
    if (entry.flow == Flow::discards) return discard(key, entry, kBudgetPerTurn);
    const capture::Pumped result = pump(entry, kBudgetPerTurn);
    if (result == capture::Pumped::more) begin_relay(key, entry);
    act_on(key, entry, result);
}

/// Pumps through as many rotations as the budget leads to, and writes what it took out of the pipe:
/// only what is still in there makes it ready again.
capture::Pumped Outputs::pump(Entry& entry, std::size_t budget) {
    for (int i = 0; i < kMaxRotationsPerTurn; ++i) {
        const std::uint64_t before = entry.pump.bytes_written();
        const capture::Pumped result = entry.pump.pump(budget);
        if (result != capture::Pumped::full) return result;
        logs_.rotate_full(entry.pump.path());
        const std::uint64_t moved = entry.pump.bytes_written() - before;
        budget -= static_cast<std::size_t>(std::min<std::uint64_t>(moved, budget));
    }
    return capture::Pumped::more;
}

/// Writes what is taken or staged, unfinished lines too. Idle: all of it.
capture::Pumped Outputs::flush(Entry& entry) {
    for (int i = 0; i < kMaxRotationsPerTurn; ++i) {
        const capture::Pumped result = entry.pump.flush();
        if (result != capture::Pumped::full) return result;
        logs_.rotate_full(entry.pump.path());
    }
    return capture::Pumped::more;
}

void Outputs::act_on(const Key& key, Entry& entry, capture::Pumped result) {
    switch (result) {
        case capture::Pumped::idle:
        case capture::Pumped::more:
        case capture::Pumped::full:
            return note_partial(key, entry);
        case capture::Pumped::ended:
            return remove(key);
        case capture::Pumped::blocked:
            break;
    }
    if (entry.flow == Flow::runs) begin_waiting(key, entry);
}

void Outputs::drain(Run run) {
    for (const Stream stream : {Stream::output, Stream::error_output}) {
        const Key key{run, stream};
        const auto found = entries_.find(key);
        if (found == entries_.end()) continue;
        Entry& entry = found->second;
        entry.is_over = true;
        capture::Pumped result = pump(entry, entry.pump.drain_budget());
        const bool is_open = result == capture::Pumped::idle || result == capture::Pumped::more;
        if (is_open && entry.pump.has_partial()) {
            if (flush(entry) == capture::Pumped::blocked) result = capture::Pumped::blocked;
        }
        act_on(key, entry, result);
    }
}

void Outputs::update() {
    std::vector<Key> keys;
    for (const auto& [key, entry] : entries_) keys.push_back(key);
    for (const Key& key : keys) retarget(key, entries_.at(key));
}

void Outputs::retarget(const Key& key, Entry& entry) {
    entry.is_stale = false;
    const auto target = target_of_(key.run);
    if (!target) return;
    const bool is_output = key.stream == Stream::output;
    const std::string& path = is_output ? target->paths.output : target->paths.error;
    logs_.update(path, target->spec);
    const bool is_staged = entry.pump.is_staged();
    if (path == entry.pump.path() && !is_staged && !looks_at_lines(target->spec)) return;
    // What was read before the change belongs into the log of before.
    const bool is_moved = path != entry.pump.path();
    if ((is_moved || !is_staged) && flush(entry) != capture::Pumped::idle) {
        entry.is_stale = true;
        if (entry.flow == Flow::runs) begin_waiting(key, entry);
        return;
    }
    if (is_moved) {
        auto log = logs_.open(path, target->spec);
        if (!log) {
            log::error(fmt::format("{}: {}; {} goes on", path, std::strerror(log.error().code),
                                   entry.pump.path()));
            return;
        }
        entry.pump.set_log(std::move(*log));
        entry.is_path_held = false;
    }
    apply_format(key, entry.pump, target->spec);
    note_partial(key, entry);
}

// --- unfinished lines of merged logs

void Outputs::note_partial(const Key& key, const Entry& entry) {
    if (entry.pump.has_partial()) {
        partials_.try_emplace(key, std::nullopt);
    } else if (!partials_.empty()) {
        partials_.erase(key);
    }
}

void Outputs::flush_partials(Instant now) {
    std::vector<Key> due;
    for (auto& [key, until] : partials_) {
        if (!until) until = now + kLinePatience;
        if (now >= *until) due.push_back(key);
    }
    for (const Key& key : due) {
        partials_.erase(key);
        const auto found = entries_.find(key);
        if (found != entries_.end()) act_on(key, found->second, flush(found->second));
    }
}

void Outputs::on_time(Instant now) {
    if (!partials_.empty()) flush_partials(now);
    if (blocked_ == 0 && unopened_.empty()) {
        retry_at_.reset();
        return;
    }
    if (!retry_at_) retry_at_ = now + kRetryInterval;
    if (now < *retry_at_) return;
    retry_at_ = now + kRetryInterval;
    open_again();
    std::vector<Key> blocked;
    for (const auto& [key, entry] : entries_) {
        if (entry.flow != Flow::runs) blocked.push_back(key);
    }
    for (const Key& key : blocked) retry(key, entries_.at(key), now);
}

std::optional<Instant> Outputs::next_deadline() const {
    std::optional<Instant> next;
    if (blocked_ > 0 || !unopened_.empty()) next = retry_at_;
    for (const auto& [key, until] : partials_) next = earliest(next, until);
    return next;
}

}  // namespace cluster::supervisor
