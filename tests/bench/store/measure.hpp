// How the store is measured: everything that is compared runs in the same process, in turns. Time is
// what passes less what a thread waited for a processor, and the median of the rounds counts, as the
// machine has other work; so only ratios of one run mean anything. A server cannot be measured so:
// waiting for one another is what it costs. There all of the time counts, of the best round, so that
// what else the machine does is not held against it.
//
// Outcomes are printed as JSON, a line each; table.py makes ratios and a table of them.
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
    /// How often as many operations as of the others are too many, for what is slower.
    std::uint64_t slower = 1;
    bool is_server = false;
};

struct Outcome {
    std::string name;
    int workers = 1;
    double ns = 0;          // of one operation of one worker
    double per_second = 0;  // of all workers together
};

/// Where it may (as root), this thread goes before whatever else the machine does, so that two that
/// work at once really do. Nothing here lasts longer than a moment.
void go_before_others();

/// Several rounds, each with every subject once. `operations` of each worker in each round.
[[nodiscard]] std::vector<Outcome> measure(const std::vector<Subject>& subjects,
                                           std::uint64_t operations, int rounds);

void print_outcomes(const char* group, const std::vector<Outcome>& outcomes);
/// A figure that is no rate.
void print_figure(const char* group, const char* name, double value);

/// Through the public library.
void run_abi_rows(int rounds);
/// The mixes whose name contains `only`.
void run_table_rows(int rounds, const char* only);
/// What a writer that was killed costs the others.
void run_kill_rows(int kills);

}  // namespace cluster::store::bench
