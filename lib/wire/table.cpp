#include "wire/table.hpp"

#include <atomic>
#include <thread>

namespace cluster::wire {

// PROTOCOL.md has the byte tables.
static_assert(offsetof(SlotRecord, state) == 4 && offsetof(SlotRecord, generation) == 8);
static_assert(offsetof(SlotRecord, epoch) == 16 && offsetof(SlotRecord, group_alive) == 28);
static_assert(offsetof(SlotRecord, start_ticks) == 32 && offsetof(SlotRecord, exited_ns) == 48);
static_assert(offsetof(SlotRecord, exit_code) == 56 && offsetof(SlotRecord, failed_op) == 64);
static_assert(offsetof(SlotRecord, user_us) == 80 && offsetof(SlotRecord, max_rss_kib) == 96);
static_assert(offsetof(TableHeader, max_slots) == 24 && offsetof(TableHeader, slots_used) == 32);
static_assert(offsetof(TableHeader, keeper_pid) == 40 && offsetof(TableHeader, boot_id) == 80);
static_assert(offsetof(TableHeader, default_soft_descriptors) == 96);
static_assert(offsetof(TableHeader, default_oom_score) == 112);
static_assert(offsetof(TableHeader, successions) == 124);
static_assert(offsetof(TableHeader, owed_notices) == 136);
static_assert(offsetof(HeldRecord, slot) == 4 && offsetof(HeldRecord, generation) == 8);
static_assert(sizeof(Table) == 1839104);

namespace {

// The copy is made in words that may alias any type, each loaded atomically, so that a torn read is
// only ever a mix of old and new words, which the sequence then gives away.
using Word [[gnu::may_alias]] = std::uint64_t;
constexpr std::size_t kWords = sizeof(SlotRecord) / sizeof(Word);
static_assert(sizeof(SlotRecord) % sizeof(Word) == 0);

// A write takes well under a microsecond, so spinning nearly always suffices. When the writer lost
// the CPU in the middle, yielding lets it finish; when it died there, the bound ends the wait.
constexpr int kSpins = 64;
constexpr int kTries = 4096;

std::uint32_t load_sequence(const SlotRecord& record, std::memory_order order) {
    // atomic_ref wants a non-const object; a load writes nothing, so a read-only mapping serves.
    auto& sequence = const_cast<std::uint32_t&>(record.sequence);
    return std::atomic_ref<std::uint32_t>(sequence).load(order);
}

}  // namespace

bool read_slot(const SlotRecord& record, SlotRecord& copy) {
    const Word* from = reinterpret_cast<const Word*>(&record);
    Word* to = reinterpret_cast<Word*>(&copy);
    for (int attempt = 0; attempt < kTries; ++attempt) {
        if (attempt >= kSpins) std::this_thread::yield();
        const std::uint32_t before = load_sequence(record, std::memory_order_acquire);
        if ((before & 1U) != 0) continue;
        for (std::size_t i = 0; i < kWords; ++i)
            to[i] = __atomic_load_n(from + i, __ATOMIC_RELAXED);
        std::atomic_thread_fence(std::memory_order_acquire);
        if (load_sequence(record, std::memory_order_relaxed) == before) return true;
    }
    return false;
}

// `| 1` instead of `+ 1`: a record that a killed writer left odd is repaired by the next write of
// its successor.
SlotWrite::SlotWrite(SlotRecord& record) : record_(record) {
    std::atomic_ref<std::uint32_t> sequence(record_.sequence);
    sequence.store(sequence.load(std::memory_order_relaxed) | 1U, std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_release);
}

SlotWrite::~SlotWrite() {
    std::atomic_ref<std::uint32_t> sequence(record_.sequence);
    sequence.store(sequence.load(std::memory_order_relaxed) + 1U, std::memory_order_release);
}

}  // namespace cluster::wire
