#include "supervisor/probes.hpp"

#include <fmt/core.h>

#include <cstring>
#include <utility>
#include <variant>

#include "conf/values.hpp"

namespace cluster::supervisor {
namespace {

using Purpose = ready::Probe::Purpose;
using Result = ready::Probe::Result;

/// What a run is asked now; nothing: it is left alone.
struct Wanted {
    Purpose purpose;
    const core::Probe* probe;
};
std::optional<Wanted> wanted_probe(const core::Place& place, const core::WorkerSpec& spec) {
    const auto* const running = std::get_if<core::Running>(&place.instance.state);
    if (running == nullptr || running->is_leaving) return std::nullopt;
    const core::Policy& policy = spec.policy;
    if (running->ready_at) {
        if (policy.liveness.kind == core::Probe::Kind::none) return std::nullopt;
        return Wanted{Purpose::liveness, &policy.liveness};
    }
    if (policy.ready.kind != core::Readiness::Kind::probe) return std::nullopt;
    return Wanted{Purpose::readiness, &policy.ready.probe};
}

std::string timeout_text(const core::Probe& probe) {
    const std::string limit = conf::format_duration(probe.timeout);
    if (probe.kind == core::Probe::Kind::command) {
        return fmt::format("{} does not end within {}", probe.command.front(), limit);
    }
    return fmt::format("no answer from {} within {}", target_of(probe), limit);
}

}  // namespace

void Probes::follow(const core::Place& place, const core::WorkerSpec& spec, Instant now) {
    const Run run{place.slot, place.instance.generation};
    const auto found = entries_.find(place.slot);
    const std::optional<Wanted> wanted = wanted_probe(place, spec);
    if (found != entries_.end()) {
        const Entry& entry = found->second;
        const bool goes_on = wanted && entry.run == run && *entry.spec == *wanted->probe &&
                             entry.probe.purpose() == wanted->purpose;
        if (goes_on) return;
        forget(place.slot);
    }
    if (!wanted) return;
    entries_.emplace(place.slot,
                     Entry{.run = run,
                           .spec = std::make_unique<const core::Probe>(*wanted->probe),
                           .probe = ready::Probe(wanted->purpose, *wanted->probe, now),
                           .connection = nullptr,
                           .job = std::nullopt,
                           .result = std::nullopt,
                           .failure = {}});
}

void Probes::forget(Slot slot) {
    const auto found = entries_.find(slot);
    if (found == entries_.end()) return;
    abandon(found->second);
    entries_.erase(found);
}

void Probes::abandon(Entry& entry) {
    entry.connection.reset();
    if (entry.job) jobs_.abandon_probe(*std::exchange(entry.job, std::nullopt));
    entry.result.reset();
}

void Probes::take_result(Entry& entry, Instant now) {
    const Result result = *std::exchange(entry.result, std::nullopt);
    entry.job.reset();
    entry.connection.reset();
    entry.probe.on_result(result, now);
}

void Probes::on_time(const core::Fleet& fleet, Instant now) {
    using Verdict = ready::Probe::Verdict;
    for (auto& [slot, entry] : entries_) {
        const Verdict before = entry.probe.verdict();
        if (entry.result) take_result(entry, now);
        while (true) {
            const ready::Probe::Order order = entry.probe.on_time(now);
            if (order == ready::Probe::Order::wait) break;
            if (order == ready::Probe::Order::abandon) {
                abandon(entry);
                entry.failure = timeout_text(*entry.spec);
                continue;
            }
            const core::Place* const place = fleet.find(slot);
            if (place == nullptr) break;
            begin(entry, *place, fleet.spec_of(*place));
        }
        const Verdict verdict = entry.probe.verdict();
        if (verdict == Verdict::ready && before != verdict) ready_.push_back(entry.run);
        if (verdict == Verdict::hung) {
            hung_.push_back({entry.run, entry.failure});
            // Where nothing comes of it, because the run is about to be stopped, it is left alone.
            entry.probe.begin_again();
        }
    }
}

std::optional<Instant> Probes::next_deadline() const {
    std::optional<Instant> next;
    for (const auto& [slot, entry] : entries_) {
        if (entry.result) return Instant{};
        next = earliest(next, entry.probe.next_deadline());
    }
    return next;
}

std::vector<Run> Probes::take_ready() {
    return std::exchange(ready_, {});
}

std::vector<Probes::Hung> Probes::take_hung() {
    return std::exchange(hung_, {});
}

std::string Probes::last_failure(Run run, ready::Probe::Purpose purpose) const {
    const auto found = entries_.find(run.slot);
    const bool is_asked = found != entries_.end() && found->second.run == run &&
                          found->second.probe.purpose() == purpose;
    return is_asked ? found->second.failure : "";
}

void Probes::begin(Entry& entry, const core::Place& place, const core::WorkerSpec& spec) {
    if (entry.spec->kind == core::Probe::Kind::command) return run_command(entry, place, spec);
    entry.connection = std::make_unique<ProbeConnection>(
        loop_, *entry.spec,
        [this, run = entry.run](const std::string& failure) { on_end(run, failure); });
    entry.connection->begin();
}

void Probes::on_end(Run run, const std::string& failure) {
    const auto found = entries_.find(run.slot);
    if (found == entries_.end() || found->second.run != run) return;
    found->second.failure = failure;
    found->second.result = failure.empty() ? Result::good : Result::bad;
}

void Probes::run_command(Entry& entry, const core::Place& place, const core::WorkerSpec& spec) {
    const auto plan = plan_(place, spec, entry.spec->command);
    if (!plan) {
        entry.failure =
            fmt::format("{}: {}", op_name(plan.error().op), std::strerror(plan.error().code));
        entry.result = Result::bad;
        return;
    }
    entry.job =
        jobs_.start_probe(plan->get(), [this, run = entry.run](const std::string& failure) {
            const auto found = entries_.find(run.slot);
            if (found == entries_.end() || !found->second.job) return;
            const std::string& program = found->second.spec->command.front();
            on_end(run, failure.empty() ? "" : fmt::format("{}: {}", program, failure));
        });
    if (entry.job) return;
    entry.failure = "too many probes at a time";
    entry.result = Result::not_asked;
}

}  // namespace cluster::supervisor
