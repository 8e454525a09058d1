#include "supervisor/supervisor.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <utility>
#include <variant>

#include "base/overloaded.hpp"
#include "core/selector.hpp"
#include "supervisor/log.hpp"
#include "supervisor/manager.hpp"
#include "supervisor/next_keeper.hpp"
#include "supervisor/node_environment.hpp"
#include "supervisor/plan_compiler.hpp"
#include "supervisor/wording.hpp"
#include "sys/clock.hpp"
#include "sys/memory.hpp"
#include "sys/failpoint.hpp"
#include "sys/file.hpp"
#include "sys/process.hpp"

namespace cluster::supervisor {
namespace {

core::ExitStatus exit_status(const wire::SlotRecord& record) {
    using Kind = core::ExitStatus::Kind;
    core::ExitStatus status;
    switch (record.exit_code) {
        case CLD_EXITED:
            status.kind = Kind::code;
            break;
        case CLD_DUMPED:
            status.dumped_core = true;
            [[fallthrough]];
        case CLD_KILLED:
            status.kind = Kind::signal;
            break;
        default:
            status.kind = Kind::unknown;
            break;
    }
    status.value = record.exit_status;
    return status;
}

std::string path_of_jobs() {
    const char* path = std::getenv("PATH");
    return path == nullptr ? "/usr/local/bin:/usr/bin:/bin" : path;
}

std::uint64_t seed_of_this_start() {
    return static_cast<std::uint64_t>(to_ns(sys::monotonic_now())) ^
           (static_cast<std::uint64_t>(sys::current_pid()) << 32U);
}

}  // namespace

Supervisor::Supervisor(Options options, KeeperLink link, Records records, sys::UniqueFd listener,
                       sys::UniqueFd null)
    : options_(std::move(options)),
      link_(std::move(link)),
      fleet_({.slots = wire::kMaxSlots, .workers = kMaxWorkers}, seed_of_this_start()),
      records_(std::move(records)),
      remembered_(options_.directories.state),
      reporter_(fleet_, journal_),
      safe_base_(safe_base_from_environment()),
      null_(std::move(null)),
      jobs_(link_, path_of_jobs(), null_.get()),
      logs_(jobs_),
      outputs_(
          loop_, link_, logs_,
          [this](Slot slot, bool is_busy) { fleet_.set_slot_busy(slot, is_busy); },
          [this](Run run) { return log_target(run); }),
      clients_(loop_, std::move(listener), sys::current_uid()),
      watch_(loop_, link_, jobs_, fleet_, safe_base_, options_.directories.runtime),
      handover_(loop_, link_, jobs_, records_, fleet_, options_.directories.runtime,
                [this](Run run) { return channels_.renew(run); }),
      doors_(fleet_, handover_.stores()),
      channels_(loop_, link_, fleet_, records_.daemon().channel,
                [this](Run run) { return doors_.door_of(run); }),
      clusters_(loop_, link_, fleet_, channels_),
      sockets_(link_, jobs_, path_of_jobs()),
      status_(fleet_, link_, watch_, channels_, clusters_, outputs_, sockets_),
      requests_(fleet_, records_, status_, logs_, handover_.stores(), clients_, watch_.mains(),
                journal_, sockets_, [this](Instant now) { begin_shutdown(now); }),
      upgrade_(link_, jobs_, clients_, journal_),
      messages_(channels_, clients_) {
    records_.rebind(link_);
    for (std::uint32_t i = 0; i < kJobSlots; ++i) fleet_.set_slot_busy(Slot{i}, true);
}

int Supervisor::run() {
    while (!exit_code_) {
        link_.flush();
        log::flush();
        const std::optional<Instant> deadline = next_deadline();
        // Most of what a command needs (texts, specs, JSON) nobody needs until the next one comes,
        // and of the rest nothing before something happens: last, or a whole turn would come back;
        // and not while something is due.
        if (!deadline && clients_.take_emptied()) sys::let_go_of_code();
        const Instant now = loop_.turn(deadline, &sys::monotonic_now);
        turn(now);
        if (upgrade_.is_due() && !exit_code_) make_room_for_next_keeper();
        if (link_.is_broken() && !exit_code_) end_without_keeper();
    }
    log::flush();
    return *exit_code_;
}

void Supervisor::make_room_for_next_keeper() {
    log::info(fmt::format("upgrade: the keeper becomes {}", upgrade_.program()));
    log::flush();
    journal_.add(EventLine("daemon").text("what", "upgrade").text("program", upgrade_.program()));
    journal_.flush(sys::wall_ms());
    if (upgrade_.carry_out()) exit_code_ = 0;
}

void Supervisor::end_without_keeper() {
    exit_code_ = is_finishing_ ? 0 : 1;
    if (is_finishing_) return;
    // One that lives has closed the link because it does not want us, and says why.
    if (!link_.is_keeper_dead()) return;
    const std::int32_t keeper = link_.table().header.keeper_pid;
    log::error(fmt::format("the keeper (pid {}) is dead", keeper));
    log::flush();
    journal_.add(EventLine("daemon").text("what", "keeper_lost").number("pid", keeper));
    journal_.flush(sys::wall_ms());
    std::vector<std::string> arguments{"--runtime-dir=" + options_.directories.runtime};
    if (options_.config) arguments.push_back("--config=" + *options_.config);
    if (options_.log_level) arguments.push_back("--log-level=" + *options_.log_level);
    if (start_next_keeper(link_, arguments)) exit_code_ = 0;
}

void Supervisor::turn(Instant now) {
    // Before all else: nothing below has a say in it, and workers wait for each other's messages.
    channels_.flush();
    while (const auto message = link_.take_message()) on_keeper_message(*message, now);
    for (const FailedSpawn& failed : std::exchange(failed_spawns_, {})) {
        fleet_.on_event(
            failed.run.slot,
            core::event::SpawnFailed{failed.run.generation, failed.error.op, failed.error.code},
            now);
    }
    for (const ClientRequest& request : clients_.take_requests()) {
        if (messages_.handle(request, now)) continue;
        if (upgrade_.handle(request, records_.is_shutting_down())) continue;
        requests_.handle(request, now);
    }
    watch_.on_time(now, tell_fleet(now));
    for (const Run run : watch_.take_ended()) on_slot_changed(run.slot, now);
    forgive_restarts(now);
    handover_.on_time(now);
    clusters_.on_time(now);
    channels_.on_time(now);
    messages_.send_answers(now);
    tell_ready(now);
    fleet_.on_time(now);
    outputs_.on_time(now);
    logs_.on_time();
    sockets_.on_time(now);
    clients_.on_time(now);

    const Records::Changes changes =
        records_.store_changes(fleet_, [this](Slot slot) { outputs_.keep_paths(slot); });
    sys::pass(Failpoint::state_stored);
    if (changes.has_workers || log_dir_ != records_.daemon().log_dir) update_logs();
    if (changes.has_workers || sockets_.has_leftovers()) sockets_.follow(fleet_, now);
    signal_left();
    for (const core::SlotAction& action : fleet_.take_actions()) execute(action);
    if (sockets_.take_news()) spawn_waiting();
    link_.flush();
    sys::pass(Failpoint::actions_done);
    // The disk may take its time: the keeper works meanwhile, and no client is answered before.
    remember(changes);
    sys::pass(Failpoint::state_remembered);
    watch_.follow(changes.slots, now);
    handover_.follow(changes.slots);
    channels_.follow(changes.slots);
    if (!changes.is_empty()) clusters_.follow();
    report(changes, now);
    link_.flush();
    requests_.send_answers(!changes.is_empty(), now);
    sys::pass(Failpoint::turn_done);
    if (records_.is_shutting_down()) finish_when_idle(now);
}

std::optional<Instant> Supervisor::next_deadline() const {
    if (!failed_spawns_.empty() || link_.has_messages()) return Instant{};
    std::optional<Instant> next = earliest(fleet_.next_deadline(), outputs_.next_deadline());
    next = earliest(next, earliest(watch_.next_deadline(), handover_.next_deadline()));
    next = earliest(next, earliest(channels_.next_deadline(), clusters_.next_deadline()));
    next = earliest(next, sockets_.next_deadline());
    next = earliest(earliest(next, strays_killed_at_), clients_.next_deadline());
    return earliest(earliest(next, requests_.next_deadline()), messages_.next_deadline());
}

void Supervisor::on_keeper_message(const KeeperMessage& item, Instant now) {
    const wire::Message& message = item.message;
    const Slot slot{message.slot};
    if (message.kind == wire::Kind::spawned) {
        on_spawned(message, now);
    } else if (message.kind == wire::Kind::changed && message.slot == wire::kNoSlot) {
        for (std::uint32_t i = 0; i < link_.table().header.slots_used; ++i)
            on_slot_changed(Slot{i}, now);
    } else if (message.kind == wire::Kind::changed) {
        on_slot_changed(slot, now);
        for (const std::uint32_t further : message.payload.changed.further) {
            if (further == 0) break;
            on_slot_changed(Slot{further - 1}, now);
        }
    } else if (message.kind == wire::Kind::terminate) {
        log::info("asked to end: stopping all workers");
        begin_shutdown(now);
    } else if (message.kind == wire::Kind::reload) {
        tell_manager_reloading(now);
        requests_.reload_config(now);
        tell_manager_ready(link_.table().header.keeper_pid, fleet_.workers().size());
    } else if (message.kind == wire::Kind::rotate) {
        log::info("asked to rotate the logs");
        requests_.rotate_logs({});
    } else if (message.kind == wire::Kind::refused) {
        on_refused(message, now);
    }
}

/// A run that the keeper does not know never began, whatever we asked for it: nothing else will
/// tell the instance.
void Supervisor::on_refused(const wire::Message& message, Instant now) {
    const wire::Refused& refused = message.payload.refused;
    const Slot slot{message.slot};
    const core::Place* place = fleet_.find(slot);
    const auto record = link_.slot(slot);
    const bool is_current =
        place != nullptr && place->instance.generation.value == message.generation;
    if (is_current && record && record->generation < message.generation) {
        const Run run{slot, place->instance.generation};
        close_run(run);
        const core::event::SpawnFailed failed{run.generation, static_cast<Op>(refused.op),
                                              refused.code};
        fleet_.on_event(slot, failed, now);
    } else if (is_current && refused.code == ESRCH) {
        on_slot_changed(slot, now);
    } else {
        log::warn(fmt::format("the keeper refused message {}: {}: {}", refused.sequence,
                              op_name(static_cast<Op>(refused.op)), std::strerror(refused.code)));
        const Run run{slot, Generation{message.generation}};
        const Error error{static_cast<Op>(refused.op), refused.code};
        if (is_job_slot(slot)) jobs_.on_refused(run, error);
    }
}

void Supervisor::on_spawned(const wire::Message& message, Instant now) {
    const wire::Spawned& spawned = message.payload.spawned;
    const Run run{Slot{message.slot}, Generation{message.generation}};
    if (is_job_slot(run.slot)) {
        const Error error{static_cast<Op>(spawned.op), spawned.code};
        jobs_.on_spawned(run, spawned.op == 0 ? std::nullopt : std::optional{error});
        return;
    }
    if (spawned.op == 0) {
        fleet_.on_event(run.slot, core::event::SpawnSucceeded{run.generation}, now);
        return;
    }
    close_run(run);
    fleet_.on_event(
        run.slot,
        core::event::SpawnFailed{run.generation, static_cast<Op>(spawned.op), spawned.code}, now);
}

void Supervisor::on_slot_changed(Slot slot, Instant now) {
    if (is_job_slot(slot)) return jobs_.on_slot_changed(slot);
    is_finishing_ =
        false;  // if the keeper refused to finish, it was because of a slot; it may agree now
    const auto record = link_.slot(slot);
    if (!record || record->state != wire::SlotState::exited || record->failed_op != 0) return;
    const core::Place* place = fleet_.find(slot);
    const Run run{slot, Generation{record->generation}};
    if (place == nullptr || place->instance.generation != run.generation) return;
    handover_.on_exit(*record);
    outputs_.drain(run);
    sys::pass(Failpoint::exit_drained);
    watch_.drain(run);
    watch_.tell_heard(tell_fleet(now));
    forgive_restarts(now);
    channels_.drain(run);
    tell_ready(now);
    // What was spawned has ended, and the run goes on in the background.
    if (watch_.mains().is_alive(run)) return;
    const core::ExitStatus status = watch_.mains().exit_status(run).value_or(exit_status(*record));
    const bool is_group_alive = record->group_alive != 0;
    if (clusters_.is_cut_off(run)) {
        fleet_.on_event(slot, core::event::Hung{run.generation, core::ExitReason::channel}, now);
    }
    fleet_.on_event(slot, core::event::ProcessExited{run.generation, status, is_group_alive}, now);
    sys::pass(Failpoint::exit_told);
    if (!is_group_alive) fleet_.on_event(slot, core::event::GroupEmptied{run.generation}, now);
}

/// Runs have asked for it themselves, by RESTART_RESET=1.
void Supervisor::forgive_restarts(Instant now) {
    for (const Run run : watch_.take_forgiven()) {
        // Of a run that is over it would be a start by hand.
        if (fleet_.find(run) != nullptr) static_cast<void>(fleet_.reset(run.slot, now));
    }
}

RunWatch::Tell Supervisor::tell_fleet(Instant now) {
    return [this, now](Slot slot, const core::Event& event) {
        fleet_.on_event(slot, event, now);
        if (std::holds_alternative<core::event::ExtendTimeout>(event)) extend_end(slot, now);
    };
}

/// Before anything that follows from it: a run that was ready may be over already.
void Supervisor::tell_ready(Instant now) {
    const auto tell = [&](Run run, core::Readiness::Kind kind) {
        const core::Place* place = fleet_.find(run.slot);
        if (place == nullptr) return;
        if (fleet_.worker(place->worker)->spec.policy.ready.kind != kind) return;
        fleet_.on_event(run.slot, core::event::BecameReady{run.generation}, now);
    };
    for (const Run run : channels_.take_ready()) tell(run, core::Readiness::Kind::channel);
    for (const Run run : clusters_.take_ready()) tell(run, core::Readiness::Kind::listen);
}

/// It never came to be.
void Supervisor::close_run(Run run) {
    outputs_.close(run);
    watch_.close(run);
    handover_.close(run);
    channels_.close(run);
}

void Supervisor::execute(const core::SlotAction& slot_action) {
    const Slot slot = slot_action.slot;
    std::visit(Overloaded{[&](const core::action::Spawn& action) {
                              spawn({slot, action.generation});
                          },
                          [&](const core::action::Signal& action) {
                              signal({slot, action.generation}, action.signal);
                          },
                          [&](const core::action::Release& action) {
                              link_.release({slot, action.generation});
                              sys::pass(Failpoint::release_asked);
                          },
                          [&](const core::action::SignalLeader& action) {
                              watch_.mains().signal_main({slot, action.generation}, action.signal);
                          }},
               slot_action.action);
}

void Supervisor::spawn(Run run, bool has_waited) {
    const core::Place* place = fleet_.find(run.slot);
    if (place == nullptr || place->instance.generation != run.generation) return;
    if (!core::is_occupied(place->instance.state)) return;  // it ended before it began
    if (auto spawned = try_spawn(*place, has_waited); !spawned) {
        close_run(run);
        failed_spawns_.push_back({run, spawned.error()});
    }
}

void Supervisor::spawn_waiting() {
    for (const Run run : std::exchange(waiting_spawns_, {})) spawn(run, true);
}

Status Supervisor::try_spawn(const core::Place& place, bool has_waited) {
    const core::WorkerSpec& spec = fleet_.spec_of(place);
    // How many there are, and where logs go, is a fact about the worker and not about the run.
    const core::WorkerSpec& newest = fleet_.worker(place.worker)->spec;
    const Run run{place.slot, place.instance.generation};
    Inheritance inheritance;
    std::optional<int> stdin_socket;
    const auto are_open =
        sockets_.prepare(run, spec, inheritance, stdin_socket, has_waited, sys::monotonic_now());
    if (!are_open) return tl::unexpected(are_open.error());
    if (!*are_open) {
        waiting_spawns_.push_back(run);
        return {};
    }
    if (auto prepared = watch_.prepare(place, spec, inheritance); !prepared) return prepared;
    if (auto prepared = handover_.prepare(place, spec, inheritance); !prepared) return prepared;
    if (auto prepared = channels_.prepare(place, spec, inheritance); !prepared) return prepared;
    clusters_.add(place, spec, sys::monotonic_now());
    add_node_environment(spec.launch, run, inheritance);
    const InstanceName name{
        .worker = spec.name, .number = place.number, .instances = newest.instances};
    const auto plan = compile_plan(core::launch_with_sockets(spec), name, inheritance, safe_base_);
    if (!plan) return tl::unexpected(plan.error());
    sys::UniqueFd input;
    if (const std::string& path = spec.launch.standard_input; !path.empty()) {
        auto opened = open_standard_input(path);
        if (!opened) return tl::unexpected(opened.error());
        input = std::move(*opened);
    }
    const LogPaths logs = log_paths(records_.daemon().log_dir, newest, place.number);
    const auto output = open_output(run, Stream::output, logs.output, newest.log);
    if (!output) return tl::unexpected(output.error());
    const auto error = open_output(run, Stream::error_output, logs.error, newest.log);
    if (!error) return tl::unexpected(error.error());
    if (const auto owner = output_owner(spec.launch)) {
        // Where we may not, the plan will fail for the same reason and say so.
        static_cast<void>(sys::change_owner(output->get(), owner->uid, owner->gid));
        static_cast<void>(sys::change_owner(error->get(), owner->uid, owner->gid));
    }
    reporter_.note_spawn(run.slot, logs.error);
    const int input_fd = stdin_socket ? *stdin_socket : input.is_open() ? input.get() : null_.get();
    std::vector<int> attached{input_fd, output->get(), error->get()};
    for (const Inheritance::Placed& placed : inheritance.descriptors()) {
        attached.push_back(placed.fd);
    }
    link_.spawn(run, place.instance.epoch, plan->get(), attached);
    sys::pass(Failpoint::spawn_asked);
    return {};
}

/// Opens a pipe, puts its read end into custody and under the pump, and returns the end that the
/// worker gets: open for reading and writing, so that no death of ours is ever a SIGPIPE to it.
Result<sys::UniqueFd> Supervisor::open_output(Run run, Stream stream, const std::string& path,
                                              const core::LogSpec& spec) {
    auto pipe = sys::open_pipe();
    if (!pipe) return tl::unexpected(pipe.error());
    auto worker_end = sys::open_both_ways(pipe->write_end.get());
    if (!worker_end) return worker_end;
    pipe->write_end.reset();
    link_.hold(held_key(run, stream), pipe->read_end.get());
    sys::pass(Failpoint::output_held);
    if (auto opened = outputs_.open(run, stream, std::move(pipe->read_end), path, spec); !opened) {
        link_.drop(held_key(run, stream));
        return tl::unexpected(opened.error());
    }
    return worker_end;
}

/// A changed log = { … } holds at once, for what runs and for what was left of what does not.
void Supervisor::update_logs() {
    log_dir_ = records_.daemon().log_dir;
    for (const core::Place* place : fleet_.places()) {
        const core::WorkerSpec& spec = fleet_.worker(place->worker)->spec;
        const LogPaths paths = log_paths(records_.daemon().log_dir, spec, place->number);
        logs_.update(paths.output, spec.log);
        logs_.update(paths.error, spec.log);
    }
    outputs_.update();
    channels_.update_groups();
}

/// Where the output of a run goes by the spec in force.
std::optional<Outputs::Target> Supervisor::log_target(Run run) const {
    const core::Place* place = fleet_.find(run.slot);
    if (place == nullptr) return std::nullopt;
    const core::WorkerSpec& spec = fleet_.worker(place->worker)->spec;
    return Outputs::Target{log_paths(records_.daemon().log_dir, spec, place->number), spec.log};
}

void Supervisor::remember(const Records::Changes& changes) {
    const bool is_other_daemon = remembered_daemon_ != records_.daemon_revision();
    const bool is_news =
        remembered_.notice(fleet_, changes.slots) || changes.has_workers || is_other_daemon;
    // What a shutdown stops is wanted again at the next start.
    if (is_news && !records_.is_shutting_down()) remember_all();
}

void Supervisor::remember_all() {
    remembered_daemon_ = records_.daemon_revision();
    const auto stored = remembered_.store(fleet_, records_.daemon());
    if (!stored && !is_forgetful_) {
        log::warn(fmt::format("{}: {}: {}; workers will not come back after a reboot",
                              remembered_.path(), op_name(stored.error().op),
                              std::strerror(stored.error().code)));
    }
    is_forgetful_ = !stored;
}

void Supervisor::report(const Records::Changes& changes, Instant now) {
    bool has_gone = false;
    for (const Slot slot : changes.slots) {
        if (fleet_.find(slot) != nullptr) continue;
        status_.forget(slot);
        has_gone = true;  // or it is the old run of a reload, which costs a look
    }
    reporter_.report(changes, records_.daemon().log_dir, now);
    journal_.flush(sys::wall_ms());
    if (has_gone) {
        has_leftovers_ = true;
    } else if (has_leftovers_ && logs_.forget_unused()) {
        has_leftovers_ = false;
        sys::give_back_free_memory();
    }
}

}  // namespace cluster::supervisor
