#include "supervisor/outputs.hpp"

#include <fmt/core.h>

#include <cstring>
#include <utility>
#include <vector>

#include "supervisor/log.hpp"

namespace cluster::supervisor {

wire::HeldKey held_key(Run run, Stream stream) {
    const auto kind =
        stream == Stream::output ? wire::HeldKind::output : wire::HeldKind::error_output;
    return {.kind = kind, .index = 0, .slot = run.slot.value, .generation = run.generation.value};
}

Outputs::Outputs(ev::Loop& loop, KeeperLink& keeper, Logs& logs, SlotChange on_slot_change)
    : loop_(loop), keeper_(keeper), logs_(logs), on_slot_change_(std::move(on_slot_change)) {}

Status Outputs::open(Run run, Stream stream, sys::UniqueFd pipe, const std::string& path,
                     const core::LogSpec& spec) {
    auto log = logs_.open(path, spec);
    if (!log) return tl::unexpected(log.error());
    capture::Pump pump{std::move(pipe), std::move(*log)};
    const Key key{run, stream};
    const auto [position, is_new] =
        entries_.try_emplace(key, Entry{.pump = std::move(pump), .watch = {}, .is_blocked = false});
    if (!is_new) return {};
    if (auto watched = watch(key, position->second); !watched) {
        entries_.erase(position);
        return watched;
    }
    if (++open_per_slot_[run.slot] == 1) on_slot_change_(run.slot, true);
    return {};
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
        if (moved >= budget) return capture::Pumped::more;
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
    entries_.erase(found);
    keeper_.drop(held_key(key.run, key.stream));
    const auto count = open_per_slot_.find(key.run.slot);
    if (--count->second == 0) {
        open_per_slot_.erase(count);
        on_slot_change_(key.run.slot, false);
    }
}

void Outputs::on_time(Instant now) {
    if (blocked_ == 0) {
        retry_at_.reset();
        return;
    }
    if (!retry_at_) retry_at_ = now + kRetryInterval;
    if (now < *retry_at_) return;
    retry_at_ = now + kRetryInterval;
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
    return blocked_ == 0 ? std::nullopt : retry_at_;
}

}  // namespace cluster::supervisor
