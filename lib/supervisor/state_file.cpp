#include "supervisor/state_file.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <span>
#include <utility>
#include <variant>

#include "base/overloaded.hpp"
#include "supervisor/checksum.hpp"
#include "sys/failpoint.hpp"
#include "sys/file.hpp"

namespace cluster::supervisor {
namespace {

constexpr auto kLastReason = static_cast<std::uint8_t>(core::ExitReason::channel);

template <class Payload>
std::uint64_t checksum_of(std::uint64_t sequence, const Payload& payload) {
    static_assert(sizeof(Payload) % sizeof(std::uint64_t) == 0);
    return checksum(sequence, std::as_bytes(std::span{&payload, 1}));
}

template <class Payload>
bool is_whole(const Half<Payload>& half) {
    return half.sequence != 0 && half.checksum == checksum_of(half.sequence, half.payload);
}

/// Which half counts: -1 when none does.
template <class Payload>
int newest(const Record<Payload>& record) {
    const bool first = is_whole(record.halves[0]);
    const bool second = is_whole(record.halves[1]);
    if (first && second) return record.halves[0].sequence > record.halves[1].sequence ? 0 : 1;
    if (first) return 0;
    return second ? 1 : -1;
}

template <class Payload>
std::optional<Payload> load(const Record<Payload>& record) {
    const int half = newest(record);
    if (half < 0) return std::nullopt;
    return record.halves[half].payload;
}

template <class Payload>
void write(Half<Payload>& half, std::uint64_t sequence, const Payload& payload) {
    half.payload = payload;
    sys::pass(Failpoint::record_torn);
    half.checksum = checksum_of(sequence, payload);
    half.sequence = sequence;
    // The half must be whole before the action that follows from it, or the record that names it: a
    // kill keeps program order, so keeping the compiler from moving the stores is enough.
    std::atomic_signal_fence(std::memory_order_seq_cst);
}

template <class Payload>
void store(Record<Payload>& record, const Payload& payload) {
    const int current = newest(record);
    const std::uint64_t sequence = current < 0 ? 1 : record.halves[current].sequence + 1;
    write(record.halves[current < 0 ? 0 : 1 - current], sequence, payload);
}

/// The half that a place's record names; null: it names none, or (of a broken predecessor) one that
/// is not there.
const Half<HistoryRecord>* named(const Record<HistoryRecord>& record, std::uint64_t sequence) {
    if (sequence == 0) return nullptr;  // not even a look: it would cost memory
    const auto is_named = [&](const Half<HistoryRecord>& half) {
        return half.sequence == sequence && is_whole(half);
    };
    const auto* const found =
        std::find_if(std::begin(record.halves), std::end(record.halves), is_named);
    return found == std::end(record.halves) ? nullptr : found;
}

/// Into the half that the place's record does not name: that one counts on until the record names
/// another. Returns what the record is to name.
std::uint64_t store_history(Record<HistoryRecord>& record, std::uint64_t sequence,
                            const HistoryRecord& history) {
    if (history == HistoryRecord{}) return 0;
    auto& [first, second] = record.halves;
    const Half<HistoryRecord>* const current = named(record, sequence);
    if (current != nullptr && current->payload == history) return sequence;
    // Above both, whole or not: no two histories of a slot ever have the same one.
    const std::uint64_t next = std::max(first.sequence, second.sequence) + 1;
    write(current == &first ? second : first, next, history);
    return next;
}

/// Instants are stored as nanoseconds; 0 stands for none.
std::int64_t ns_or_zero(const std::optional<Instant>& instant) {
    return instant ? to_ns(*instant) : 0;
}

void encode_state(const core::State& state, PlaceRecord& record) {
    record.state = static_cast<std::uint8_t>(state.index());
    std::visit(Overloaded{[](const core::Stopped&) {}, [](const core::Exited&) {},
                          [](const core::Fatal&) {},
                          [&](const core::Starting& s) { record.since_ns = to_ns(s.since); },
                          [&](const core::Running& s) {
                              record.since_ns = to_ns(s.since);
                              record.ready_ns = ns_or_zero(s.ready_at);
                              record.deadline_ns = ns_or_zero(s.limit);
                              record.flags[0] = s.is_good ? 1 : 0;
                              record.flags[1] = s.is_leaving ? 1 : 0;
                              record.flags[2] = s.is_reloading ? 1 : 0;
                          },
                          [&](const core::Waiting& s) {
                              record.since_ns = to_ns(s.since);
                              record.flags[0] = s.is_automatic ? 1 : 0;
                          },
                          [&](const core::BackingOff& s) {
                              record.deadline_ns = to_ns(s.until);
                              record.flags[0] = s.is_limited ? 1 : 0;
                          },
                          [&](const core::Stopping& s) {
                              record.since_ns = to_ns(s.since);
                              record.deadline_ns = to_ns(s.kill_at);
                              record.flags[0] = static_cast<std::uint8_t>(s.reason);
                              record.flags[1] = s.leader_gone ? 1 : 0;
                              record.flags[2] = s.kill_sent ? 1 : 0;
                              record.flags[3] = s.is_failure ? 1 : 0;
                          }},
               state);
}

std::optional<core::State> decode_state(const PlaceRecord& record) {
    const Instant since = from_ns(record.since_ns);
    const Instant deadline = from_ns(record.deadline_ns);
    switch (record.state) {
        case 0:
            return core::Stopped{};
        case 1:
            return core::Starting{.since = since};
        case 2: {
            core::Running running{.since = since,
                                  .ready_at = std::nullopt,
                                  .is_good = record.flags[0] != 0,
                                  .is_leaving = record.flags[1] != 0,
                                  .limit = std::nullopt,
                                  .is_reloading = record.flags[2] != 0};
            if (record.deadline_ns != 0) running.limit = deadline;
            if (record.ready_ns != 0) running.ready_at = from_ns(record.ready_ns);
            return running;
        }
        case 3:
            return core::BackingOff{.until = deadline, .is_limited = record.flags[0] != 0};
        case 4:
            if (record.flags[0] > kLastReason) return std::nullopt;
            return core::Stopping{.since = since,
                                  .kill_at = deadline,
                                  .reason = static_cast<core::ExitReason>(record.flags[0]),
                                  .leader_gone = record.flags[1] != 0,
                                  .kill_sent = record.flags[2] != 0,
                                  .is_failure = record.flags[3] != 0};
        case 5:
            return core::Exited{};
        case 6:
            return core::Fatal{};
        case 7:
            return core::Waiting{.since = since, .is_automatic = record.flags[0] != 0};
        default:
            return std::nullopt;
    }
}
static_assert(std::is_same_v<std::variant_alternative_t<4, core::State>, core::Stopping>);
static_assert(std::is_same_v<std::variant_alternative_t<7, core::State>, core::Waiting>);
static_assert(std::variant_size_v<core::State> == 8);

void encode_history(const core::History& history, StoredPlace& stored) {
    PlaceRecord& record = stored.record;
    record.restarts = history.restarts;
    record.failures_in_row = history.failures_in_row;
    record.restart_count = history.restart_count;
    std::transform(history.restart_times.begin(), history.restart_times.end(),
                   std::begin(stored.history.restart_ns),
                   [](Instant instant) { return to_ns(instant); });
    if (!history.last_exit) return;
    const core::LastExit& last = *history.last_exit;
    record.exit_is_known = 1;
    record.exit_kind = static_cast<std::uint8_t>(last.status.kind);
    record.exit_reason = static_cast<std::uint8_t>(last.reason);
    record.exit_dumped = last.status.dumped_core ? 1 : 0;
    record.exit_value = last.status.value;
    record.exit_op = static_cast<std::int32_t>(last.status.op);
    record.exit_ns = to_ns(last.at);
}

std::optional<core::History> decode_history(const StoredPlace& stored) {
    const PlaceRecord& record = stored.record;
    core::History history;
    history.restarts = record.restarts;
    history.failures_in_row = record.failures_in_row;
    history.restart_count = record.restart_count;
    const auto& times = stored.history.restart_ns;
    const auto known = std::min<std::size_t>(record.restart_count, std::size(times));
    std::transform(times, times + known, std::back_inserter(history.restart_times),
                   [](std::int64_t ns) { return from_ns(ns); });
    if (record.exit_is_known == 0) return history;
    if (record.exit_kind > static_cast<std::uint8_t>(core::ExitStatus::Kind::unknown) ||
        record.exit_reason > kLastReason) {
        return std::nullopt;
    }
    history.last_exit =
        core::LastExit{.status = {.kind = static_cast<core::ExitStatus::Kind>(record.exit_kind),
                                  .value = record.exit_value,
                                  .op = static_cast<Op>(record.exit_op),
                                  .dumped_core = record.exit_dumped != 0},
                       .reason = static_cast<core::ExitReason>(record.exit_reason),
                       .at = from_ns(record.exit_ns)};
    return history;
}

ReloadRecord encode_reload(const core::Reload& reload) {
    ReloadRecord record{};
    record.epoch = reload.epoch.value;
    record.next = reload.next.value;
    record.former = reload.former.value;
    record.generation = reload.generation.value;
    record.since_ns = to_ns(reload.since);
    record.phase = static_cast<std::uint8_t>(reload.phase);
    record.outcome = static_cast<std::uint8_t>(reload.outcome);
    record.former_outcome = static_cast<std::uint8_t>(reload.former_outcome);
    if (!reload.exit) return record;
    record.exit_is_known = 1;
    record.exit_kind = static_cast<std::uint8_t>(reload.exit->status.kind);
    record.exit_reason = static_cast<std::uint8_t>(reload.exit->reason);
    record.exit_dumped = reload.exit->status.dumped_core ? 1 : 0;
    record.exit_value = reload.exit->status.value;
    record.exit_op = static_cast<std::int32_t>(reload.exit->status.op);
    record.exit_ns = to_ns(reload.exit->at);
    return record;
}

std::optional<core::Reload> decode_reload(const ReloadRecord& record) {
    constexpr auto kLastOutcome = static_cast<std::uint8_t>(core::Outcome::failed);
    if (record.phase > static_cast<std::uint8_t>(core::ReloadPhase::signalled) ||
        record.outcome > kLastOutcome || record.former_outcome > kLastOutcome ||
        record.exit_kind > static_cast<std::uint8_t>(core::ExitStatus::Kind::unknown) ||
        record.exit_reason > kLastReason) {
        return std::nullopt;
    }
    core::Reload reload;
    reload.epoch = Epoch{record.epoch};
    reload.next = Epoch{record.next};
    reload.former = Epoch{record.former};
    reload.generation = Generation{record.generation};
    reload.since = from_ns(record.since_ns);
    reload.phase = static_cast<core::ReloadPhase>(record.phase);
    reload.outcome = static_cast<core::Outcome>(record.outcome);
    reload.former_outcome = static_cast<core::Outcome>(record.former_outcome);
    if (record.exit_is_known == 0) return reload;
    reload.exit =
        core::LastExit{.status = {.kind = static_cast<core::ExitStatus::Kind>(record.exit_kind),
                                  .value = record.exit_value,
                                  .op = static_cast<Op>(record.exit_op),
                                  .dumped_core = record.exit_dumped != 0},
                       .reason = static_cast<core::ExitReason>(record.exit_reason),
                       .at = from_ns(record.exit_ns)};
    return reload;
}

}  // namespace

StoredPlace encode_place(const core::Place& place) {
    StoredPlace stored;
    PlaceRecord& record = stored.record;
    record.is_used = 1;
    record.worker = place.worker;
    record.number = place.number;
    record.role = static_cast<std::uint8_t>(place.role);
    record.revision = place.revision;
    record.desired = static_cast<std::uint8_t>(place.instance.desired);
    record.outcome = static_cast<std::uint8_t>(place.instance.outcome);
    record.epoch = place.instance.epoch.value;
    record.generation = place.instance.generation.value;
    record.hold = static_cast<std::uint8_t>(place.instance.hold);
    encode_state(place.instance.state, record);
    encode_history(place.instance.history, stored);
    stored.history.reload = encode_reload(place.reload);
    return stored;
}

std::optional<core::Place> decode_place(const StoredPlace& stored, Slot slot) {
    const PlaceRecord& record = stored.record;
    const auto state = decode_state(record);
    const auto history = decode_history(stored);
    const auto reload = decode_reload(stored.history.reload);
    if (!state || !history || !reload || record.worker >= kMaxWorkers ||
        record.number >= core::kMaxInstancesPerWorker ||
        record.role > static_cast<std::uint8_t>(core::Role::incoming) ||
        record.desired > static_cast<std::uint8_t>(core::Desired::up) ||
        record.outcome > static_cast<std::uint8_t>(core::Outcome::failed) ||
        record.hold > static_cast<std::uint8_t>(core::Hold::restart)) {
        return std::nullopt;
    }
    core::Place place;
    place.worker = record.worker;
    place.number = record.number;
    place.slot = slot;
    place.role = static_cast<core::Role>(record.role);
    place.revision = record.revision;
    place.reload = *reload;
    place.instance.state = *state;
    place.instance.desired = static_cast<core::Desired>(record.desired);
    place.instance.epoch = Epoch{record.epoch};
    place.instance.generation = Generation{record.generation};
    place.instance.outcome = static_cast<core::Outcome>(record.outcome);
    place.instance.hold = static_cast<core::Hold>(record.hold);
    place.instance.history = *history;
    return place;
}

StateFile::StateFile(sys::UniqueFd file, sys::Mapping mapping)
    : file_(std::move(file)), mapping_(std::move(mapping)) {}

Result<StateFile> StateFile::create() {
    auto file = sys::open_memory_file("clusterd-state", sizeof(StateLayout));
    if (!file) return tl::unexpected(file.error());
    if (auto sealed = sys::seal_size(file->get()); !sealed) return tl::unexpected(sealed.error());
    auto mapping = sys::map_shared(file->get(), sizeof(StateLayout), true);
    if (!mapping) return tl::unexpected(mapping.error());
    StateFile state{std::move(*file), std::move(*mapping)};
    StateHeader& header = state.layout().header;
    header.version = kStateVersion;
    header.header_bytes = sizeof(StateHeader);
    header.worker_record_bytes = sizeof(Record<WorkerRecord>);
    header.place_record_bytes = sizeof(Record<PlaceRecord>);
    header.max_workers = kMaxWorkers;
    header.max_places = kMaxPlaces;
    header.exit_ring_bytes = sizeof(ExitRing);
    header.history_record_bytes = sizeof(Record<HistoryRecord>);
    header.magic = kStateMagic;
    return state;
}

Result<StateFile> StateFile::attach(sys::UniqueFd file) {
    const auto size = sys::file_size(file.get());
    if (!size) return tl::unexpected(size.error());
    if (*size != sizeof(StateLayout)) return fail(Op::map, EPROTO);
    auto mapping = sys::map_shared(file.get(), sizeof(StateLayout), true);
    if (!mapping) return tl::unexpected(mapping.error());
    const StateHeader& header = mapping->as<StateLayout>()->header;
    const bool is_ours = header.magic == kStateMagic && header.version == kStateVersion &&
                         header.worker_record_bytes == sizeof(Record<WorkerRecord>) &&
                         header.place_record_bytes == sizeof(Record<PlaceRecord>) &&
                         header.exit_ring_bytes == sizeof(ExitRing) &&
                         header.history_record_bytes == sizeof(Record<HistoryRecord>) &&
                         header.max_workers == kMaxWorkers && header.max_places == kMaxPlaces;
    if (!is_ours) return fail(Op::map, EPROTO);
    return StateFile{std::move(file), std::move(*mapping)};
}

FleetRecord StateFile::fleet() const {
    return load(layout().fleet).value_or(FleetRecord{});
}

void StateFile::store_fleet(const FleetRecord& record) {
    store(layout().fleet, record);
}

void StateFile::store_worker(std::uint32_t index, const WorkerRecord& record) {
    if (index >= kMaxWorkers) return;
    layout().header.workers_used = std::max(layout().header.workers_used, index + 1);
    store(layout().workers[index], record);
}

void StateFile::store_place(Slot slot, const StoredPlace& place) {
    if (slot.value >= kMaxPlaces) return;
    layout().header.places_used = std::max(layout().header.places_used, slot.value + 1);
    Record<PlaceRecord>& record = layout().places[slot.value];
    const std::uint64_t former = load(record).value_or(PlaceRecord{}).history;
    PlaceRecord next = place.record;
    next.history = store_history(layout().histories[slot.value], former, place.history);
    store(record, next);
}

void StateFile::append_exit(Slot slot, const ExitEntry& entry) {
    if (slot.value < kMaxPlaces) supervisor::append_exit(layout().exits[slot.value], entry);
}

void StateFile::clear_exits(Slot slot) {
    if (slot.value < kMaxPlaces) supervisor::clear_exits(layout().exits[slot.value]);
}

std::vector<ExitEntry> StateFile::exits(Slot slot) const {
    if (slot.value >= kMaxPlaces) return {};
    return read_exits(layout().exits[slot.value]);
}

std::vector<StateFile::StoredWorker> StateFile::workers() const {
    std::vector<StoredWorker> found;
    const std::uint32_t used = std::min(layout().header.workers_used, kMaxWorkers);
    for (std::uint32_t index = 0; index < used; ++index) {
        const auto record = load(layout().workers[index]);
        if (record && record->is_used != 0) found.push_back({index, *record});
    }
    std::sort(found.begin(), found.end(), [](const StoredWorker& a, const StoredWorker& b) {
        return a.record.order < b.record.order;
    });
    return found;
}

std::vector<core::Place> StateFile::places() const {
    std::vector<core::Place> found;
    const std::uint32_t used = std::min(layout().header.places_used, kMaxPlaces);
    for (std::uint32_t slot = 0; slot < used; ++slot) {
        const auto record = load(layout().places[slot]);
        if (!record || record->is_used == 0) continue;
        const auto* const history = named(layout().histories[slot], record->history);
        StoredPlace stored{.record = *record, .history = {}};
        if (history != nullptr) stored.history = history->payload;
        if (auto place = decode_place(stored, Slot{slot})) found.push_back(std::move(*place));
    }
    return found;
}

}  // namespace cluster::supervisor
