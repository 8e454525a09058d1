// The state memfd, as a broken predecessor may have left it: what is read from it is whole, and a
// fleet can be restored from it and lived with.
//
// Input: a sequence of changes, each a byte that says which and then its bytes (the input may end
// anywhere; what is missing is zero). Records with a right checksum are written by the file's own
// functions, for a fuzzer does not guess checksums; raw bytes go anywhere.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "base/assert.hpp"
#include "core/fleet.hpp"
#include "supervisor/state_file.hpp"
#include "sys/file.hpp"
#include "sys/memory.hpp"

namespace {

using namespace std::chrono_literals;
namespace core = cluster::core;
using cluster::Slot;
using cluster::supervisor::ExitEntry;
using cluster::supervisor::FleetRecord;
using cluster::supervisor::StateFile;
using cluster::supervisor::StateLayout;
using cluster::supervisor::StoredPlace;
using cluster::supervisor::WorkerRecord;

constexpr int kMaxChanges = 64;

class Input {
public:
    Input(const std::uint8_t* bytes, std::size_t size) : rest_(bytes, size) {}
    [[nodiscard]] bool is_empty() const { return rest_.empty(); }

    template <class Value>
    Value take() {
        Value value{};
        const std::size_t count = std::min(sizeof(Value), rest_.size());
        if (count > 0) std::memcpy(&value, rest_.data(), count);
        rest_ = rest_.subspan(count);
        return value;
    }

private:
    std::span<const std::uint8_t> rest_;
};

void change(StateFile& file, StateLayout& raw, Input& input) {
    switch (input.take<std::uint8_t>() % 6) {
        case 0:
            file.store_fleet(input.take<FleetRecord>());
            break;
        case 1: {
            const auto index = input.take<std::uint8_t>();
            file.store_worker(index, input.take<WorkerRecord>());
            break;
        }
        case 2: {
            const auto slot = input.take<std::uint8_t>();
            file.store_place(Slot{slot}, input.take<StoredPlace>());
            break;
        }
        case 3: {
            const auto slot = input.take<std::uint8_t>();
            file.append_exit(Slot{slot}, input.take<ExitEntry>());
            break;
        }
        case 4:
            raw.header.workers_used = input.take<std::uint32_t>();
            raw.header.places_used = input.take<std::uint16_t>();
            break;
        default: {
            const auto offset = input.take<std::uint32_t>() % (sizeof(StateLayout) - 8);
            const auto word = input.take<std::uint64_t>();
            std::memcpy(reinterpret_cast<std::byte*>(&raw) + offset, &word, sizeof word);
            break;
        }
    }
}

/// What was accepted can be written, and says the same again.
void check_place(const core::Place& place) {
    CLUSTER_ASSERT(place.slot.value < cluster::supervisor::kMaxPlaces);
    const StoredPlace stored = cluster::supervisor::encode_place(place);
    const auto again = cluster::supervisor::decode_place(stored, place.slot);
    CLUSTER_ASSERT(again.has_value());
    const StoredPlace twice = cluster::supervisor::encode_place(*again);
    CLUSTER_ASSERT(std::memcmp(&stored, &twice, sizeof stored) == 0);
}

void check_fleet(const core::Fleet& fleet) {
    std::set<std::uint32_t> slots;
    std::set<std::pair<std::uint32_t, std::uint32_t>> instances;
    for (const core::Place* place : fleet.places()) {
        CLUSTER_ASSERT(fleet.worker(place->worker) != nullptr);
        CLUSTER_ASSERT(slots.insert(place->slot.value).second);
        if (place->role != core::Role::current) continue;
        CLUSTER_ASSERT(instances.insert({place->worker, place->number}).second);
    }
}

/// As Records::restore does it, with specs of our own.
void restore(const StateFile& file) {
    core::Fleet fleet({.slots = 512, .workers = cluster::supervisor::kMaxWorkers}, 1);
    fleet.restore_epoch(cluster::Epoch{file.fleet().last_epoch});
    for (const StateFile::StoredWorker& stored : file.workers()) {
        core::Worker worker;
        worker.index = stored.index;
        worker.spec.name = "w" + std::to_string(stored.index);
        worker.spec.instances = stored.index % 4;
        worker.revision = stored.record.revision;
        worker.is_deleted = stored.record.is_deleted != 0;
        fleet.restore_worker(std::move(worker));
    }
    for (core::Place& place : file.places()) {
        check_place(place);
        static_cast<void>(file.exits(place.slot));
        fleet.restore_place(std::move(place));
    }
    cluster::Instant now = cluster::from_ns(1'000'000'000'000);
    fleet.complete_restored(now);
    check_fleet(fleet);
    for (int i = 0; i < 8; ++i) {
        static_cast<void>(fleet.take_actions());
        static_cast<void>(fleet.take_dirty_slots());
        const auto next = fleet.next_deadline();
        if (!next) break;
        now = std::max(now, *next);
        fleet.on_time(now);
    }
    check_fleet(fleet);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
    auto file = StateFile::create();
    CLUSTER_ASSERT(file.has_value());
    auto mapping = cluster::sys::map_shared(file->descriptor(), sizeof(StateLayout), true);
    CLUSTER_ASSERT(mapping.has_value());
    Input input(bytes, size);
    for (int i = 0; i < kMaxChanges && !input.is_empty(); ++i) {
        change(*file, *mapping->as<StateLayout>(), input);
    }
    auto copy = cluster::sys::duplicate(file->descriptor());
    CLUSTER_ASSERT(copy.has_value());
    if (const auto attached = StateFile::attach(std::move(*copy))) restore(*attached);
    return 0;
}
