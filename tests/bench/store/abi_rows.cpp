// The same counters through libcluster.so, as a worker calls it.
#include <cluster.h>

#include <cstdlib>
#include <stdexcept>

#include "measure.hpp"
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

std::vector<Subject> subjects_for(cluster_store* store) {
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
    return {{"lock xadd at cluster_counter_address", xadd},
            {"cluster_counter_add, atomic", add},
            {"cluster_counter_add, striped", add_many},
            {"cluster_stripe_add", stripe_add}};
}

}  // namespace

void run_abi_rows(int rounds) {
    cluster_store* store = open_store();
    print_heading("counters through libcluster.so, 1 process");
    const auto outcomes = measure(subjects_for(store), 4'000'000, rounds);
    print_outcomes(outcomes);
    print_ratio("cluster_counter_add, atomic / lock xadd", outcomes[1].ns / outcomes[0].ns, false,
                1.2);
    print_ratio("cluster_stripe_add / lock xadd", outcomes[3].ns / outcomes[0].ns, false, 0.6);
    cluster_store_close(store);
}

}  // namespace cluster::store::bench
