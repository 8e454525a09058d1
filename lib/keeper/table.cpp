#include "keeper/table.hpp"

#include <algorithm>
#include <cerrno>

#include "base/assert.hpp"

namespace cluster::keeper {

using wire::SlotRecord;
using wire::SlotState;
using wire::SlotWrite;

namespace {

std::uint64_t hash_of_pid(std::int32_t pid) {
    return static_cast<std::uint64_t>(pid);
}

/// A record of a run that has not begun: everything of the slot's last run is gone but the lock
/// word.
void begin_record(SlotRecord& record, Run run, Epoch epoch, Instant now, std::uint64_t ticks) {
    const SlotWrite write(record);
    const std::uint32_t sequence = record.sequence;
    record = SlotRecord{};
    record.sequence = sequence;
    record.state = SlotState::intent;
    record.generation = run.generation.value;
    record.epoch = epoch.value;
    record.spawned_ns = to_ns(now);
    record.start_ticks = ticks;
}

}  // namespace

SlotTable::SlotTable(wire::Table& shared) : shared_(shared) {
    lingering_.reserve(wire::kMaxSlots);
    wire::TableHeader& header = shared_.header;
    header.magic = wire::kTableMagic;
    header.version = wire::kTableVersion;
    header.header_bytes = sizeof(wire::TableHeader);
    header.slot_record_bytes = sizeof(wire::SlotRecord);
    header.held_record_bytes = sizeof(wire::HeldRecord);
    header.max_slots = wire::kMaxSlots;
    header.max_held = wire::kMaxHeld;
}

void SlotTable::resume(const wire::Table& old) {
    shared_.header.slots_used = std::min(old.header.slots_used, wire::kMaxSlots);
    for (std::uint32_t i = 0; i < shared_.header.slots_used; ++i) {
        SlotRecord& record = shared_.slots[i];
        record = old.slots[i];
        record.sequence = 0;
        const bool is_of_nobody = record.state == SlotState::running && record.pid <= 0;
        const bool is_readable = record.state <= SlotState::exited && record.generation != 0;
        if (!is_readable || is_of_nobody) record = SlotRecord{};
        switch (record.state) {
            case SlotState::free:
                break;
            case SlotState::running:
                leaders_.insert(i, hash_of_pid(record.pid));
                [[fallthrough]];
            case SlotState::intent:
                ++live_count_;
                break;
            case SlotState::exited:
                if (record.group_alive != 0) lingering_.push_back(Slot{i});
                break;
        }
    }
}

Result<SlotTable::Admission> SlotTable::admit(Run run) const {
    if (run.slot.value >= wire::kMaxSlots || run.generation.value == 0) {
        return fail(Op::message, EINVAL);
    }
    const SlotRecord& known = record(run.slot);
    if (known.state != SlotState::free) {
        if (known.generation == run.generation.value) return Admission::known;
        return fail(Op::table_full, EEXIST);
    }
    if (run.generation.value <= known.generation) return fail(Op::message, EEXIST);
    return Admission::fresh;
}

std::int32_t* SlotTable::begin_spawn(Run run, Epoch epoch, Instant now, std::uint64_t ticks) {
    const auto admission = admit(run);
    CLUSTER_ASSERT(admission && *admission == Admission::fresh);
    SlotRecord& record = shared_.slots[run.slot.value];
    begin_record(record, run, epoch, now, ticks);
    ++live_count_;
    shared_.header.slots_used = std::max(shared_.header.slots_used, run.slot.value + 1);
    return &record.pid;
}

void SlotTable::note_running(Slot slot, std::uint64_t start_ticks) {
    SlotRecord& record = shared_.slots[slot.value];
    CLUSTER_ASSERT(record.state == SlotState::intent && record.pid > 0);
    {
        const SlotWrite write(record);
        write->state = SlotState::running;
        write->start_ticks = start_ticks;
    }
    leaders_.insert(slot.value, hash_of_pid(record.pid));
}

void SlotTable::note_signal(Slot slot, int signal) {
    const SlotWrite write(shared_.slots[slot.value]);
    write->last_signal = signal;
}

void SlotTable::note_failed(Slot slot, const sys::SpawnFailure& failure, Instant now) {
    SlotRecord& record = shared_.slots[slot.value];
    CLUSTER_ASSERT(record.state == SlotState::intent);
    const SlotWrite write(record);
    write->state = SlotState::exited;
    write->pid = 0;  // the child, if there was one, is reaped: its number may belong to anybody
    write->exited_ns = to_ns(now);
    write->failed_op = static_cast<std::int32_t>(failure.op);
    write->failed_code = failure.code;
    write->failed_op_index = static_cast<std::uint32_t>(failure.op_index);
    --live_count_;
}

std::optional<Slot> SlotTable::find_leader(std::int32_t pid) const {
    const auto found = leaders_.find(
        hash_of_pid(pid), [&](std::uint32_t slot) { return shared_.slots[slot].pid == pid; });
    if (!found) return std::nullopt;
    return Slot{*found};
}

void SlotTable::note_not_begun(Slot slot) {
    SlotRecord& record = shared_.slots[slot.value];
    CLUSTER_ASSERT(record.state == SlotState::intent && record.pid == 0);
    const SlotWrite write(record);
    write->state = SlotState::free;
    --write->generation;  // so that the run may still be spawned
    --live_count_;
}

void SlotTable::note_foreign(Slot slot) {
    const SlotRecord& record = shared_.slots[slot.value];
    CLUSTER_ASSERT(record.state == SlotState::running);
    leaders_.remove(slot.value, hash_of_pid(record.pid));
}

void SlotTable::note_exited(Slot slot, const sys::Reaped& exit, bool is_group_alive, Instant now) {
    SlotRecord& record = shared_.slots[slot.value];
    CLUSTER_ASSERT(record.state == SlotState::running);
    leaders_.remove(slot.value, hash_of_pid(record.pid));
    --live_count_;
    const SlotWrite write(record);
    write->state = SlotState::exited;
    write->exited_ns = to_ns(now);
    write->exit_code = exit.code;
    write->exit_status = exit.status;
    write->user_us = exit.user_us;
    write->system_us = exit.system_us;
    write->max_rss_kib = exit.max_rss_kib;
    write->group_alive = is_group_alive ? 1 : 0;
    if (is_group_alive) lingering_.push_back(slot);
}

void SlotTable::note_group_gone(Slot slot) {
    const auto found = std::find(lingering_.begin(), lingering_.end(), slot);
    if (found == lingering_.end()) return;
    *found = lingering_.back();
    lingering_.pop_back();
    const SlotWrite write(shared_.slots[slot.value]);
    write->group_alive = 0;
}

Status SlotTable::release(Run run) {
    const SlotRecord* known = find(run);
    if (known == nullptr) return fail(Op::message, ESRCH);
    if (known->state == SlotState::free) return {};
    if (known->state != SlotState::exited) return fail(Op::message, EBUSY);
    note_group_gone(run.slot);
    const SlotWrite write(shared_.slots[run.slot.value]);
    write->state = SlotState::free;
    return {};
}

const SlotRecord* SlotTable::find(Run run) const {
    if (run.slot.value >= wire::kMaxSlots || run.generation.value == 0) return nullptr;
    const SlotRecord& known = record(run.slot);
    return known.generation == run.generation.value ? &known : nullptr;
}

}  // namespace cluster::keeper
