// Many workers under random kills for a while: in the end all of them run, no descriptor is missing
// or left over, memory is where it was, and every death was heard exactly once.
//
// 300 workers for 10 seconds, or what CLUSTER_SOAK says: "WORKERS SECONDS", such as "1000 60".
#include <doctest/doctest.h>
#include <signal.h>

#include <cstdio>
#include <cstdlib>
#include <random>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "support/daemon.hpp"

namespace cluster::test {
namespace {

using Clock = std::chrono::steady_clock;

struct Size {
    int workers = 300;
    int seconds = 10;
};

Size chosen_size() {
    Size size;
    const char* chosen = std::getenv("CLUSTER_SOAK");
    if (chosen != nullptr && std::sscanf(chosen, "%d %d", &size.workers, &size.seconds) != 2) {
        FAIL("CLUSTER_SOAK is \"WORKERS SECONDS\"");
    }
    return size;
}

long pss_kib(pid_t pid) {
    const std::string rollup = text_of("/proc/" + std::to_string(pid) + "/smaps_rollup");
    const auto at = rollup.find("\nPss:");
    return at == std::string::npos ? -1 : std::atol(rollup.c_str() + at + 5);
}

/// What both processes hold while all workers run and nothing happens.
struct Holding {
    std::size_t keeper_descriptors = 0;
    std::size_t supervisor_descriptors = 0;
    long keeper_kib = 0;
    long supervisor_kib = 0;
};

Holding holding_of(const Daemon& daemon) {
    const Json status = daemon.status().at("daemon");
    const auto keeper = status.at("pid").get<pid_t>();
    const auto supervisor = status.at("supervisor_pid").get<pid_t>();
    // The connection that has just asked is closed in a later turn.
    std::size_t descriptors = count_descriptors(supervisor);
    CHECK(wait_until(
        [&] { return std::exchange(descriptors, count_descriptors(supervisor)) == descriptors; }));
    return {.keeper_descriptors = count_descriptors(keeper),
            .supervisor_descriptors = descriptors,
            .keeper_kib = pss_kib(keeper),
            .supervisor_kib = pss_kib(supervisor)};
}

/// Field 22 of /proc/PID/stat; 0 for a process that is gone or dead.
unsigned long long start_time_of(pid_t pid) {
    const std::string stat = text_of("/proc/" + std::to_string(pid) + "/stat");
    const auto name_end = stat.rfind(')');
    if (name_end == std::string::npos) return 0;
    std::istringstream fields(stat.substr(name_end + 2));
    char state = ' ';
    fields >> state;
    if (state == 'Z' || state == 'X') return 0;
    std::string skipped;
    for (int i = 0; i < 18; ++i) fields >> skipped;
    unsigned long long start = 0;
    fields >> start;
    return start;
}

class Killer {
public:
    Killer(const Daemon& daemon, unsigned seed) : keeper_(daemon.keeper_pid()), random_(seed) {}

    /// Kills random workers until `duration` has passed.
    void rage(const Daemon& daemon, milliseconds duration) {
        const pid_t supervisor = daemon.supervisor_pid();
        const auto end = Clock::now() + duration;
        while (Clock::now() < end) {
            kill_some(supervisor);
            pause(milliseconds{20});
        }
    }

    /// Distinct processes that were alive when they were hit.
    [[nodiscard]] std::size_t killed() const { return killed_.size(); }

private:
    void kill_some(pid_t supervisor) {
        const std::string id = std::to_string(keeper_);
        std::istringstream children(text_of("/proc/" + id + "/task/" + id + "/children"));
        std::vector<pid_t> workers;
        for (pid_t pid = 0; children >> pid;) {
            if (pid != supervisor) workers.push_back(pid);
        }
        if (workers.empty()) return;
        std::uniform_int_distribution<std::size_t> pick(0, workers.size() - 1);
        for (std::size_t i = 0, count = random_() % 16; i < count; ++i) {
            const pid_t pid = workers[pick(random_)];
            const auto start = start_time_of(pid);
            if (start == 0 || !killed_.insert({pid, start}).second) continue;
            if (::kill(pid, random_() % 4 == 0 ? SIGTERM : SIGKILL) != 0) {
                killed_.erase({pid, start});
            }
        }
    }

