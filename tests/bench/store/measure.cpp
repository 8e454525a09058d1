#include "measure.hpp"

#include <sched.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <thread>

namespace cluster::store::bench {
namespace {

constexpr int kMaxWorkers = 8;

/// What this thread has waited for a processor that others had.
double waited_ns() {
    double waited = 0;
    std::FILE* file = std::fopen("/proc/thread-self/schedstat", "re");
    if (file == nullptr) return 0;
    if (std::fscanf(file, "%*f %lf", &waited) != 1) waited = 0;
    std::fclose(file);
    return waited;
}

double passed_ns(const Subject& subject) {
    timespec time{};
    ::clock_gettime(CLOCK_MONOTONIC, &time);
    const double wall = static_cast<double>(time.tv_sec) * 1e9 + static_cast<double>(time.tv_nsec);
    return subject.is_server ? wall : wall - waited_ns();
}

struct Gate {
    std::atomic<int> ready{0};
    std::array<std::atomic<double>, kMaxWorkers> ns{};
};

/// Those that work together have a processor each, or they would take turns instead.
void stay_on(int worker) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(static_cast<std::size_t>(worker), &set);
    ::sched_setaffinity(0, sizeof set, &set);
}

}  // namespace

void go_before_others() {
    const sched_param priority{.sched_priority = 1};
    (void)::sched_setscheduler(0, SCHED_FIFO, &priority);
}

namespace {

/// Everybody begins when everybody is there.
void work_once(const Subject& subject, int worker, std::uint64_t operations, Gate& gate) {
    if (subject.workers > 1) stay_on(worker);
    const Work work = subject.prepare(worker);
    // As many first as are measured: 100,000 values of 1 KiB fill a processor's cache, from which the
    // turn of another has just driven them, and how quickly they come back is not the question.
    work(operations);
    gate.ready.fetch_add(1);
    while (gate.ready.load() < subject.workers) ::sched_yield();
    go_before_others();
    const double begin = passed_ns(subject);
    work(operations);
    gate.ns[static_cast<std::size_t>(worker)] =
        (passed_ns(subject) - begin) / static_cast<double>(operations);
}

std::vector<double> run_round(const Subject& subject, std::uint64_t operations) {
    void* memory =
        ::mmap(nullptr, sizeof(Gate), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) std::abort();
    Gate& gate = *new (memory) Gate{};
    if (subject.uses_threads) {
        std::vector<std::thread> threads;
        for (int i = 0; i < subject.workers; ++i) {
            threads.emplace_back([&, i] { work_once(subject, i, operations, gate); });
        }
        for (std::thread& thread : threads) thread.join();
    } else {
        for (int i = 0; i < subject.workers; ++i) {
            if (::fork() != 0) continue;
            work_once(subject, i, operations, gate);
            ::_exit(0);
        }
        for (int i = 0; i < subject.workers; ++i) ::wait(nullptr);
    }
    std::vector<double> result;
    for (int i = 0; i < subject.workers; ++i)
        result.push_back(gate.ns[static_cast<std::size_t>(i)]);
    ::munmap(memory, sizeof(Gate));
    return result;
}

/// Of all rounds: the median; of a server the best.
Outcome outcome_of(const Subject& subject, std::vector<double> ns, std::vector<double> rates) {
    std::sort(ns.begin(), ns.end());
    std::sort(rates.begin(), rates.end());
    const std::size_t middle = ns.size() / 2;
    return {subject.name, subject.workers, subject.is_server ? ns.front() : ns[middle],
            subject.is_server ? rates.back() : rates[middle]};
}

}  // namespace

std::vector<Outcome> measure(const std::vector<Subject>& subjects, std::uint64_t operations,
                             int rounds) {
    std::vector<std::vector<double>> ns(subjects.size());
    std::vector<std::vector<double>> rates(subjects.size());
    for (int round = 0; round < rounds; ++round) {
        for (std::size_t i = 0; i < subjects.size(); ++i) {
            double rate = 0;
            double total = 0;
            for (const double each : run_round(subjects[i], operations / subjects[i].slower)) {
                total += each / subjects[i].workers;
                rate += 1e9 / each;
            }
            ns[i].push_back(total);
            rates[i].push_back(rate);
        }
    }
    std::vector<Outcome> outcomes;
    for (std::size_t i = 0; i < subjects.size(); ++i) {
        outcomes.push_back(outcome_of(subjects[i], ns[i], rates[i]));
    }
    return outcomes;
}

void print_outcomes(const char* group, const std::vector<Outcome>& outcomes) {
    for (const Outcome& outcome : outcomes) {
        std::printf(
            R"({"group": "%s", "name": "%s", "workers": %d, "ns": %.3f, "per_second": %.0f})"
            "\n",
            group, outcome.name.c_str(), outcome.workers, outcome.ns, outcome.per_second);
    }
    std::fflush(stdout);
}

void print_figure(const char* group, const char* name, double value) {
    std::printf(R"({"group": "%s", "name": "%s", "value": %.3f})"
                "\n",
                group, name, value);
    std::fflush(stdout);
}

}  // namespace cluster::store::bench
