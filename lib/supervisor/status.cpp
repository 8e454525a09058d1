#include "supervisor/status.hpp"

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>
#include <variant>

#include "core/node_launch.hpp"
#include "core/selector.hpp"
#include "ctl/version.hpp"
#include "supervisor/logs.hpp"
#include "supervisor/reload_texts.hpp"
#include "supervisor/requirements.hpp"
#include "supervisor/wording.hpp"
#include "sys/clock.hpp"
#include "sys/process.hpp"

namespace cluster::supervisor {

ctl::LastExit describe_exit(const core::LastExit& last, const core::Launch& launch, Instant now) {
    ctl::LastExit result;
    result.reason = reason_name(last.reason);
    result.at_ms = sys::wall_ms() - to_ms(now - last.at);
    switch (last.status.kind) {
        case core::ExitStatus::Kind::code:
            result.code = last.status.value;
            break;
        case core::ExitStatus::Kind::signal:
            result.signal = signal_text(last.status.value);
            break;
        case core::ExitStatus::Kind::spawn_failed:
            result.detail = exit_text(launch, last.status);
            break;
        case core::ExitStatus::Kind::unknown:
            result.reason = "unknown";
            break;
    }
    if (last.reason == core::ExitReason::watchdog) {
        result.detail = "it hung: its watchdog ran out";
    } else if (last.reason == core::ExitReason::liveness) {
        result.detail = "it hung: its liveness probe failed too often in a row";
    } else if (last.reason == core::ExitReason::channel) {
        result.detail = "its channel was closed, as the log says, and it ended with that";
    }
    return result;
}

ctl::SocketStatus describe_socket(const Sockets& sockets, const core::SocketSpec& spec) {
    const Sockets::Seen seen = sockets.seen(spec);
    ctl::SocketStatus result;
    result.name = spec.name;
    result.kind = core::kind_name(spec);
    result.listen = core::listen_text(spec);
    if (!seen.address.empty()) result.address = seen.address;
    if (!seen.problem.empty()) result.problem = seen.problem;
    result.waiting = seen.waiting;
    return result;
}

bool is_selected(const std::vector<std::string>& selectors, const core::WorkerSpec& spec,
                 const core::Place& place) {
    return selectors.empty() ||
           std::any_of(selectors.begin(), selectors.end(), [&](const std::string& selector) {
               return core::selects(selector, spec.name, place.number, spec.group);
           });
}

std::optional<double> CpuSamples::percent(Run run, std::int32_t pid, Instant started,
                                          Instant now) {
    Sample& sample = samples_[run.slot];
    if (sample.generation != run.generation) {
        sample = {.generation = run.generation, .at = started, .cpu_ns = 0, .percent = 0};
    }
    const Duration age = now - sample.at;
    if (age >= kMinAge) {
        const auto cpu_ns = sys::process_cpu_ns(pid);
        if (!cpu_ns) return std::nullopt;
        const std::uint64_t used = *cpu_ns - std::min(*cpu_ns, sample.cpu_ns);
        const double share = static_cast<double>(used) / static_cast<double>(age.count());
        sample = {
            .generation = run.generation, .at = now, .cpu_ns = *cpu_ns, .percent = share * 100.0};
    }
    return std::round(sample.percent * 10.0) / 10.0;
}

ctl::VersionAnswer StatusReader::version() const {
    return {.version = ctl::version(),
            .control_version = ctl::kControlVersion,
            .pid = keeper_.table().header.keeper_pid,
            .supervisor_pid = sys::current_pid(),
            .events = {},
            .successions = keeper_.table().header.successions};
}

ctl::StatusAnswer StatusReader::read(const ctl::request::Status& request,
                                     const DaemonFacts& facts, Instant now) {
    const auto& fields = request.fields;
    const auto wants = [&fields](std::string_view name) {
        return fields.empty() || std::find(fields.begin(), fields.end(), name) != fields.end();
    };
    const bool wants_usage = wants("rss_bytes") || wants("cpu_percent");
    const bool wants_logs = wants("out_log") || wants("err_log");
    const wire::TableHeader& header = keeper_.table().header;
    ctl::StatusAnswer answer;
    answer.fields = fields;
    answer.daemon.pid = header.keeper_pid;
    answer.daemon.supervisor_pid = sys::current_pid();
    answer.daemon.version = ctl::version();
    answer.daemon.uptime_ms = to_ms(now - from_ns(header.keeper_started_ns));
    answer.daemon.config = facts.config;
    answer.daemon.log_dir = facts.log_dir;
    answer.daemon.supervisor_starts = header.supervisor_starts;
    std::set<std::string> sockets;
    const auto places = fleet_.places();
    answer.workers.reserve(places.size());
    for (const core::Place* place : places) {
        const core::WorkerSpec& spec = fleet_.worker(place->worker)->spec;
        if (!is_selected(request.selectors, spec, *place)) continue;
        ctl::WorkerStatus& row = answer.workers.emplace_back(read_place(*place, spec, now));
        if (row.pid && wants_usage) read_usage(*place, row, now);
        if (wants_logs) {
            const LogPaths logs = log_paths(facts.log_dir, spec, place->number);
            row.out_log = logs.output;
            row.err_log = logs.error;
        }
        for (const core::SocketSpec* socket : core::sockets_of(spec)) {
            if (sockets.insert(socket->name).second) {
                answer.sockets.push_back(describe_socket(sockets_, *socket));
            }
        }
    }
    return answer;
}

ctl::WorkerStatus StatusReader::read_place(const core::Place& place, const core::WorkerSpec& spec,
                                           Instant now) {
    const core::Instance& instance = place.instance;
    ctl::WorkerStatus row;
    row.id = core::instance_id(spec.name, place.number);
    row.name = spec.name;
    row.instance = place.number;
    if (!spec.group.empty()) row.group = spec.group;
    row.state = core::state_name(instance.state);
    row.restarts = instance.history.restarts;
    row.is_wanted = instance.desired == core::Desired::up;
    const LogTrouble trouble = outputs_.trouble_of({place.slot, instance.generation});
    if (!trouble.problem.empty()) row.log_problem = trouble.problem;
    row.log_lost_bytes = trouble.lost_bytes;
    if (instance.history.last_exit)
        row.last_exit =
            describe_exit(*instance.history.last_exit, fleet_.spec_of(place).launch, now);
    if (const auto* running = std::get_if<core::Running>(&instance.state))
        row.ready = running->ready_at.has_value() && !running->is_leaving;
    row.waits_for = waits_for_text(fleet_, place);
    row.reload = reload_word(fleet_, place);
    row.is_outdated = place.role == core::Role::current && fleet_.is_behind(place);
    const std::string why_not = watch_.why_not_ready({place.slot, instance.generation});
    if (!row.waits_for && !why_not.empty()) row.waits_for = "it to be ready: " + why_not;
    const bool is_running = std::holds_alternative<core::Running>(instance.state);
    if (!row.waits_for && !is_running && row.is_wanted) row.waits_for = sockets_.problem(spec);
    if (const auto* backoff = std::get_if<core::BackingOff>(&instance.state)) {
        row.next_start_ms = std::max<std::int64_t>(0, to_ms(backoff->until - now));
    }
    if (core::is_occupied(instance.state)) read_process(place, row, now);
    return row;
}

void StatusReader::add_health(const core::Place& place, ctl::Description& description) const {
    const auto* said = watch_.said({place.slot, place.instance.generation});
    if (said != nullptr) description.refused_notifications = said->refused;
    description.stored_descriptors = watch_.stored(place);
    std::string failure = watch_.liveness_failure({place.slot, place.instance.generation});
    if (!failure.empty()) description.liveness_failure = std::move(failure);
    description.cluster = cluster_of(place, description.status.uptime_ms.value_or(0));
}

std::optional<ctl::ClusterStatus> StatusReader::cluster_of(const core::Place& place,
                                                           std::int64_t uptime_ms) const {
    namespace note = nodecluster::note;
    /// A process of Node.js says that it is online some 100 ms after its start.
    constexpr std::int64_t kSilentMs = 5000;
    const auto facts = clusters_.facts({place.slot, place.instance.generation});
    if (!facts || !core::is_occupied(place.instance.state)) return std::nullopt;
    const std::uint32_t notes = facts->state.notes;
    const auto has = [&](std::uint32_t bit) { return (notes & bit) != 0; };
    ctl::ClusterStatus status;
    status.state = has(note::kDisconnected) ? "leaving"
                   : has(note::kDrainAsked) ? "draining"
                   : has(note::kListening)  ? "listening"
                   : has(note::kOnline)     ? "online"
                                            : "offline";
    status.drains = has(note::kCanDrain);
    status.unanswered = static_cast<std::uint32_t>(facts->state.unanswered);
    for (std::size_t i = 0; i < facts->state.held.size(); ++i) {
        const auto& seen = facts->state.held[i];
        status.addresses.push_back({facts->addresses[i],
                                    seen.is_round_robin ? "round-robin" : "shared",
                                    seen.handed_over});
    }
    if (!facts->problem.empty()) status.problem = facts->problem;
    // A wrapper takes itself for the worker, and is online then, but it is its child that listens.
    const auto wrapper = core::node_wrapper(fleet_.spec_of(place).launch);
    if (wrapper && !has(note::kListening)) {
        status.warning = wrapper_text(*wrapper);
    } else if (!has(note::kOnline) && uptime_ms >= kSilentMs) {
        status.warning = "it has not said that it is a worker of a cluster: is the program that "
                         "was executed node, with a script?";
    }
    return status;
}

void StatusReader::read_process(const core::Place& place, ctl::WorkerStatus& row, Instant now) {
    const auto record = keeper_.slot(place.slot);
    const bool is_current =
        record && record->generation == place.instance.generation.value && record->pid > 0;
    const Run run{place.slot, place.instance.generation};
    const auto main = watch_.mains().pid(run);
    if (!is_current || (record->state != wire::SlotState::running && !main)) return;
    row.pid = main.value_or(record->pid);
    const auto* const said = watch_.said(run);
    if (said != nullptr && !said->status.empty()) row.status_text = said->status;
    const auto channel = channels_.facts({place.slot, place.instance.generation});
    if (channel && channel->record != nullptr && channel->record->status_size > 0) {
        row.status_text = std::string{channel->record->status, channel->record->status_size};
    }
    row.uptime_ms = to_ms(now - from_ns(record->spawned_ns));
}

void StatusReader::read_usage(const core::Place& place, ctl::WorkerStatus& row, Instant now) {
    const auto rss = sys::process_rss(*row.pid);
    const auto record = keeper_.slot(place.slot);
    if (!rss || !record) return;
    row.rss_bytes = *rss;
    row.cpu_percent = cpu_.percent({place.slot, place.instance.generation}, *row.pid,
                                   from_ns(record->spawned_ns), now);
}

std::optional<ctl::ChannelStatus> StatusReader::channel_of(Run run, Instant now) const {
    const auto facts = channels_.facts(run);
    if (!facts) return std::nullopt;
    ctl::ChannelStatus status;
    status.mode = facts->is_node ? "node" : "json";
    status.state = facts->state;
    if (facts->record == nullptr) return status;
    const channel::Record& record = *facts->record;
    status.received = record.counts.received;
    status.sent = record.counts.sent;
    status.queued_bytes = facts->queued_bytes;
    const auto is_used = [](const auto& entry) { return entry.is_used != 0; };
    status.subscriptions = static_cast<std::uint32_t>(
        std::count_if(std::begin(record.subscriptions), std::end(record.subscriptions), is_used));
    status.requests = static_cast<std::uint32_t>(
        std::count_if(std::begin(record.pending), std::end(record.pending), is_used));
    if (record.heartbeat_ns != 0) status.heartbeat_ms = to_ms(now - from_ns(record.heartbeat_ns));
    status.malformed = record.counts.malformed;
    status.too_long = record.counts.too_long;
    status.unfinished = record.counts.unfinished;
    status.dropped = record.counts.dropped;
    status.undeliverable = record.counts.undeliverable;
    status.unanswered = record.counts.unanswered;
    status.descriptors = record.counts.descriptors;
    status.unmatched = record.counts.unmatched;
    return status;
}

}  // namespace cluster::supervisor