    pid_t keeper_;
    std::mt19937 random_;
    std::set<std::pair<pid_t, unsigned long long>> killed_;
};

bool are_all_running(const Daemon& daemon, std::size_t count) {
    const Json status = daemon.status();
    std::size_t running = 0;
    for (const auto& worker : status.at("workers")) running += worker.at("state") == "running";
    return running == count;
}

std::size_t restarts_of_all(const Daemon& daemon) {
    const Json status = daemon.status();
    std::size_t restarts = 0;
    for (const auto& worker : status.at("workers")) {
        restarts += worker.at("restarts").get<std::size_t>();
    }
    return restarts;
}

/// The keeper's children are the supervisor and one process for each worker, none of them dead.
bool has_only_living_children(const Daemon& daemon, std::size_t workers) {
    const std::string id = std::to_string(daemon.keeper_pid());
    std::istringstream children(text_of("/proc/" + id + "/task/" + id + "/children"));
    std::size_t count = 0;
    for (pid_t pid = 0; children >> pid; ++count) {
        if (start_time_of(pid) == 0) return false;
    }
    return count == workers + 1;
}

std::string config_of(int workers) {
    constexpr int kTables = 4;
    std::string config;
    for (int i = 0; i < kTables; ++i) {
        const int instances = workers / kTables + (i < workers % kTables ? 1 : 0);
        config += worker_table("w" + std::to_string(i), {worker_program("idle")},
                               "instances = " + std::to_string(instances) +
                                   "\nmin_uptime = \"10ms\"\n"
                                   "backoff = { initial = \"10ms\", max = \"200ms\" }\n");
    }
    return config;
}

}  // namespace

TEST_SUITE("soak") {
    TEST_CASE("soak/kills: everything is balanced after many workers died at random") {
        const Size size = chosen_size();
        const auto count = static_cast<std::size_t>(size.workers);
        const milliseconds duration{size.seconds * 1000};
        const unsigned seed = std::random_device{}();
        MESSAGE("SEED=" << seed);
        const Daemon daemon;
        const auto everyone = [&] {
            return wait_until([&] { return are_all_running(daemon, count); }, seconds{60});
        };
        REQUIRE(daemon.start(config_of(size.workers)).code == 0);
        REQUIRE(everyone());
        const pid_t keeper = daemon.keeper_pid();
        Killer killer(daemon, seed);
        // A successor of the supervisor has to have the same in hand, and memory settles first.
        killer.rage(daemon, duration / 4);
        ::kill(daemon.supervisor_pid(), SIGKILL);
        REQUIRE(wait_until([&] { return daemon.is_answering(); }));
        killer.rage(daemon, duration / 4);
        REQUIRE(everyone());
        const Holding before = holding_of(daemon);
        const std::size_t killed_before = killer.killed();
        killer.rage(daemon, duration / 2);
        REQUIRE(everyone());
        const Holding after = holding_of(daemon);
        MESSAGE(count << " workers, " << size.seconds << " s, " << killer.killed()
                      << " killed, of those since the first look "
                      << killer.killed() - killed_before << "; descriptors of the keeper "
                      << before.keeper_descriptors << " → " << after.keeper_descriptors
                      << ", of the supervisor " << before.supervisor_descriptors << " → "
                      << after.supervisor_descriptors << "; PSS of the keeper " << before.keeper_kib
                      << " → " << after.keeper_kib << " KiB, of the supervisor "
                      << before.supervisor_kib << " → " << after.supervisor_kib << " KiB");
        CHECK(killer.killed() > count / 4);
        CHECK(after.keeper_descriptors == before.keeper_descriptors);
        CHECK(after.supervisor_descriptors == before.supervisor_descriptors);
        if (!kIsSanitized) {
            CHECK(after.keeper_kib <= before.keeper_kib + 256);
            CHECK(after.supervisor_kib <= before.supervisor_kib + before.supervisor_kib / 10 + 256);
        }
        CHECK(restarts_of_all(daemon) == killer.killed());
        CHECK(has_only_living_children(daemon, count));
        CHECK(daemon.keeper_pid() == keeper);
        CHECK(daemon.status().at("daemon").at("supervisor_starts") == 2);
        CHECK(daemon.ctl({"shutdown"}, seconds{60}).code == 0);
        CHECK(wait_until([] { return descendants().empty(); }));
    }
}

}  // namespace cluster::test
