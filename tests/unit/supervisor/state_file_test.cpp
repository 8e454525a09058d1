#include "supervisor/state_file.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <cstring>
#include <utility>
#include <vector>

#include "base/prng.hpp"
#include "sys/file.hpp"
#include "sys/memory.hpp"

using namespace std::chrono_literals;
using cluster::Epoch;
using cluster::Generation;
using cluster::Instant;
using cluster::Op;
using cluster::Slot;
namespace core = cluster::core;
namespace sup = cluster::supervisor;

namespace {

core::Place place_in(core::State state) {
    core::Place place;
    place.worker = 3;
    place.number = 7;
    place.slot = Slot{11};
    place.role = core::Role::retired;
    place.revision = 41;
    place.reload.phase = core::ReloadPhase::signalled;
    place.reload.outcome = core::Outcome::pending;
    place.reload.epoch = Epoch{98};
    place.reload.next = Epoch{99};
    place.reload.former = Epoch{97};
    place.reload.former_outcome = core::Outcome::failed;
    place.reload.since = Instant{12s};
    place.reload.generation = Generation{17};
    place.reload.exit = core::LastExit{.status = {.kind = core::ExitStatus::Kind::signal,
                                                  .value = 11,
                                                  .op = Op::none,
                                                  .dumped_core = true},
                                       .reason = core::ExitReason::exited,
                                       .at = Instant{78s}};
    place.instance.state = std::move(state);
    place.instance.desired = core::Desired::up;
    place.instance.epoch = Epoch{99};
    place.instance.generation = Generation{1234567890123};
    place.instance.outcome = core::Outcome::failed;
    place.instance.hold = core::Hold::restart;
    place.instance.history.restarts = 5;
    place.instance.history.failures_in_row = 4;
    place.instance.history.restart_count = 33;
    for (std::uint32_t i = 0; i < core::kMaxRestartLimitCount; ++i) {
        place.instance.history.restart_times.push_back(Instant{std::chrono::seconds{i + 1}});
    }
    place.instance.history.last_exit =
        core::LastExit{.status = {.kind = core::ExitStatus::Kind::spawn_failed,
                                  .value = 13,
                                  .op = Op::exec,
                                  .dumped_core = false},
                       .reason = core::ExitReason::spawn_failed,
                       .at = Instant{77s}};
    return place;
}

std::vector<core::State> every_state() {
    const Instant at{5s};
    return {core::Stopped{},
            core::Starting{.since = at},
            core::Running{.since = at, .ready_at = std::nullopt, .is_good = false},
            core::Running{.since = at, .ready_at = Instant{6s}, .is_good = true},
            core::Running{.since = at,
                          .ready_at = Instant{6s},
                          .is_good = true,
                          .is_leaving = true,
                          .limit = Instant{7s}},
            core::Waiting{.since = at, .is_automatic = true},
            core::BackingOff{.until = at, .is_limited = true},
            core::Stopping{.since = at,
                           .kill_at = Instant{9s},
                           .reason = core::ExitReason::start_timeout,
                           .leader_gone = true,
                           .kill_sent = true,
                           .is_failure = true},
            core::Exited{},
            core::Fatal{}};
}

bool is_same(const core::Place& a, const core::Place& b) {
    return a.worker == b.worker && a.number == b.number && a.slot == b.slot && a.role == b.role &&
           a.revision == b.revision && a.reload == b.reload && a.instance == b.instance;
}

/// The bytes of the file as a second attachment sees them.
cluster::sys::Mapping second_look(const sup::StateFile& file) {
    auto mapping = cluster::sys::map_shared(file.descriptor(), sizeof(sup::StateLayout), true);
    REQUIRE(mapping);
    return std::move(*mapping);
}

}  // namespace

TEST_CASE("supervisor/state: a place comes back as it was, in every state") {
    for (const core::State& state : every_state()) {
        const core::Place place = place_in(state);
        const auto decoded = sup::decode_place(sup::encode_place(place), place.slot);
        REQUIRE(decoded);
        CHECK(is_same(*decoded, place));
    }
}

