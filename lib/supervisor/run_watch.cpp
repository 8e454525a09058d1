#include "supervisor/run_watch.hpp"

#include <fmt/core.h>

#include <chrono>
#include <variant>

#include "conf/values.hpp"
#include "core/reload.hpp"
#include "core/selector.hpp"
#include "supervisor/log.hpp"
#include "supervisor/plan_compiler.hpp"
#include "sys/process.hpp"

namespace cluster::supervisor {
namespace {

/// A probe shall not compete with the worker that it asks.
constexpr int kProbePriority = 10;

bool needs_socket(const core::WorkerSpec& spec) {
    return spec.policy.ready.kind == core::Readiness::Kind::notify ||
           spec.policy.watchdog > Duration::zero() || spec.launch.fd_store_max > 0;
}

/// As the worker runs, but for its standard streams and its priority.
Result<sys::UniqueFd> probe_plan(const core::Place& place, const core::WorkerSpec& spec,
                                 const std::vector<std::string>& command,
                                 const Variables& safe_base) {
    core::Launch launch = core::launch_with_sockets(spec);
    launch.command = command;
    if (!launch.nice || *launch.nice < kProbePriority) launch.nice = kProbePriority;
    const InstanceName name{
        .worker = spec.name, .number = place.number, .instances = spec.instances};
    return compile_plan(launch, name, {}, safe_base);
}

}  // namespace

RunWatch::RunWatch(ev::Loop& loop, KeeperLink& keeper, Jobs& jobs, const core::Fleet& fleet,
                   const Variables& safe_base, const std::string& runtime_dir)
    : keeper_(keeper),
      fleet_(fleet),
      safe_base_(safe_base),
      mains_(loop, keeper),
      stored_(loop, keeper),
      sockets_(loop, keeper, mains_, runtime_dir + "/notify",
               [this](Run run, const ready::Notification& notification,
                      std::span<sys::UniqueFd> fds) {
                   return store(run, notification, fds);
               }),
      pipes_(loop, keeper),
      watchdogs_(keeper, sockets_),
      probes_(loop, jobs,
              [this](const core::Place& place, const core::WorkerSpec& spec,
                     const std::vector<std::string>& command) {
                  return probe_plan(place, spec, command, safe_base_);
              }),
      memory_(keeper, mains_) {}

Status RunWatch::prepare(const core::Place& place, const core::WorkerSpec& spec,
                         Inheritance& inheritance) {
    const Run run{place.slot, place.instance.generation};
    if (spec.policy.ready.kind == core::Readiness::Kind::notification_fd) {
        const int number = spec.policy.ready.notification_fd;
        if (auto opened = pipes_.open(run, number, inheritance); !opened) return opened;
    }
    if (!needs_socket(spec)) return {};
    // Of a user who cannot be found the plan will tell.
    const OutputOwner owner =
        output_owner(spec.launch).value_or(OutputOwner{sys::current_uid(), sys::current_gid()});
    std::string id = core::instance_id(spec.name, place.number);
    // The run beside it has the instance's own, and is not done with it.
    if (place.role == core::Role::incoming) id += "-" + std::to_string(place.slot.value);
    auto path = sockets_.open(run, id, owner.uid, owner.gid);
    if (!path) return tl::unexpected(path.error());
    inheritance.set_variable("NOTIFY_SOCKET", std::move(*path));
    if (const Duration interval = spec.policy.watchdog; interval > Duration::zero()) {
        const auto us = std::chrono::duration_cast<std::chrono::microseconds>(interval).count();
        inheritance.set_variable("WATCHDOG_USEC", std::to_string(us));
        inheritance.set_pid_variable("WATCHDOG_PID");
    }
    if (spec.launch.fd_store_max > 0) {
        inheritance.set_variable("FDSTORE", std::to_string(spec.launch.fd_store_max));
        stored_.hand_over(owner_of(place), inheritance);
    }
    return {};
}

void RunWatch::resume(std::vector<HeldDescriptor>& held) {
    stored_.resume(held);
    for (HeldDescriptor& item : held) {
        if (item.key.kind != wire::HeldKind::notify) continue;
        const Run run{Slot{item.key.slot}, Generation{item.key.generation}};
        const core::Place* const place = fleet_.find(run);
        if (place == nullptr) {
            keeper_.drop(item.key);
            continue;
        }
        if (item.key.index == kHeldInterval) {
            if (const auto interval = read_interval(item.fd.get())) {
                watchdogs_.resume(run, *interval);
            }
            continue;
        }
        if (item.key.index == kHeldMainProcess) {
            mains_.resume(run, std::move(item.fd));
            continue;
        }
        if (item.key.index == kHeldNotification) {
            pipes_.resume(run, std::move(item.fd));
            continue;
        }
        const std::string& worker = fleet_.worker(place->worker)->spec.name;
        sockets_.resume(run, core::instance_id(worker, place->number), std::move(item.fd));
    }
}

void RunWatch::on_time(Instant now, const Tell& tell) {
    sockets_.on_time(now);
    mains_.on_time(now);
    watchdogs_.on_time(now);
    probes_.on_time(fleet_, now);
    memory_.on_time(now);
    tell_heard(tell);
    for (const Run run : probes_.take_ready()) {
        tell(run.slot, core::event::BecameReady{run.generation});
    }
    for (const Probes::Hung& hung : probes_.take_hung()) {
        log::warn(fmt::format("{}: its liveness probe failed too often in a row: {}",
                              id_of(hung.run), hung.failure));
        tell(hung.run.slot, core::event::Hung{hung.run.generation, core::ExitReason::liveness});
    }
    for (const Watchdogs::Hung& hung : watchdogs_.take_hung()) {
        log::warn(fmt::format("{}: its watchdog ran out: no WATCHDOG=1 for {}", id_of(hung.run),
                              conf::format_duration(hung.silence)));
        tell(hung.run.slot, core::event::Hung{hung.run.generation, core::ExitReason::watchdog});
    }
    for (const Run run : memory_.take_over_limit()) {
        tell(run.slot, core::event::OverMemory{run.generation});
    }
}

void RunWatch::tell_heard(const Tell& tell) {
    for (const Run run : pipes_.take_ready()) {
        const core::Place* place = fleet_.find(run.slot);
        if (place == nullptr) continue;
        const core::Readiness::Kind kind = fleet_.spec_of(*place).policy.ready.kind;
        if (kind != core::Readiness::Kind::notification_fd) continue;
        tell(run.slot, core::event::BecameReady{run.generation});
    }
    for (const NotifySockets::Heard& heard : sockets_.take_heard()) {
        if (counts(heard)) tell(heard.run.slot, heard.event);
    }
}

/// Of a run that is judged otherwise READY=1 says no more than that it has reloaded itself.
bool RunWatch::counts(const NotifySockets::Heard& heard) const {
    if (std::holds_alternative<core::event::Hung>(heard.event)) {
        log::warn(fmt::format("{}: it said WATCHDOG=trigger", id_of(heard.run)));
    }
    if (!std::holds_alternative<core::event::BecameReady>(heard.event)) return true;
    const core::Place* place = fleet_.find(heard.run.slot);
    if (place == nullptr) return false;
    return core::is_reloading(place->instance) ||
           fleet_.spec_of(*place).policy.ready.kind == core::Readiness::Kind::notify;
}

StoredFds::Owner RunWatch::owner_of(const core::Place& place) const {
    return {fleet_.worker(place.worker)->spec.name, place.number};
}

std::vector<std::string> RunWatch::stored(const core::Place& place) const {
    return stored_.names(owner_of(place));
}

std::string RunWatch::store(Run run, const ready::Notification& notification,
                            std::span<sys::UniqueFd> fds) {
    const core::Place* const place = fleet_.find(run.slot);
    if (place == nullptr || place->instance.generation != run.generation) return "";
    const std::uint32_t most = fleet_.spec_of(*place).launch.fd_store_max;
    const std::string name = notification.fd_name.value_or(ready::kDefaultFdName);
    // A message that says both removes what was there under the name.
    if (notification.removes_fds) stored_.remove(owner_of(*place), name);
    if (!notification.stores_fds) return "";
    const std::size_t refused =
        stored_.add(owner_of(*place), most, name, notification.polls_fds, fds);
    if (refused == 0) return "";
    return fmt::format("a descriptor that it wanted to store was refused: fd_store_max is {}", most);
}

std::string RunWatch::why_not_ready(Run run) const {
    const std::string closed = pipes_.failure(run);
    return closed.empty() ? probes_.last_failure(run, ready::Probe::Purpose::readiness)
                          : closed;
}

std::string RunWatch::id_of(Run run) const {
    const core::Place* place = fleet_.find(run.slot);
    if (place == nullptr) return "?";
    return core::instance_id(fleet_.worker(place->worker)->spec.name, place->number);
}

void RunWatch::follow(const std::vector<Slot>& slots, Instant now) {
    sockets_.confirm();
    for (const Slot slot : slots) {
        const core::Place* place = fleet_.find(slot);
        const auto socket = sockets_.run_of(slot);
        const bool is_down = place == nullptr || !core::is_occupied(place->instance.state);
        const bool is_over = is_down || (socket && place->instance.generation != socket->generation);
        if (socket && is_over) sockets_.close(*socket);
        if (is_down) pipes_.forget(slot);
        if (is_down) mains_.forget(slot);
        if (place == nullptr) {
            watchdogs_.forget(slot);
            probes_.forget(slot);
            memory_.forget(slot);
            continue;
        }
        pipes_.forget_others(slot, place->instance.generation);
        mains_.forget_others(slot, place->instance.generation);
        const core::WorkerSpec& spec = fleet_.spec_of(*place);
        watchdogs_.follow(*place, spec, now);
        probes_.follow(*place, spec, now);
        memory_.follow(*place, spec, now);
    }
    if (!slots.empty()) stored_.follow(fleet_);
}

std::optional<Instant> RunWatch::next_deadline() const {
    auto next = earliest(sockets_.next_deadline(), probes_.next_deadline());
    next = earliest(next, mains_.next_deadline());
    return earliest(earliest(next, watchdogs_.next_deadline()), memory_.next_deadline());
}

}  // namespace cluster::supervisor
