#include "supervisor/outputs.hpp"

#include <fmt/core.h>

#include <cstring>
#include <utility>
#include <vector>

#include "supervisor/log.hpp"
#include "sys/file.hpp"
#include "sys/memory.hpp"

namespace cluster::supervisor {

wire::HeldKey held_key(Run run, Stream stream) {
    const auto kind =
        stream == Stream::output ? wire::HeldKind::output : wire::HeldKind::error_output;
    return {.kind = kind, .index = 0, .slot = run.slot.value, .generation = run.generation.value};
}

wire::HeldKey path_key(Run run, Stream stream) {
    return {.kind = wire::HeldKind::log_path,
            .index = static_cast<std::uint16_t>(stream),
            .slot = run.slot.value,
            .generation = run.generation.value};
}

Outputs::Outputs(ev::Loop& loop, KeeperLink& keeper, Logs& logs, SlotChange on_slot_change)
    : loop_(loop), keeper_(keeper), logs_(logs), on_slot_change_(std::move(on_slot_change)) {}

Status Outputs::open(Run run, Stream stream, sys::UniqueFd pipe, const std::string& path,
                     const core::LogSpec& spec) {
    auto log = logs_.open(path, spec);
    if (!log) return tl::unexpected(log.error());
    capture::Pump pump{std::move(pipe), std::move(*log)};
    const Key key{run, stream};
    if (const auto former = entries_.find(key); former != entries_.end()) {
        // A pipe that a predecessor made for this run, which then never began: custody has the new
        // one by now.
        loop_.remove(former->second.watch);
        if (former->second.is_blocked) --blocked_;
        --open_per_slot_[run.slot];
        entries_.erase(former);
    }
    const auto position = entries_.emplace(key, Entry{.pump = std::move(pump), .watch = {}}).first;
    if (auto watched = watch(key, position->second); !watched) {
        entries_.erase(position);
        return watched;
    }
    if (++open_per_slot_[run.slot] == 1) on_slot_change_(run.slot, true);
    return {};
}

void Outputs::resume(Run run, Stream stream, sys::UniqueFd pipe, const std::string& path,
                     const core::LogSpec& spec) {
    auto spare = sys::duplicate(pipe.get());
    const auto opened = open(run, stream, std::move(pipe), path, spec);
    if (opened) {
        // What the predecessor had taken from the pipe already waits in the staging file, and no
        // pipe tells of that.
        move_bytes({run, stream});
        return;
    }
    log::error(fmt::format("{}: {}: {}; trying again", path, op_name(opened.error().op),
                           std::strerror(opened.error().code)));
    if (!spare) return;  // the keeper still has the pipe, and our successor will
    unopened_.push_back({{run, stream}, std::move(*spare), path, spec});
}

void Outputs::open_again() {
    for (Unopened& item : std::exchange(unopened_, {})) {
        auto spare = sys::duplicate(item.pipe.get());
        const Key key = item.key;
        if (spare && open(key.run, key.stream, std::move(*spare), item.path, item.spec)) {
            log::info(fmt::format("{}: takes output again", item.path));
        } else {
            unopened_.push_back(std::move(item));
        }
    }
}

void Outputs::keep_paths(Slot slot) {
    if (!open_per_slot_.contains(slot)) return;
    for (auto& [key, entry] : entries_) {
        if (key.run.slot != slot || entry.is_path_held) continue;
        auto file = sys::open_memory_file("clusterd-log-path", 0);
        if (!file || !sys::write_all(file->get(), entry.pump.path()) ||
            !sys::seal_all(file->get())) {
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
    auto added =
        loop_.add(entry.pump.pipe(), {}, [this, key](const ev::Ready&) { move_bytes(key); });
    if (!added) return tl::unexpected(added.error());
    entry.watch = *added;
    return {};
}

void Outputs::move_bytes(const Key& key) {
    const auto found = entries_.find(key);
    if (found != entries_.end()) act_on(key, found->second, pump(found->second, kBudgetPerTurn));
}

/// Pumps through as many rotations as the budget leads to.
capture::Pumped Outputs::pump(Entry& entry, std::size_t budget) {
    while (true) {
        const std::uint64_t before = entry.pump.bytes_written();
        const capture::Pumped result = entry.pump.pump(budget);
        if (result != capture::Pumped::full) return result;
        logs_.rotate_full(entry.pump.path());
        const std::uint64_t moved = entry.pump.bytes_written() - before;
        // Nothing moved: the rotation before made no room either, so another would not.
        if (moved >= budget || moved == 0) return capture::Pumped::more;
        budget -= static_cast<std::size_t>(moved);
    }
}

void Outputs::act_on(const Key& key, Entry& entry, capture::Pumped result) {
    switch (result) {
        case capture::Pumped::idle:
        case capture::Pumped::more:
        case capture::Pumped::full:
            return;
        case capture::Pumped::ended:
            remove(key);
            return;
        case capture::Pumped::blocked:
            break;
    }
    if (entry.is_blocked) return;
    log::warn(fmt::format("{}: {}; output waits in the pipe, and its worker once that is full",
                          entry.pump.path(), std::strerror(entry.pump.last_error().code)));
    loop_.remove(std::exchange(entry.watch, {}));
    entry.is_blocked = true;
    ++blocked_;
}

void Outputs::drain(Run run) {
    for (const Stream stream : {Stream::output, Stream::error_output}) {
        const Key key{run, stream};
        const auto found = entries_.find(key);
        if (found == entries_.end()) continue;
        Entry& entry = found->second;
        act_on(key, entry, pump(entry, entry.pump.drain_budget()));
    }
}

void Outputs::close(Run run) {
    for (const Stream stream : {Stream::output, Stream::error_output}) {
        if (entries_.contains({run, stream})) remove({run, stream});
    }
}

void Outputs::remove(const Key& key) {
    const auto found = entries_.find(key);
    loop_.remove(found->second.watch);
    if (found->second.is_blocked) --blocked_;
    if (found->second.is_path_held) keeper_.drop(path_key(key.run, key.stream));
    entries_.erase(found);
    keeper_.drop(held_key(key.run, key.stream));
    const auto count = open_per_slot_.find(key.run.slot);
    if (--count->second == 0) {
        open_per_slot_.erase(count);
        on_slot_change_(key.run.slot, false);
    }
}

void Outputs::on_time(Instant now) {
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
        if (entry.is_blocked) blocked.push_back(key);
    }
    for (const Key& key : blocked) {
        Entry& entry = entries_.at(key);
        const auto result = pump(entry, kBudgetPerTurn);
        if (result == capture::Pumped::blocked) continue;
        if (result != capture::Pumped::ended && !watch(key, entry)) continue;
        log::info(fmt::format("{}: takes output again", entry.pump.path()));
        entry.is_blocked = false;
        --blocked_;
        act_on(key, entry, result);
    }
}

std::optional<Instant> Outputs::next_deadline() const {
    return blocked_ == 0 && unopened_.empty() ? std::nullopt : retry_at_;
}

}  // namespace cluster::supervisor
