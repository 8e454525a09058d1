// How the store is measured: everything that is compared runs in the same process, in turns, and
// the median of the rounds counts, as the machine has other work. Time is what the thread itself
// used (CLOCK_THREAD_CPUTIME_ID), so that only ratios of one run mean anything.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace cluster::store::bench {

/// Runs `operations` operations and returns nothing; what it does is timed.
using Work = std::function<void(std::uint64_t operations)>;

/// One thing that is measured: `workers` processes or threads do the same at once.
struct Subject {
    std::string name;
    /// Prepares one worker, in that worker.
    std::function<Work(int worker)> prepare;
    int workers = 1;
    bool uses_threads = false;
};

struct Outcome {
    std::string name;
    double ns = 0;          // of one operation of one worker
    double per_second = 0;  // of all workers together
};

/// Several rounds, each with every subject once. `operations` of each worker in each round.
[[nodiscard]] std::vector<Outcome> measure(const std::vector<Subject>& subjects,
                                           std::uint64_t operations, int rounds);

void print_heading(const char* text);
void print_outcomes(const std::vector<Outcome>& outcomes);
/// "name: value (target …)", and whether it is reached.
void print_ratio(const char* name, double value, bool at_least, double target);

void run_counter_rows(int rounds);
/// Through the public library.
void run_abi_rows(int rounds);
/// The mixes whose name contains `only`.
void run_table_rows(int rounds, const char* only);

}  // namespace cluster::store::bench
