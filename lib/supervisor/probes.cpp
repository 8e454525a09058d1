#include "supervisor/probes.hpp"

#include <fmt/core.h>

#include <cerrno>
#include <cstring>
#include <utility>
#include <variant>

#include "sys/datagram.hpp"

namespace cluster::supervisor {
namespace {

bool wants_probes(const core::Place& place, const core::WorkerSpec& spec) {
    const auto* const running = std::get_if<core::Running>(&place.instance.state);
    return running != nullptr && !running->ready_at && !running->is_leaving &&
           spec.policy.ready.kind == core::Readiness::Kind::probe;
}

}  // namespace

void Probes::follow(const core::Place& place, const core::WorkerSpec& spec, Instant now) {
    const Run run{place.slot, place.instance.generation};
    const auto found = entries_.find(place.slot);
    const bool is_wanted = wants_probes(place, spec);
    const core::Probe& ready = spec.policy.ready.probe;
    if (found != entries_.end()) {
        if (is_wanted && found->second.run == run && found->second.spec == ready) return;
        forget(place.slot);
    }
    if (!is_wanted) return;
    entries_.emplace(place.slot, Entry{.run = run,
                                       .spec = ready,
                                       .probe = ready::Probe(ready, now),
                                       .socket = {},
                                       .watch = {},
                                       .tries_second_address = false,
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
    close_socket(entry);
    if (entry.job) jobs_.abandon_probe(*std::exchange(entry.job, std::nullopt));
    entry.result.reset();
}

void Probes::close_socket(Entry& entry) {
    loop_.remove(std::exchange(entry.watch, {}));
    entry.socket.reset();
}

void Probes::on_time(const core::Fleet& fleet, Instant now) {
    for (auto& [slot, entry] : entries_) {
        if (entry.result) {
            const bool is_success = *std::exchange(entry.result, std::nullopt);
            entry.job.reset();
            close_socket(entry);
            entry.probe.on_result(is_success, now);
            if (entry.probe.is_ready()) ready_.push_back(entry.run);
        }
        while (true) {
            const ready::Probe::Order order = entry.probe.on_time(now);
            if (order == ready::Probe::Order::wait) break;
            if (order == ready::Probe::Order::abandon) {
                abandon(entry);
                entry.failure = "no answer in time";
                continue;
            }
            const core::Place* const place = fleet.find(slot);
            if (place == nullptr) break;
            begin(entry, *place, fleet.spec_of(*place));
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

std::string Probes::last_failure(Run run) const {
    const auto found = entries_.find(run.slot);
    return found != entries_.end() && found->second.run == run ? found->second.failure : "";
}

void Probes::begin(Entry& entry, const core::Place& place, const core::WorkerSpec& spec) {
    if (entry.spec.kind == core::Probe::Kind::command) return run_command(entry, place, spec);
    entry.tries_second_address = false;
    connect(entry);
}

/// localhost may be listened at under either of its addresses: one after the other is tried.
void Probes::connect(Entry& entry) {
    const bool is_local = entry.spec.host == "localhost";
    const char* const local = entry.tries_second_address ? "::1" : "127.0.0.1";
    auto socket = sys::begin_connect(is_local ? local : entry.spec.host, entry.spec.port);
    if (!socket && is_local && !std::exchange(entry.tries_second_address, true)) {
        return connect(entry);
    }
    if (!socket) {
        entry.failure = std::strerror(socket.error().code);
        entry.result = false;
        return;
    }
    entry.socket = std::move(*socket);
    auto watched = loop_.add(
        entry.socket.get(), {.readable = false, .writable = true},
        [this, run = entry.run](const ev::Ready&) { on_connection(run.slot, run.generation); });
    if (watched) {
        entry.watch = *watched;
    } else {
        entry.socket.reset();
        entry.result = false;
    }
}

void Probes::on_connection(Slot slot, Generation generation) {
    const auto found = entries_.find(slot);
    if (found == entries_.end() || found->second.run.generation != generation) return;
    Entry& entry = found->second;
    if (!entry.socket.is_open()) return;
    const bool is_success = sys::is_connected(entry.socket.get());
    close_socket(entry);
    const bool is_local = entry.spec.host == "localhost";
    if (!is_success && is_local && !std::exchange(entry.tries_second_address, true)) {
        return connect(entry);
    }
    entry.failure =
        is_success ? "" : fmt::format("nobody answers at {}:{}", entry.spec.host, entry.spec.port);
    entry.result = is_success;
}

void Probes::run_command(Entry& entry, const core::Place& place, const core::WorkerSpec& spec) {
    const auto plan = plan_(place, spec);
    if (!plan) {
        entry.failure =
            fmt::format("{}: {}", op_name(plan.error().op), std::strerror(plan.error().code));
        entry.result = false;
        return;
    }
    const Run run = entry.run;
    entry.job = jobs_.start_probe(plan->get(), [this, run](const std::string& failure) {
        const auto found = entries_.find(run.slot);
        if (found == entries_.end() || found->second.run != run) return;
        found->second.failure = failure;
        found->second.result = failure.empty();
    });
    if (entry.job) return;
    entry.failure = "too many probes at a time";
    entry.result = false;
}

}  // namespace cluster::supervisor
