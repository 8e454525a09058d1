#include "sim/operator.hpp"

#include <algorithm>
#include <chrono>
#include <vector>

namespace cluster::sim {

namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

constexpr std::uint64_t kNames = 8;
constexpr std::uint64_t kMostInstances = 7;

}  // namespace

core::RestartLimit simulated_limit(core::RestartLimit::Then then) {
    return {4, 6s, then};
}

Duration Operator::pause() {
    return Duration{static_cast<Duration::rep>(prng_.below(80'000'000))};
}

std::uint64_t Operator::command(core::Fleet& fleet, Instant now) {
    std::string name{"w"};
    name += std::to_string(prng_.below(kNames));
    const Epoch epoch = fleet.begin_operation();
    const core::Worker* const worker = fleet.find_worker(name);
    trace_.note("command", {}, epoch.value, name[1], now);
    if (worker == nullptr) {
        static_cast<void>(fleet.add(random_spec(name), prng_.chance(0.3), now));
        return 1;
    }
    const std::uint64_t touched = std::max<std::uint64_t>(1, worker->slots.size());
    const std::uint64_t dice = prng_.below(100);
    if (dice == 99) return command_all(fleet, now);
    if (dice < 2) {
        fleet.remove(worker->index, now);
    } else if (dice < 10) {
        const auto instances = static_cast<std::uint32_t>(prng_.below(kMostInstances + 1));
        static_cast<void>(fleet.scale(worker->index, instances, now));
    } else if (dice < 15) {
        core::WorkerSpec spec = prng_.chance(0.5) ? random_spec(name) : worker->spec;
        if (prng_.chance(0.5)) spec.launch = worker->spec.launch;
        static_cast<void>(fleet.update(spec, now));
    } else {
        command_places(fleet, *worker, now);
    }
    return touched;
}

void Operator::command_places(core::Fleet& fleet, const core::Worker& worker, Instant now) {
    const bool is_single = prng_.chance(0.6);
    const std::uint64_t chosen = prng_.below(worker.slots.size());
    if (worker.slots.empty()) return;
    command(fleet, is_single ? std::vector<Slot>{worker.slots[chosen]} : worker.slots, now);
}

std::uint64_t Operator::command_all(core::Fleet& fleet, Instant now) {
    std::vector<Slot> slots;
    for (const core::Place* const place : fleet.places()) slots.push_back(place->slot);
    command(fleet, slots, now);
    return std::max<std::uint64_t>(1, slots.size());
}

void Operator::command(core::Fleet& fleet, const std::vector<Slot>& slots, Instant now) {
    const std::uint64_t verb = prng_.below(6);
    if (verb > 3) {
        fleet.reload(slots, prng_.chance(0.3), now);
    } else if (verb == 0) {
        fleet.stop(slots, now);
    } else if (verb == 1) {
        fleet.restart(slots, now);
    } else {
        fleet.start(slots, now);
    }
}

core::WorkerSpec Operator::random_spec(const std::string& name) {
    constexpr core::RestartPolicy kPolicies[] = {
        core::RestartPolicy::always, core::RestartPolicy::always, core::RestartPolicy::on_failure,
        core::RestartPolicy::never};
    constexpr Duration kInitial[] = {0s, 20ms, 300ms};
    constexpr Duration kStopTimeout[] = {0s, 200ms, 2s};
    core::WorkerSpec spec;
    spec.name = name;
    spec.instances = static_cast<std::uint32_t>(prng_.below(kMostInstances + 1));
    spec.autostart = prng_.chance(0.8);
    spec.launch.command = {std::to_string(prng_.below(4))};
    spec.policy.restart = kPolicies[prng_.below(4)];
    spec.policy.backoff = {kInitial[prng_.below(3)], 2.0, 2s, 0.2, 3s};
    // By name, so that an update does not change it under the eyes of the witness.
    spec.policy.restart_limit = simulated_limit(name[1] % 2 == 0 ? core::RestartLimit::Then::fatal
                                                                 : core::RestartLimit::Then::slow);
    spec.policy.stop_timeout = kStopTimeout[prng_.below(3)];
    spec.policy.min_uptime = prng_.chance(0.2) ? Duration{0} : Duration{500ms};
    spec.policy.start_timeout = prng_.chance(0.5) ? Duration{2s} : Duration{10s};
    constexpr core::Readiness::Kind kReady[] = {
        core::Readiness::Kind::exec, core::Readiness::Kind::notify, core::Readiness::Kind::probe};
    spec.policy.ready.kind = kReady[prng_.below(3)];
    constexpr core::ReloadSpec::Mode kModes[] = {core::ReloadSpec::Mode::automatic,
                                                 core::ReloadSpec::Mode::overlap,
                                                 core::ReloadSpec::Mode::stop_first};
    spec.reload.mode = kModes[prng_.below(3)];
    spec.reload.batch = static_cast<std::uint32_t>(1 + prng_.below(3));
    spec.reload.surge = static_cast<std::uint32_t>(1 + prng_.below(3));
    if (prng_.chance(0.2)) spec.reload.signal = 1;
    // Only those before it: never a cycle. They need not exist.
    for (char other = '0'; other < name[1]; ++other) {
        const std::string before = std::string{"w"} + other;
        if (prng_.chance(0.15)) spec.requirements.push_back(before);
        if (prng_.chance(0.1)) spec.wants.push_back(before);
        if (prng_.chance(0.1)) spec.after.push_back(before);
    }
    return spec;
}

}  // namespace cluster::sim