TEST_CASE("supervisor/state: a successor finds what was stored, workers in order of creation") {
    auto file = sup::StateFile::create();
    REQUIRE(file);
    file->store_fleet({.last_epoch = 8,
                       .next_order = 3,
                       .daemon_revision = 2,
                       .is_shutting_down = 1,
                       .is_populated = 1});
    file->store_worker(5,
                       {.is_used = 1, .is_deleted = 0, .revision = 1, .order = 2, .reserved = 0});
    file->store_worker(9,
                       {.is_used = 1, .is_deleted = 1, .revision = 4, .order = 1, .reserved = 0});
    file->store_worker(2,
                       {.is_used = 1, .is_deleted = 0, .revision = 4, .order = 3, .reserved = 0});
    file->store_worker(2, {});
    const core::Place place = place_in(core::Starting{.since = Instant{1s}});
    file->store_place(place.slot, sup::encode_place(place));

    auto duplicate = cluster::sys::duplicate(file->descriptor());
    REQUIRE(duplicate);
    const auto successor = sup::StateFile::attach(std::move(*duplicate));
    REQUIRE(successor);
    CHECK(successor->fleet().last_epoch == 8);
    CHECK(successor->fleet().is_shutting_down == 1);
    const auto workers = successor->workers();
    REQUIRE(workers.size() == 2);
    CHECK(workers[0].index == 9);
    CHECK(workers[1].index == 5);
    const auto places = successor->places();
    REQUIRE(places.size() == 1);
    CHECK(is_same(places[0], place));
}

/// A kill leaves a prefix of the bytes of a half in the order in which they are written: payload,
/// checksum, sequence.
template <class Payload>
void add_in_order_of_writing(std::vector<std::pair<std::byte*, std::byte>>& steps,
                             sup::Half<Payload>& half, const sup::Half<Payload>& whole) {
    auto* to = reinterpret_cast<std::byte*>(&half);
    const auto* from = reinterpret_cast<const std::byte*>(&whole);
    for (std::size_t i = 16; i < sizeof(whole); ++i) steps.emplace_back(to + i, from[i]);
    for (std::size_t i = 8; i < 16; ++i) steps.emplace_back(to + i, from[i]);
    for (std::size_t i = 0; i < 8; ++i) steps.emplace_back(to + i, from[i]);
}

TEST_CASE("supervisor/state: a half torn at any byte leaves the older one in force") {
    auto file = sup::StateFile::create();
    REQUIRE(file);
    const Slot slot{0};
    core::Place older = place_in(core::Stopped{});
    older.slot = slot;
    core::Place newer =
        place_in(core::Running{.since = Instant{1s}, .ready_at = Instant{2s}, .is_good = true});
    newer.slot = slot;
    newer.instance.generation = Generation{42};
    newer.instance.history.restart_times.assign(core::kMaxRestartLimitCount, Instant{999s});
    file->store_place(slot, sup::encode_place(older));

    const auto mapping = second_look(*file);
    auto& place = mapping.as<sup::StateLayout>()->places[0];
    auto& history = mapping.as<sup::StateLayout>()->histories[0];
    const auto place_before = place;
    const auto history_before = history;
    file->store_place(slot, sup::encode_place(newer));
    const auto place_after = place;
    const auto history_after = history;
    REQUIRE(std::memcmp(&place_before.halves[0], &place_after.halves[0], sizeof(place.halves[0])) ==
            0);
    REQUIRE(std::memcmp(&history_before.halves[0], &history_after.halves[0],
                        sizeof(history.halves[0])) == 0);

    place = place_before;
    history = history_before;
    std::vector<std::pair<std::byte*, std::byte>> steps;
    add_in_order_of_writing(steps, history.halves[1], history_after.halves[1]);
    add_in_order_of_writing(steps, place.halves[1], place_after.halves[1]);
    std::size_t seen_older = 0;
    for (const auto& [byte, value] : steps) {
        const auto places = file->places();
        REQUIRE(places.size() == 1);
        REQUIRE((is_same(places[0], older) || is_same(places[0], newer)));
        seen_older += is_same(places[0], older) ? 1 : 0;
        *byte = value;
    }
    CHECK(seen_older > sizeof(sup::HistoryRecord) + sizeof(sup::PlaceRecord));
    const auto places = file->places();
    REQUIRE(places.size() == 1);
    CHECK(is_same(places[0], newer));
}

