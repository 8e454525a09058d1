// Writers that are killed at random under load, with exact accounting afterwards.
//
// Each writer keeps a ledger in memory that outlives it: what it was about to do, and what it has
// done. Between the two numbers of a ledger lies at most the one operation that a kill cut short.
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <new>

#include "base/prng.hpp"
#include "modes.hpp"
#include "support/store_audit.hpp"
#include "sys/clock.hpp"

namespace cluster::store::test {
namespace {

constexpr std::size_t kWriters = 3;
constexpr u64 kSharedKeys = 40;

/// One operation each, begun and done.
struct Count {
    std::atomic<u64> begun{0};
    std::atomic<u64> done{0};
};
struct Ledger {
    Count atomic_adds;
    Count striped_adds;
    Count increments;
    std::atomic<u64> torn{0};
    std::atomic<u64> errors{0};
};
struct Books {
    std::array<Ledger, kWriters> ledgers;
};

template <class Operation>
void account(Count& count, Ledger& ledger, Operation operation) {
    count.begun.fetch_add(1);
    if (!operation()) ++ledger.errors;
    count.done.fetch_add(1);
}

bool is_whole(std::string_view value) {
    return value.find_first_not_of(value.substr(0, 1)) == value.npos;
}

void touch_shared_keys(World& world, Prng& prng, Ledger& ledger) {
    const std::string key = "shared " + std::to_string(prng.below(kSharedKeys));
    const auto letter = static_cast<char>('a' + prng.below(26));
    const auto size = static_cast<std::size_t>(prng.chance(0.05) ? 5000 : prng.below(400));
    std::array<char, 8192> buffer;
    const Buffer target = std::as_writable_bytes(std::span{buffer});
    const u64 choice = prng.below(10);
    if (choice < 4) {
        const auto done = world.table.set(*world.me, bytes(key), bytes(value_of(letter, size)),
                                          std::chrono::milliseconds{prng.below(3) == 0 ? 20 : 0});
        if (!done) ++ledger.errors;
    } else if (choice < 6) {
        const auto taken = world.table.take(*world.me, bytes(key), target);
        if (!taken && taken.error().code != ENOENT) ++ledger.errors;
        if (taken && !is_whole({buffer.data(), taken->size})) ++ledger.torn;
    } else {
        const auto seen = world.table.get(bytes(key), target);
        if (!seen && seen.error().code != ENOENT) ++ledger.errors;
        if (seen && !is_whole({buffer.data(), seen->size})) ++ledger.torn;
    }
}

[[noreturn]] void write_for_ever(Segment& segment, Ledger& ledger, u64 seed) {
    World world{segment};
    while (!world.me) world.join();
    Prng prng{seed};
    while (true) {
        const auto counter = world.counters.open(*world.me, "atomic");
        const auto striped = world.counters.open_striped(*world.me, "striped");
        if (!counter || !striped) {
            ++ledger.errors;
            continue;
        }
        for (int i = 0; i < 50; ++i) {
            account(ledger.atomic_adds, ledger, [&] {
                counter->add(1);
                return true;
            });
            account(ledger.striped_adds, ledger,
                    [&] { return striped->add(*world.me, 1).has_value(); });
            account(ledger.increments, ledger, [&] {
                return world.table.increment(*world.me, bytes("number"), 1).has_value();
            });
            touch_shared_keys(world, prng, ledger);
        }
    }
}

pid_t start_writer(Segment& segment, Ledger& ledger, u64 seed) {
    const pid_t pid = ::fork();
    if (pid != 0) return pid;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    write_for_ever(segment, ledger, seed);
}

/// What the books say about one kind of operation: at least what was done, at most what was begun.
std::string compare(const char* name, const Books& books, Count Ledger::*kind, std::int64_t found) {
    u64 begun = 0;
    u64 done = 0;
    for (const Ledger& ledger : books.ledgers) {
        begun += (ledger.*kind).begun;
        done += (ledger.*kind).done;
    }
    const auto total = static_cast<u64>(found);
    if (total >= done && total <= begun) return "";
    return std::string(name) + " is " + std::to_string(found) + ", done " + std::to_string(done) +
           ", begun " + std::to_string(begun);
}

std::string check_books(World& world, const Books& books) {
    const auto counter = world.counters.find("atomic");
    const auto striped = world.counters.find_striped("striped");
    if (!counter || !striped) return "the counters are gone";
    std::array<char, 32> text{};
    const auto number = world.table.get(bytes("number"), std::as_writable_bytes(std::span{text}));
    if (!number) return "the number is gone";
    std::string wrong = compare("atomic", books, &Ledger::atomic_adds, counter->get());
    if (wrong.empty()) {
        wrong = compare("striped", books, &Ledger::striped_adds, striped->get());
    }
    if (wrong.empty()) {
        wrong = compare("number", books, &Ledger::increments, std::atoll(text.data()));
    }
    for (const Ledger& ledger : books.ledgers) {
        if (ledger.torn != 0) wrong = std::to_string(ledger.torn) + " torn values";
        if (ledger.errors != 0) wrong = std::to_string(ledger.errors) + " errors";
    }
    if (wrong.empty()) wrong = audit(*world.segment);
    return wrong;
}

/// So many slots that the dead must be settled to go on, by joiners as often as by the parent.
SegmentOptions storm_options() {
    return {.bytes = u64{24} << 20U, .counters = 16, .participants = 6, .striped = 2};
}

}  // namespace

void run_storm(std::uint64_t milliseconds, std::uint64_t seed, Tally& tally) {
    auto file = create(storm_options());
    auto attached = Segment::attach(file->get(), Access::read_write);
    if (!attached) std::abort();
    Segment& segment = *attached;
    void* memory =
        ::mmap(nullptr, sizeof(Books), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) std::abort();
    Books& books = *new (memory) Books{};
    Prng prng{seed};
    std::array<pid_t, kWriters> writers{};
    for (std::size_t i = 0; i < kWriters; ++i) {
        writers[i] = start_writer(segment, books.ledgers[i], prng.next());
    }
    const auto busy_wait = [](std::chrono::microseconds time) {
        const Instant end = sys::monotonic_now() + time;
        while (sys::monotonic_now() < end) ::sched_yield();
    };
    const Instant end = sys::monotonic_now() + std::chrono::milliseconds{milliseconds};
    u64 kills = 0;
    while (sys::monotonic_now() < end) {
        busy_wait(std::chrono::microseconds{prng.below(4000)});
        const std::size_t index = prng.below(kWriters);
        ::kill(writers[index], SIGKILL);
        const int code = wait_for(writers[index]);
        if (code != 1000 + SIGKILL)
            tally.count("storm", "a writer ended by " + std::to_string(code));
        ++kills;
        if (prng.chance(0.5)) (void)settle_all_dead(segment);
        writers[index] = start_writer(segment, books.ledgers[index], prng.next());
        ++tally.plays;
    }
    for (const pid_t pid : writers) {
        ::kill(pid, SIGKILL);
        (void)wait_for(pid);
    }
    (void)settle_all_dead(segment);
    {
        World world{segment};
        tally.count("storm", check_books(world, books));
    }
    u64 operations = 0;
    for (const Ledger& ledger : books.ledgers) operations += 3 * ledger.increments.done;
    std::printf("storm: %llu kills, %llu operations accounted for\n",
                static_cast<unsigned long long>(kills),
                static_cast<unsigned long long>(operations));
    ::munmap(memory, sizeof(Books));
}

}  // namespace cluster::store::test
