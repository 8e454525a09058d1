// cluster_sim [--seed N] [--events N] [--twice]: plays one seed, or a fresh one, and says how to
// replay it. Exit code 1: a rule was broken, or the same seed gave two different lives. Its speed
// is also given by seconds of the processor, which a busy machine does not stretch.
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <iostream>
#include <memory>
#include <random>

#include "sim/simulation.hpp"

namespace {

struct Arguments {
    std::uint64_t seed = 0;
    std::uint64_t events = 1'000'000;
    bool twice = false;
};

/// False: not understood.
bool parse(int argc, char** argv, Arguments& arguments) {
    std::random_device device;
    arguments.seed = (std::uint64_t{device()} << 32U) | device();
    for (int i = 1; i < argc; ++i) {
        const bool has_value = i + 1 < argc;
        if (std::strcmp(argv[i], "--twice") == 0) {
            arguments.twice = true;
        } else if (std::strcmp(argv[i], "--seed") == 0 && has_value) {
            arguments.seed = std::strtoull(argv[++i], nullptr, 10);
        } else if (std::strcmp(argv[i], "--events") == 0 && has_value) {
            arguments.events = std::strtoull(argv[++i], nullptr, 10);
        } else {
            return false;
        }
    }
    return true;
}

cluster::sim::Report play(const Arguments& arguments) {
    const auto simulation = std::make_unique<cluster::sim::Simulation>(arguments.seed);
    const auto started = std::chrono::steady_clock::now();
    const std::clock_t cpu_started = std::clock();
    cluster::sim::Report report = simulation->run(arguments.events);
    const std::clock_t cpu_took = std::clock() - cpu_started;
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - started;
    const auto rate = [&](double seconds) {
        return static_cast<std::uint64_t>(static_cast<double>(report.events) / seconds);
    };
    std::cout << "events=" << report.events << " virtual_s=" << report.virtual_ms / 1000
              << " spawned=" << report.spawned << " supervisor_deaths=" << report.supervisor_deaths
              << " calms=" << report.calms << " hash=" << std::hex << report.hash << std::dec
              << " events_per_second=" << rate(took.count()) << " events_per_cpu_second="
              << rate(static_cast<double>(cpu_took) / CLOCKS_PER_SEC) << "\n";
    if (!report.broken.empty()) {
        simulation->print_trace(std::cout);
        std::cout << "BROKEN: " << report.broken << "\nreplay: cluster_sim --seed "
                  << arguments.seed << " --events " << arguments.events << "\n";
    }
    return report;
}

}  // namespace

int main(int argc, char** argv) {
    Arguments arguments;
    if (!parse(argc, argv, arguments)) {
        std::cerr << "usage: cluster_sim [--seed N] [--events N] [--twice]\n";
        return 2;
    }
    const char* const commit = std::getenv("CLUSTER_COMMIT");
    std::cout << "SEED=" << arguments.seed << " COMMIT=" << (commit != nullptr ? commit : "unknown")
              << std::endl;
    const cluster::sim::Report first = play(arguments);
    if (!first.broken.empty()) return 1;
    if (!arguments.twice) return 0;
    const cluster::sim::Report second = play(arguments);
    if (second.hash == first.hash && second.broken.empty()) return 0;
    std::cout << "BROKEN: one seed, two lives\n";
    return 1;
}