TEST_CASE("supervisor/state: a kill between a history and its place leaves the former history") {
    auto file = sup::StateFile::create();
    REQUIRE(file);
    const Slot slot{0};
    const auto mapping = second_look(*file);
    auto& record = mapping.as<sup::StateLayout>()->places[0];
    core::Place place = place_in(core::Stopped{});
    place.slot = slot;
    for (int i = 0; i < 5; ++i) {
        file->store_place(slot, sup::encode_place(place));
        const auto before = record;
        core::Place next = place;
        next.instance.history.restart_times[0] = Instant{std::chrono::seconds{100 + i}};
        for (int kills = 0; kills < 3; ++kills) {
            next.instance.history.restart_times[1] = Instant{std::chrono::seconds{kills}};
            file->store_place(slot, sup::encode_place(next));
            record = before;
            REQUIRE(file->places().size() == 1);
            CHECK(is_same(file->places()[0], place));
        }
        place = next;
    }
}

TEST_CASE("supervisor/state: an instance knows nothing of the history of the one before it") {
    auto file = sup::StateFile::create();
    REQUIRE(file);
    core::Place former = place_in(core::Stopped{});
    file->store_place(former.slot, sup::encode_place(former));
    file->store_place(former.slot, {});
    CHECK(file->places().empty());
    core::Place next = place_in(core::Stopped{});
    next.reload = {};
    next.instance.history = {};
    file->store_place(next.slot, sup::encode_place(next));
    REQUIRE(file->places().size() == 1);
    CHECK(is_same(file->places()[0], next));
    next.instance.history.restart_count = 1;
    next.instance.history.restart_times = {Instant{300s}};
    file->store_place(next.slot, sup::encode_place(next));
    REQUIRE(file->places().size() == 1);
    CHECK(is_same(file->places()[0], next));
}

TEST_CASE("supervisor/state: places that never restarted cost no memory for it") {
    auto file = sup::StateFile::create();
    REQUIRE(file);
    core::Place place = place_in(core::Stopped{});
    place.reload = {};
    place.instance.history = {};
    for (std::uint32_t i = 0; i < sup::kMaxPlaces; ++i) {
        place.slot = Slot{i};
        for (int stores = 0; stores < 3; ++stores) {
            file->store_place(place.slot, sup::encode_place(place));
        }
    }
    CHECK(file->places().size() == sup::kMaxPlaces);
    struct stat info {};
    REQUIRE(::fstat(file->descriptor(), &info) == 0);
    const auto used = static_cast<std::size_t>(info.st_blocks) * 512;
    CHECK(used >= sizeof(sup::StateLayout::places));
    CHECK(used <= sizeof(sup::StateLayout::places) + std::size_t{4} * 4096);
}

TEST_CASE("supervisor/state: random bytes in a record never become a place that is out of range") {
    cluster::Prng prng{20};
    int accepted = 0;
    for (int round = 0; round < 20000; ++round) {
        sup::StoredPlace stored;
        auto& [record, history] = stored;
        auto* bytes = reinterpret_cast<unsigned char*>(&stored);
        for (std::size_t i = 0; i < sizeof(stored); ++i)
            bytes[i] = static_cast<unsigned char>(prng.next());
        if (prng.chance(0.5)) {
            record.worker %= sup::kMaxWorkers;
            record.number %= core::kMaxInstancesPerWorker;
            record.desired %= 2;
            record.outcome %= 4;
            record.state %= 9;
            record.hold %= 4;
            record.exit_kind %= 5;
            record.exit_reason %= 7;
            record.flags[0] %= 7;
            record.role %= 4;
            history.reload.phase %= 6;
            history.reload.outcome %= 4;
            history.reload.former_outcome %= 4;
            history.reload.exit_kind %= 4;
            history.reload.exit_reason %= 6;
        }
        const auto place = sup::decode_place(stored, Slot{1});
        if (!place) continue;
        ++accepted;
        CHECK(place->worker < sup::kMaxWorkers);
        CHECK(place->number < core::kMaxInstancesPerWorker);
        CHECK(core::state_name(place->instance.state) != nullptr);
        CHECK(place->role <= core::Role::incoming);
        CHECK(place->reload.phase <= core::ReloadPhase::signalled);
    }
    CHECK(accepted > 100);
}

TEST_CASE("supervisor/state: a file of another version or size is refused") {
    auto file = sup::StateFile::create();
    REQUIRE(file);
    const auto mapping = second_look(*file);
    mapping.as<sup::StateLayout>()->header.version = sup::kStateVersion - 1;
    auto duplicate = cluster::sys::duplicate(file->descriptor());
    REQUIRE(duplicate);
    CHECK_FALSE(sup::StateFile::attach(std::move(*duplicate)).has_value());
    auto small = cluster::sys::open_memory_file("small", 4096);
    REQUIRE(small);
    CHECK_FALSE(sup::StateFile::attach(std::move(*small)).has_value());
}
