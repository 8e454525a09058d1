#include "keeper/table.hpp"

#include <doctest/doctest.h>

#include <cerrno>
#include <csignal>
#include <memory>

using cluster::Epoch;
using cluster::Error;
using cluster::from_ns;
using cluster::Generation;
using cluster::Op;
using cluster::Run;
using cluster::Slot;
using cluster::keeper::SlotTable;
namespace sys = cluster::sys;
namespace wire = cluster::wire;

namespace {

Run run_of(std::uint32_t slot, std::uint64_t generation) {
    return {.slot = Slot{slot}, .generation = Generation{generation}};
}

struct Fixture {
    std::unique_ptr<wire::Table> shared = std::make_unique<wire::Table>();
    std::unique_ptr<SlotTable> slots = std::make_unique<SlotTable>(*shared);

    void start(std::uint32_t slot, std::uint64_t generation, std::int32_t pid) {
        *slots->begin_spawn(run_of(slot, generation), Epoch{9}, from_ns(100), 4) = pid;
        slots->note_running(Slot{slot}, 5);
    }
    void end(std::uint32_t slot, std::int32_t pid, bool is_group_alive = false) {
        const sys::Reaped exit{.pid = pid,
                               .code = CLD_EXITED,
                               .status = 3,
                               .user_us = 1,
                               .system_us = 2,
                               .max_rss_kib = 4};
        slots->note_exited(Slot{slot}, exit, is_group_alive, from_ns(200));
    }
    bool is_admitted(Run run, SlotTable::Admission admission) const {
        const auto answer = slots->admit(run);
        return answer && *answer == admission;
    }
    bool is_refused(Run run, Error error) const {
        const auto answer = slots->admit(run);
        return !answer && answer.error() == error;
    }
};

}  // namespace

TEST_CASE("keeper/table: the header says what the reader needs") {
    const Fixture f;
    CHECK(f.shared->header.magic == wire::kTableMagic);
    CHECK(f.shared->header.max_slots == wire::kMaxSlots);
    CHECK(f.shared->header.slot_record_bytes == sizeof(wire::SlotRecord));
    CHECK(f.shared->header.slots_used == 0);
}

TEST_CASE("keeper/table: a slot takes a run only when it is free and the generation is new") {
    Fixture f;
    using Admission = SlotTable::Admission;
    CHECK(f.is_admitted(run_of(1, 5), Admission::fresh));
    CHECK(f.is_refused(run_of(1, 0), {Op::message, EINVAL}));
    CHECK(f.is_refused(run_of(wire::kMaxSlots, 1), {Op::message, EINVAL}));
    f.start(1, 5, 700);
    CHECK(f.is_admitted(run_of(1, 5), Admission::known));
    CHECK(f.is_refused(run_of(1, 6), {Op::table_full, EEXIST}));
    f.end(1, 700);
    CHECK(f.is_admitted(run_of(1, 5), Admission::known));
    CHECK(f.is_refused(run_of(1, 6), {Op::table_full, EEXIST}));
    REQUIRE(f.slots->release(run_of(1, 5)));
    CHECK(f.is_refused(run_of(1, 5), {Op::message, EEXIST}));
    CHECK(f.is_refused(run_of(1, 4), {Op::message, EEXIST}));
    CHECK(f.is_admitted(run_of(1, 6), Admission::fresh));
}

TEST_CASE("keeper/table: the intent is written before anybody runs") {
    Fixture f;
    const std::int32_t* pid = f.slots->begin_spawn(run_of(2, 7), Epoch{31}, from_ns(50), 4);
    const wire::SlotRecord& record = f.shared->slots[2];
    CHECK(pid == &record.pid);
    CHECK(record.pid == 0);
    CHECK(record.state == wire::SlotState::intent);
    CHECK(record.generation == 7);
    CHECK(record.epoch == 31);
    CHECK(record.spawned_ns == 50);
    CHECK(record.sequence % 2 == 0);
    CHECK(f.shared->header.slots_used == 3);
    CHECK(f.slots->live_count() == 1);
}

TEST_CASE("keeper/table: nothing of the last run shows in the next one") {
    Fixture f;
    f.start(0, 1, 700);
    f.end(0, 700, true);
    REQUIRE(f.slots->release(run_of(0, 1)));
    static_cast<void>(f.slots->begin_spawn(run_of(0, 2), Epoch{1}, from_ns(300), 4));
    const wire::SlotRecord& record = f.shared->slots[0];
    CHECK(record.pid == 0);
    CHECK(record.exit_status == 0);
    CHECK(record.exited_ns == 0);
    CHECK(record.group_alive == 0);
    CHECK(record.max_rss_kib == 0);
}

TEST_CASE("keeper/table: a spawn that failed is an exit that names the step") {
    Fixture f;
    *f.slots->begin_spawn(run_of(0, 1), Epoch{1}, from_ns(10), 4) = 800;
    f.slots->note_failed(Slot{0}, {.op_index = 4, .op = Op::chdir, .code = ENOENT}, from_ns(20));
    const wire::SlotRecord& record = f.shared->slots[0];
    CHECK(record.state == wire::SlotState::exited);
    CHECK(record.pid == 0);
    CHECK(record.failed_op == static_cast<std::int32_t>(Op::chdir));
    CHECK(record.failed_code == ENOENT);
    CHECK(record.failed_op_index == 4);
    CHECK_FALSE(f.slots->find_leader(800));
    CHECK(f.slots->live_count() == 0);
}

