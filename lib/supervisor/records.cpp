#include "supervisor/records.hpp"

#include <fmt/core.h>

#include <cerrno>
#include <utility>
#include <variant>

#include "base/assert.hpp"
#include "ctl/spec_json.hpp"
#include "sys/failpoint.hpp"
#include "sys/file.hpp"
#include "sys/memory.hpp"

namespace cluster::supervisor {
namespace {

/// HeldKey::index of the [daemon] table; workers have lower ones.
constexpr std::uint16_t kDaemonIndex = 0xFFFF;
constexpr std::size_t kMaxSpecBytes = std::size_t{4} << 20U;

wire::HeldKey spec_key(std::uint16_t index, std::uint64_t revision) {
    return {.kind = wire::HeldKind::spec,
            .index = index,
            .slot = wire::kNoSlot,
            .generation = revision};
}

}  // namespace

Result<std::string> read_held_text(int fd) {
    const auto size = sys::file_size(fd);
    if (!size) return tl::unexpected(size.error());
    if (*size > kMaxSpecBytes) return fail(Op::read, EFBIG);
    std::string text(*size, '\0');
    const auto count = sys::read_at(fd, std::as_writable_bytes(std::span{text}), 0);
    if (!count) return tl::unexpected(count.error());
    if (*count != text.size()) return fail(Op::read, EIO);
    return text;
}

Result<Records> Records::create(KeeperLink& keeper) {
    auto file = StateFile::create();
    if (!file) return tl::unexpected(file.error());
    Records records{keeper, std::move(*file)};
    keeper.hold({.kind = wire::HeldKind::state, .index = 0, .slot = wire::kNoSlot, .generation = 0},
                records.file_.descriptor());
    return records;
}

Result<Records> Records::attach(KeeperLink& keeper, std::vector<HeldDescriptor>& held) {
    sys::UniqueFd state;
    std::map<std::uint32_t, std::map<std::uint64_t, std::string>> texts;
    for (HeldDescriptor& item : held) {
        if (item.key.kind == wire::HeldKind::state) state = std::move(item.fd);
        if (item.key.kind != wire::HeldKind::spec) continue;
        const sys::UniqueFd spec = std::move(item.fd);
        if (auto text = read_held_text(spec.get()))
            texts[item.key.index][item.key.generation] = std::move(*text);
    }
    if (!state.is_open()) return fail(Op::not_held, ENOENT);
    auto file = StateFile::attach(std::move(state));
    if (!file) return tl::unexpected(file.error());
    Records records{keeper, std::move(*file)};
    records.texts_ = std::move(texts);
    records.fleet_ = records.file_.fleet();
    if (records.fleet_.is_populated == 0) {
        // The first start was never finished, and nothing was done by it: it is made anew.
        records.drop_texts();
        return fail(Op::not_held, ENOENT);
    }
    records.restore_daemon();
    return records;
}

void Records::drop_texts() {
    for (const auto& [index, revisions] : texts_) {
        for (const auto& [revision, text] : revisions) {
            keeper_->drop(spec_key(static_cast<std::uint16_t>(index), revision));
        }
    }
    texts_.clear();
}

void Records::restore_daemon() {
    auto& revisions = texts_[kDaemonIndex];
    if (const auto found = revisions.find(fleet_.daemon_revision); found != revisions.end()) {
        daemon_ = parse_daemon(found->second);
    }
}

std::vector<std::string> Records::restore(core::Fleet& fleet) {
    std::vector<std::string> complaints;
    fleet.restore_epoch(Epoch{fleet_.last_epoch});
    std::vector<core::Place> places = file_.places();
    std::map<std::uint32_t, std::set<std::uint64_t>> named;  // revisions, by worker
    for (const core::Place& place : places) named[place.worker].insert(place.revision);
    for (const StateFile::StoredWorker& stored : file_.workers()) {
        auto& revisions = texts_[stored.index];
        const auto text = revisions.find(stored.record.revision);
        if (text == revisions.end()) {
            complaints.push_back(fmt::format("worker {}: its spec is not held", stored.index));
            continue;
        }
        auto spec = ctl::parse_spec(text->second);
        if (!spec) {
            complaints.push_back(fmt::format("worker {}: {}", stored.index, spec.error()));
            continue;
        }
        core::Worker worker;
        worker.spec = std::move(*spec);
        worker.index = stored.index;
        worker.revision = stored.record.revision;
        worker.is_deleted = stored.record.is_deleted != 0;
        worker.older = restore_older(stored.record, stored.index, named[stored.index]);
        held_[stored.index].insert(worker.revision);
        for (const auto& [revision, older] : worker.older) held_[stored.index].insert(revision);
        fleet.restore_worker(std::move(worker));
        workers_[stored.index] = stored.record;
    }
    for (core::Place& place : places) {
        if (!workers_.contains(place.worker)) continue;
        if (const auto& last = place.instance.history.last_exit) {
            // Nothing, if the ring has it: a kill may have come between the two.
            file_.append_exit(place.slot, make_exit(place));
            last_exits_[place.slot] = last->at;
        }
        fleet.restore_place(std::move(place));
    }
    // A spec that no record names was handed over just before a kill, or would have been dropped
    // just after one.
    for (const auto& [index, revisions] : texts_) {
        for (const auto& [revision, text] : revisions) {
            const bool is_used = index == kDaemonIndex ? revision == fleet_.daemon_revision
                                                       : held_[index].count(revision) > 0;
            if (!is_used) keeper_->drop(spec_key(static_cast<std::uint16_t>(index), revision));
        }
    }
    texts_.clear();
    return complaints;
}

/// The specs of runs that are there from before the worker's newest one.
std::map<std::uint64_t, core::WorkerSpec> Records::restore_older(
    const WorkerRecord& record, std::uint32_t index, const std::set<std::uint64_t>& named) {
    std::map<std::uint64_t, core::WorkerSpec> older;
    for (const std::uint64_t revision : named) {
        const auto text = texts_[index].find(revision);
        if (revision == record.revision || text == texts_[index].end()) continue;
        if (auto spec = ctl::parse_spec(text->second)) older.emplace(revision, std::move(*spec));
    }
    return older;
}

void Records::hold_text(std::uint16_t index, std::uint64_t revision, const std::string& text) {
    // Without a spec in custody a successor would lose the worker. Descriptors that are short now
    // are made up for by the spare one; memory that is short is a reason to die and be started
    // again by the keeper, as for any other allocation.
    if (auto file = sys::open_memory_file("clusterd-spec", 0)) {
        hold_file(index, revision, text, *file);
    } else {
        spare_.reset();
        auto second = sys::open_memory_file("clusterd-spec", 0);
        CLUSTER_ASSERT(second.has_value());
        hold_file(index, revision, text, *second);
    }
    if (!spare_.is_open()) spare_ = sys::duplicate(file_.descriptor()).value_or(sys::UniqueFd{});
}

void Records::hold_file(std::uint16_t index, std::uint64_t revision, const std::string& text,
                        const sys::UniqueFd& file) {
    CLUSTER_ASSERT(sys::write_all(file.get(), text).has_value());
    CLUSTER_ASSERT(sys::seal_all(file.get()).has_value());
    keeper_->hold(spec_key(index, revision), file.get());
    sys::pass(Failpoint::spec_held);
}

void Records::store_daemon(DaemonRecord record) {
    daemon_ = std::move(record);
    const std::uint64_t previous = fleet_.daemon_revision;
    hold_text(kDaemonIndex, previous + 1, render_daemon(daemon_));
    fleet_.daemon_revision = previous + 1;
    file_.store_fleet(fleet_);
    sys::pass(Failpoint::daemon_stored);
    if (previous != 0) keeper_->drop(spec_key(kDaemonIndex, previous));
}

void Records::store_shutdown() {
    fleet_.is_shutting_down = 1;
    file_.store_fleet(fleet_);
    sys::pass(Failpoint::shutdown_stored);
}

Records::Changes Records::store_changes(core::Fleet& fleet,
                                        const std::function<void(Slot)>& before_forgotten) {
    Changes changes;
    // First: an operation must never be numbered twice, whatever of it gets stored before a kill.
    if (fleet.last_epoch().value != fleet_.last_epoch) {
        fleet_.last_epoch = fleet.last_epoch().value;
        file_.store_fleet(fleet_);
    }
    const std::vector<std::uint32_t> workers = fleet.take_dirty_workers();
    changes.has_workers = !workers.empty();
    for (const std::uint32_t index : workers) {
        if (fleet.worker(index) != nullptr) store_worker(fleet, index);
    }
    changes.slots = fleet.take_dirty_slots();
    for (const Slot slot : changes.slots) {
        if (fleet.find(slot) == nullptr) before_forgotten(slot);
        store_place(fleet, slot, changes);
    }
    for (const std::uint32_t index : workers) {
        if (const core::Worker* const worker = fleet.worker(index)) {
            drop_unnamed(*worker);
        } else {
            store_worker(fleet, index);  // not before its last place: nobody clears those later
        }
    }
    if (fleet_.is_populated == 0) {
        fleet_.is_populated = 1;
        file_.store_fleet(fleet_);
        sys::pass(Failpoint::fleet_populated);
    }
    return changes;
}

void Records::store_worker(const core::Fleet& fleet, std::uint32_t index) {
    const auto stored = workers_.find(index);
    const core::Worker* worker = fleet.worker(index);
    const auto key_index = static_cast<std::uint16_t>(index);
    if (worker == nullptr) {
        if (stored == workers_.end()) return;
        file_.store_worker(index, WorkerRecord{});
        for (const std::uint64_t revision : held_[index]) {
            keeper_->drop(spec_key(key_index, revision));
        }
        held_.erase(index);
        workers_.erase(stored);
        return;
    }
    WorkerRecord record{.is_used = 1,
                        .is_deleted = worker->is_deleted ? 1U : 0U,
                        .revision = worker->revision,
                        .order = 0,
                        .reserved = 0};
    record.order = stored == workers_.end() ? fleet_.next_order++ : stored->second.order;
    if (held_[index].insert(worker->revision).second) {
        hold_text(key_index, worker->revision, ctl::render_spec(worker->spec));
    }
    for (const auto& [revision, older] : worker->older) {
        if (!held_[index].insert(revision).second) continue;
        hold_text(key_index, revision, ctl::render_spec(older));
    }
    file_.store_worker(index, record);
    file_.store_fleet(fleet_);
    workers_[index] = record;
}

/// After the places of the same turn were stored: until then they may still name what goes.
void Records::drop_unnamed(const core::Worker& worker) {
    std::set<std::uint64_t>& held = held_[worker.index];
    for (auto revision = held.begin(); revision != held.end();) {
        if (*revision == worker.revision || worker.older.count(*revision) > 0) {
            ++revision;
            continue;
        }
        keeper_->drop(spec_key(static_cast<std::uint16_t>(worker.index), *revision));
        revision = held.erase(revision);
    }
}

void Records::store_place(const core::Fleet& fleet, Slot slot, Changes& changes) {
    const core::Place* place = fleet.find(slot);
    const bool has_ended = place != nullptr && place->instance.history.last_exit.has_value();
    // Another instance may have taken the slot in the same turn. Before the record: as long as it
    // knows of an exit, a successor looks for more.
    if (!has_ended && last_exits_.erase(slot) > 0) file_.clear_exits(slot);
    file_.store_place(slot, place == nullptr ? StoredPlace{} : encode_place(*place));
    if (!has_ended) return;
    const Instant at = place->instance.history.last_exit->at;
    const auto known = last_exits_.find(slot);
    if (known != last_exits_.end() && known->second == at) return;
    const ExitEntry entry = make_exit(*place);
    file_.append_exit(slot, entry);
    last_exits_[slot] = at;
    changes.exits.push_back({slot, entry});
}

/// Requires: the place knows of an exit, and its run has not been released yet.
ExitEntry Records::make_exit(const core::Place& place) const {
    const core::LastExit& last = *place.instance.history.last_exit;
    ExitEntry entry{};
    entry.at_ns = to_ns(last.at);
    entry.uptime_ns = -1;
    entry.value = last.status.value;
    entry.op = static_cast<std::int32_t>(last.status.op);
    entry.kind = static_cast<std::uint8_t>(last.status.kind);
    entry.reason = static_cast<std::uint8_t>(last.reason);
    entry.dumped = last.status.dumped_core ? 1 : 0;
    // The next run may have been decided in the same turn.
    const bool is_next_named = std::holds_alternative<core::Starting>(place.instance.state);
    entry.generation = place.instance.generation.value - (is_next_named ? 1 : 0);
    const auto record = keeper_->slot(place.slot);
    const bool is_of_this_run = record && record->generation == entry.generation &&
                                record->state == wire::SlotState::exited && record->failed_op == 0;
    if (is_of_this_run) {
        entry.pid = record->pid;
        entry.uptime_ns = record->exited_ns - record->spawned_ns;
    }
    return entry;
}

std::vector<ExitEntry> Records::exits(Slot slot) const {
    return last_exits_.contains(slot) ? file_.exits(slot) : std::vector<ExitEntry>{};
}

}  // namespace cluster::supervisor
