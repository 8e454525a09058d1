#include "supervisor/run_watch.hpp"

#include "core/selector.hpp"
#include "supervisor/plan_compiler.hpp"
#include "sys/process.hpp"

namespace cluster::supervisor {
namespace {

/// A probe shall not compete with the worker that it asks.
constexpr int kProbePriority = 10;

/// As the worker runs, but for its standard streams and its priority.
Result<sys::UniqueFd> probe_plan(const core::Place& place, const core::WorkerSpec& spec,
                                 const Variables& safe_base) {
    core::Launch launch = core::launch_with_sockets(spec);
    launch.command = spec.policy.ready.command;
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
      sockets_(loop, keeper, runtime_dir + "/notify"),
      probes_(loop, jobs,
              [this](const core::Place& place, const core::WorkerSpec& spec) {
                  return probe_plan(place, spec, safe_base_);
              }),
      memory_(keeper) {}

Status RunWatch::prepare(const core::Place& place, const core::WorkerSpec& spec,
                         Inheritance& inheritance) {
    if (spec.policy.ready.kind != core::Readiness::Kind::notify) return {};
    // Of a user who cannot be found the plan will tell.
    const OutputOwner owner =
        output_owner(spec.launch).value_or(OutputOwner{sys::current_uid(), sys::current_gid()});
    std::string id = core::instance_id(spec.name, place.number);
    // The run beside it has the instance's own, and is not done with it.
    if (place.role == core::Role::incoming) id += "-" + std::to_string(place.slot.value);
    auto path = sockets_.open({place.slot, place.instance.generation}, id, owner.uid, owner.gid);
    if (!path) return tl::unexpected(path.error());
    inheritance.set_variable("NOTIFY_SOCKET", std::move(*path));
    return {};
}

void RunWatch::resume(std::vector<HeldDescriptor>& held) {
    for (HeldDescriptor& item : held) {
        if (item.key.kind != wire::HeldKind::notify) continue;
        const Run run{Slot{item.key.slot}, Generation{item.key.generation}};
        const core::Place* place = fleet_.find(run.slot);
        const bool is_current = place != nullptr && place->instance.generation == run.generation &&
                                core::is_occupied(place->instance.state);
        if (!is_current) {
            keeper_.drop(item.key);
            continue;
        }
        const std::string& worker = fleet_.worker(place->worker)->spec.name;
        sockets_.resume(run, core::instance_id(worker, place->number), std::move(item.fd));
    }
}

void RunWatch::on_time(Instant now, const Tell& tell) {
    sockets_.on_time(now);
    probes_.on_time(fleet_, now);
    memory_.on_time(now);
    tell_heard(tell);
    for (const Run run : probes_.take_ready()) {
        tell(run.slot, core::event::BecameReady{run.generation});
    }
    for (const Run run : memory_.take_over_limit()) {
        tell(run.slot, core::event::OverMemory{run.generation});
    }
}

void RunWatch::tell_heard(const Tell& tell) {
    for (const NotifySockets::Heard& heard : sockets_.take_heard()) {
        tell(heard.run.slot, heard.event);
    }
}

void RunWatch::follow(const std::vector<Slot>& slots, Instant now) {
    sockets_.confirm();
    for (const Slot slot : slots) {
        const core::Place* place = fleet_.find(slot);
        const auto socket = sockets_.run_of(slot);
        const bool is_over = place == nullptr || !core::is_occupied(place->instance.state) ||
                             (socket && place->instance.generation != socket->generation);
        if (socket && is_over) sockets_.close(*socket);
        if (place == nullptr) {
            probes_.forget(slot);
            memory_.forget(slot);
            continue;
        }
        const core::WorkerSpec& spec = fleet_.spec_of(*place);
        probes_.follow(*place, spec, now);
        memory_.follow(*place, spec, now);
    }
}

std::optional<Instant> RunWatch::next_deadline() const {
    const auto next = earliest(sockets_.next_deadline(), probes_.next_deadline());
    return earliest(next, memory_.next_deadline());
}

}  // namespace cluster::supervisor