TEST_CASE("keeper/table: leaders are found by pid until they are reaped") {
    Fixture f;
    // Pids that share a chain of the index.
    const auto pid_of = [](std::uint32_t slot) {
        return static_cast<std::int32_t>(1 + wire::kMaxSlots * (slot % 4) + slot / 4);
    };
    for (std::uint32_t slot = 0; slot < 100; ++slot) f.start(slot, 1, pid_of(slot));
    for (std::uint32_t slot = 0; slot < 100; slot += 2) f.end(slot, pid_of(slot));
    for (std::uint32_t slot = 0; slot < 100; ++slot) {
        const auto found = f.slots->find_leader(pid_of(slot));
        CHECK(found.has_value() == (slot % 2 == 1));
        if (found) CHECK(found->value == slot);
    }
    CHECK(f.slots->live_count() == 50);
    CHECK_FALSE(f.slots->find_leader(0));
}

TEST_CASE("keeper/table: a group that outlives its leader lingers until it is gone or released") {
    Fixture f;
    for (std::uint32_t slot = 0; slot < 3; ++slot) {
        f.start(slot, 1, 700 + static_cast<std::int32_t>(slot));
        f.end(slot, 700 + static_cast<std::int32_t>(slot), true);
    }
    CHECK(f.slots->lingering().size() == 3);
    CHECK(f.shared->slots[1].group_alive == 1);
    f.slots->note_group_gone(Slot{1});
    f.slots->note_group_gone(Slot{1});
    CHECK(f.slots->lingering().size() == 2);
    CHECK(f.shared->slots[1].group_alive == 0);
    CHECK(f.shared->slots[1].state == wire::SlotState::exited);
    REQUIRE(f.slots->release(run_of(0, 1)));
    REQUIRE(f.slots->lingering().size() == 1);
    CHECK(f.slots->lingering()[0] == Slot{2});
    CHECK(f.shared->slots[0].group_alive == 0);
}

TEST_CASE("keeper/table: only the exit of the run in question is released") {
    Fixture f;
    CHECK(f.slots->release(run_of(0, 1)).error() == Error{Op::message, ESRCH});
    CHECK(f.slots->release(run_of(0, 0)).error() == Error{Op::message, ESRCH});
    CHECK(f.slots->release(run_of(wire::kMaxSlots, 1)).error() == Error{Op::message, ESRCH});
    f.start(0, 4, 700);
    CHECK(f.slots->release(run_of(0, 4)).error() == Error{Op::message, EBUSY});
    f.end(0, 700);
    CHECK(f.slots->release(run_of(0, 3)).error() == Error{Op::message, ESRCH});
    CHECK(f.slots->release(run_of(0, 4)));
    CHECK(f.slots->release(run_of(0, 4)));
    CHECK(f.shared->slots[0].generation == 4);
}

TEST_CASE("keeper/table: a successor finds what runs, what has ended and what was begun") {
    Fixture old;
    old.start(2, 7, 700);
    old.start(3, 8, 800);
    old.end(3, 800, true);
    old.start(4, 9, 900);
    old.end(4, 900);
    REQUIRE(old.slots->release(run_of(4, 9)));
    static_cast<void>(old.slots->begin_spawn(run_of(5, 2), Epoch{9}, from_ns(100), 4));
    *old.slots->begin_spawn(run_of(6, 3), Epoch{9}, from_ns(100), 4) = 600;
    old.shared->slots[2].sequence = 7;  // the writer was killed in the middle

    const Fixture f;
    f.slots->resume(*old.shared);
    CHECK(f.slots->slots_used() == 7);
    CHECK(f.slots->live_count() == 3);
    CHECK(f.slots->find_leader(700) == Slot{2});
    CHECK(f.slots->record(Slot{2}).start_ticks == 5);
    wire::SlotRecord copy;
    CHECK(wire::read_slot(f.shared->slots[2], copy));
    REQUIRE(f.slots->lingering().size() == 1);
    CHECK(f.slots->lingering().front() == Slot{3});
    CHECK(f.slots->record(Slot{3}).exit_status == 3);
    CHECK(f.is_refused(run_of(4, 9), {Op::message, EEXIST}));
    CHECK(f.is_admitted(run_of(4, 10), SlotTable::Admission::fresh));

    // Nothing was cloned: the same run may be asked for again.
    f.slots->note_not_begun(Slot{5});
    CHECK(f.is_admitted(run_of(5, 2), SlotTable::Admission::fresh));
    CHECK(f.is_refused(run_of(5, 1), {Op::message, EEXIST}));
    // Something was.
    f.slots->note_running(Slot{6}, 11);
    CHECK(f.slots->find_leader(600) == Slot{6});
    CHECK(f.slots->live_count() == 2);
}

TEST_CASE("keeper/table: what makes no sense in a predecessor's table counts as free") {
    Fixture old;
    old.start(0, 7, 700);
    old.start(1, 7, 701);
    old.start(2, 7, 702);
    old.shared->slots[0].state = static_cast<wire::SlotState>(9);
    old.shared->slots[1].generation = 0;
    old.shared->slots[2].pid = 0;
    old.shared->header.slots_used = 0xFFFFFFFF;
    const Fixture f;
    f.slots->resume(*old.shared);
    CHECK(f.slots->slots_used() == wire::kMaxSlots);
    CHECK(f.slots->live_count() == 0);
    for (std::uint32_t i = 0; i < 3; ++i) {
        CHECK(f.slots->record(Slot{i}).state == wire::SlotState::free);
    }
}
