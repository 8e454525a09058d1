// Counters through libcluster.so, as a worker calls it, beside others who can count for many.
#include <cluster.h>

#include <cstdlib>
#include <stdexcept>

#include "measure.hpp"
#include "peers.hpp"
#include "store/attach.hpp"
#include "store/segment.hpp"

namespace cluster::store::bench {
namespace {

/// A store for this process and for those that it forks, as the daemon would give it.
cluster_store* open_store() {
    static const auto file = create({});
    const auto segment = Segment::attach(file->get(), Access::read_only);
    const StoreAddress address{
        .fd = file->get(), .inode = segment->inode(), .generation = segment->generation()};
    ::setenv("CLUSTER_STORE", format_store_address(address).c_str(), 1);
    cluster_store* store = nullptr;
    if (cluster_store_open(0, &store) != 0) throw std::runtime_error("no store");
    return store;
}

cluster_counter* counter_of(cluster_store* store, const char* name, unsigned kind) {
    cluster_counter* counter = nullptr;
    if (cluster_counter_open(store, name, kind, &counter) != 0) {
        throw std::runtime_error(name);
    }
    return counter;
}

/// The least that a function around the instruction costs: it has to push where it returns to, and
/// the instruction waits for that.
[[gnu::noinline]] void call_around(std::int64_t* number) {
    __atomic_fetch_add(number, 1, __ATOMIC_RELAXED);
}

std::vector<Subject> subjects_for(cluster_store* store, int workers) {
    cluster_counter* exact = counter_of(store, "atomic", CLUSTER_ATOMIC);
    cluster_counter* many = counter_of(store, "striped", CLUSTER_STRIPED);
    std::int64_t* bare = cluster_counter_address(counter_of(store, "bare", CLUSTER_ATOMIC));
    const auto xadd = [bare](int) -> Work {
        return [bare](std::uint64_t operations) {
            for (std::uint64_t i = 0; i < operations; ++i) {
                __atomic_fetch_add(bare, 1, __ATOMIC_RELAXED);
            }
        };
    };
    const auto call = [bare](int) -> Work {
        return [bare](std::uint64_t operations) {
            for (std::uint64_t i = 0; i < operations; ++i) call_around(bare);
        };
    };
    std::int64_t* address = cluster_counter_address(exact);
    const auto at_address = [address](int) -> Work {
        return [address](std::uint64_t operations) {
            for (std::uint64_t i = 0; i < operations; ++i) {
                __atomic_fetch_add(address, 1, __ATOMIC_SEQ_CST);
            }
        };
    };
    const auto add = [exact](int) -> Work {
        return [exact](std::uint64_t operations) {
            for (std::uint64_t i = 0; i < operations; ++i) cluster_counter_add(exact, 1, nullptr);
        };
    };
    const auto add_many = [many](int) -> Work {
        return [many](std::uint64_t operations) {
            for (std::uint64_t i = 0; i < operations; ++i) cluster_counter_add(many, 1, nullptr);
        };
    };
    const auto stripe_add = [many](int) -> Work {
        cluster_stripe stripe;
        cluster_counter_stripe(many, &stripe);
        return [stripe](std::uint64_t operations) {
            for (std::uint64_t i = 0; i < operations; ++i) cluster_stripe_add(&stripe, 1);
        };
    };
    const auto increment = [store](int) -> Work {
        return [store](std::uint64_t operations) {
            for (std::uint64_t i = 0; i < operations; ++i) {
                cluster_table_incr(store, "hot", 3, 1, nullptr);
            }
        };
    };
    return {{"lock xadd", xadd, workers},
            {"lock xadd in a function", call, workers},
            {"at cluster_counter_address", at_address, workers},
            {"cluster_counter_add", add, workers},
            {"cluster_counter_add, striped", add_many, workers},
            {"cluster_stripe_add", stripe_add, workers},
            {"cluster_table_incr", increment, workers, false, 16}};
}

}  // namespace

void run_abi_rows(int rounds) {
    cluster_store* store = open_store();
    std::vector<Subject> subjects = subjects_for(store, 1);
    for (Subject& subject : subjects_for(store, 2)) subjects.push_back(std::move(subject));
    Peers peers;
    for (Subject& subject : peers.counting(1)) subjects.push_back(std::move(subject));
    for (Subject& subject : peers.counting(2)) subjects.push_back(std::move(subject));
    print_outcomes("counting", measure(subjects, 4'000'000, rounds));
    cluster_store_close(store);
}

}  // namespace cluster::store::bench
