// Counters beside the bare instruction.
#include <memory>

#include "measure.hpp"
#include "store/counters.hpp"
#include "store/table.hpp"

namespace cluster::store::bench {
namespace {

/// A segment with one counter of each kind, and a number in the table.
struct Ground {
    Ground() : file(*create({})), segment(*Segment::attach(file.get(), Access::read_write)) {
        auto me = Participant::join(segment);
        (void)Counters{segment}.open(*me, "atomic");
        (void)Counters{segment}.open(*me, "bare");
        (void)Counters{segment}.open_striped(*me, "striped");
        (void)Table{segment}.set(*me, std::as_bytes(std::span{"hot", 3}),
                                 std::as_bytes(std::span{"1", 1}));
    }
    sys::UniqueFd file;
    Segment segment;
};

std::vector<Subject> subjects_for(Ground& ground, int workers) {
    const auto bare = [&ground](int) -> Work {
        u64* cell = ground.segment.cell(Counters{ground.segment}.find("bare")->index());
        return [cell](u64 operations) {
            for (u64 i = 0; i < operations; ++i) {
                std::atomic_ref<u64>(*cell).fetch_add(1, std::memory_order_relaxed);
            }
        };
    };
    const auto atomic = [&ground](int) -> Work {
        const Counter counter = *Counters{ground.segment}.find("atomic");
        return [counter](u64 operations) {
            for (u64 i = 0; i < operations; ++i) counter.add(1);
        };
    };
    const auto striped = [&ground](int) -> Work {
        auto me = std::make_shared<Participant>(std::move(*Participant::join(ground.segment)));
        const StripedCounter counter = *Counters{ground.segment}.find_striped("striped");
        const Stripe stripe = *counter.stripe_of(*me);
        return [me, stripe](u64 operations) {
            for (u64 i = 0; i < operations; ++i) (void)stripe.add(1);
        };
    };
    const auto plain = [&ground](int worker) -> Work {
        u64* cell = ground.segment.stripe_cell(static_cast<u32>(worker) + 500, 5);
        return [cell](u64 operations) {
            for (u64 i = 0; i < operations; ++i) asm volatile("addq $1, %0" : "+m"(*cell)::"cc");
        };
    };
    const auto increment = [&ground](int) -> Work {
        auto me = std::make_shared<Participant>(std::move(*Participant::join(ground.segment)));
        return [me, &ground](u64 operations) {
            Table table{ground.segment};
            const auto key = std::as_bytes(std::span{"hot", 3});
            for (u64 i = 0; i < operations; i += 16) (void)table.increment(*me, key, 1);
        };
    };
    return {{"lock xadd, bare", bare, workers},
            {"counter add, atomic", atomic, workers},
            {"counter add, striped", striped, workers},
            {"table increment of a hot key (x 1/16)", increment, workers},
            {"plain add to memory, bare", plain, workers}};
}

}  // namespace

void run_counter_rows(int rounds) {
    Ground ground;
    print_heading("counters, 1 process");
    const auto one = measure(subjects_for(ground, 1), 4'000'000, rounds);
    print_outcomes(one);
    print_ratio("atomic add / lock xadd", one[1].ns / one[0].ns, false, 1.2);
    print_ratio("striped add / lock xadd", one[2].ns / one[0].ns, false, 0.6);
    print_ratio("increment of a hot key / lock xadd", one[3].ns * 16 / one[0].ns, false, 20);
    print_heading("counters, 2 processes");
    const auto two = measure(subjects_for(ground, 2), 4'000'000, rounds);
    print_outcomes(two);
    print_ratio("striped add, 2 processes / 1", two[2].ns / one[2].ns, false, 1.2);
}

}  // namespace cluster::store::bench
