// The two ways into the loop: a first start, and the takeover of what a predecessor left behind.

#include <fmt/core.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <set>
#include <utility>
#include <variant>

#include "conf/load.hpp"
#include "supervisor/log.hpp"
#include "supervisor/manager.hpp"
#include "supervisor/supervisor.hpp"
#include "sys/clock.hpp"
#include "sys/failpoint.hpp"
#include "sys/file.hpp"
#include "sys/memory.hpp"
#include "sys/process.hpp"

namespace cluster::supervisor {
namespace {

/// As conf has it.
constexpr std::size_t kMaxConfigBytes = std::size_t{1} << 20U;

sys::UniqueFd take_held(std::vector<HeldDescriptor>& held, wire::HeldKind kind) {
    for (HeldDescriptor& item : held) {
        if (item.key.kind == kind) return std::move(item.fd);
    }
    return {};
}

std::string variable_or_empty(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? "" : value;
}

std::vector<std::string> names_of(const std::vector<RememberedWorker>& workers) {
    std::vector<std::string> names;
    for (const RememberedWorker& worker : workers) names.push_back(worker.spec.name);
    return names;
}

std::vector<std::string> names_of(const std::vector<core::StoreSpec>& stores) {
    std::vector<std::string> names;
    for (const core::StoreSpec& store : stores) names.push_back(store.name);
    return names;
}

/// Those of the config, and of the remembered ones those that came from elsewhere.
std::vector<core::StoreSpec> stores_of(const core::Config& config,
                                       const std::vector<core::StoreSpec>& remembered,
                                       const std::optional<std::string>& path) {
    std::vector<core::StoreSpec> stores = config.stores;
    for (const core::StoreSpec& store : remembered) {
        const bool is_known =
            std::any_of(stores.begin(), stores.end(),
                        [&store](const auto& other) { return other.name == store.name; });
        if (!is_known && (!path || store.source != *path)) stores.push_back(store);
    }
    return stores;
}

/// What a first start knows of itself: the config says it, or else the daemon that was here before,
/// whose workers come back. log_dir is still to be chosen.
DaemonRecord daemon_of(const core::Config& config, const RememberedState& remembered,
                       const std::optional<std::string>& path) {
    DaemonRecord daemon = remembered.daemon;
    daemon.is_remembered = !path && (daemon.config || !remembered.workers.empty());
    daemon.stores = stores_of(config, remembered.stores, path);
    if (!path) return daemon;
    daemon.spec = config.daemon;
    daemon.channel = config.channel.value_or(core::ChannelSpec{});
    daemon.config = path;
    return daemon;
}

}  // namespace

Result<std::unique_ptr<Supervisor>> Supervisor::start(Options options) {
    auto link = KeeperLink::open(sys::UniqueFd{options.keeper_fd});
    if (!link) return tl::unexpected(link.error());
    auto held = link->fetch_held();
    if (!held) return tl::unexpected(held.error());
    auto null = sys::open_read_write("/dev/null");
    if (!null) return tl::unexpected(null.error());
    sys::UniqueFd listener = take_held(*held, wire::HeldKind::control);

    auto records = Records::attach(*link, *held);
    const bool is_first = !records && records.error().op == Op::not_held;
    if (is_first) records = Records::create(*link);
    if (!records) return tl::unexpected(records.error());
    if (!is_first) sys::pass(Failpoint::takeover_attached);

    const Instant now = sys::monotonic_now();
    std::unique_ptr<Supervisor> self{new Supervisor(std::move(options), std::move(*link),
                                                    std::move(*records), std::move(listener),
                                                    std::move(*null))};
    self->sockets_.resume(*held);
    if (is_first) {
        if (!self->make_first_start(now)) return self;
    } else if (auto taken = self->take_over(std::move(*held), now); !taken) {
        return tl::unexpected(taken.error());
    }
    if (self->link_.hello().is_terminating != 0) self->begin_shutdown(now);
    auto watched =
        self->loop_.add(self->link_.descriptor(), {}, [supervisor = self.get()](const ev::Ready&) {
            // A keeper that is gone is seen at the end of the turn, when all is stored.
            static_cast<void>(supervisor->link_.receive());
        });
    if (!watched) return tl::unexpected(watched.error());
    if (auto listening = self->clients_.listen(); !listening)
        return tl::unexpected(listening.error());
    if (!is_first) sys::pass(Failpoint::takeover_listening);
    self->turn(now);
    if (!self->records_.is_shutting_down()) {
        tell_manager_ready(self->link_.table().header.keeper_pid, self->fleet_.workers().size());
    }
    return self;
}

/// False when the config is refused: the keeper was told to finish with exit code 2.
bool Supervisor::make_first_start(Instant now) {
    const auto refuse = [this](std::string_view text) {
        std::fprintf(stderr, "%.*s\n", static_cast<int>(text.size()), text.data());
        is_finishing_ = true;
        link_.finish(2);
        exit_code_ = 2;
        return false;
    };
    const auto loaded_state = remembered_.load();
    const RememberedState remembered = loaded_state.value_or(RememberedState{});
    core::Config config;
    if (options_.config) {
        const auto text = sys::read_file(*options_.config, kMaxConfigBytes);
        if (!text) {
            return refuse(fmt::format("clusterd: cannot read the config {}: {}", *options_.config,
                                      std::strerror(text.error().code)));
        }
        auto loaded = conf::load(*text, {.path = *options_.config,
                                         .base_path = variable_or_empty("PATH"),
                                         .known_workers = names_of(remembered.workers),
                                         .known_stores = names_of(remembered.stores),
                                         .minimum_store_size = &minimum_store_size});
        if (!loaded) return refuse(conf::format(loaded.error()));
        config = std::move(*loaded);
    }
    DaemonRecord daemon = daemon_of(config, remembered, options_.config);
    daemon.log_dir = daemon.spec.log_dir.value_or(options_.directories.log);
    if (auto made = sys::make_directories(daemon.log_dir, 0750); !made) {
        return refuse(fmt::format("clusterd: cannot use the log directory {}: {}", daemon.log_dir,
                                  std::strerror(made.error().code)));
    }
    log::open(options_.log_level.value_or(daemon.spec.log_level));
    records_.store_daemon(daemon);
    if (auto made = sys::make_directories(options_.directories.state, 0700); !made) {
        log::warn(
            fmt::format("{}: {}", options_.directories.state, std::strerror(made.error().code)));
    }
    if (!loaded_state) log::error("remembered state: " + loaded_state.error());
    if (auto error = populate(config, remembered.workers, now)) return refuse(error->message);
    journal_.open(events_file(daemon.log_dir));
    journal_.add(EventLine("daemon")
                     .text("what", "started")
                     .number("pid", link_.table().header.keeper_pid)
                     .number("supervisor_pid", sys::current_pid())
                     .number("workers", static_cast<std::int64_t>(fleet_.workers().size())));
    log::info(fmt::format("started with {} workers; control socket {}", fleet_.workers().size(),
                          options_.directories.control_socket()));
    return true;
}

/// The workers that are remembered, with what was wanted of them, and those of the config, whose
/// specs count where both know a worker. What came from this config and is gone from it is
/// forgotten.
std::optional<ctl::RpcError> Supervisor::populate(const core::Config& config,
                                                  const std::vector<RememberedWorker>& remembered,
                                                  Instant now) {
    fleet_.set_parallel_starts(records_.daemon().spec.parallel_starts);
    std::vector<Slot> wanted;
    for (const RememberedWorker& worker : remembered) bring_back(worker, config, wanted);
    core::Config added;
    for (const core::WorkerSpec& spec : config.workers) {
        if (fleet_.find_worker(spec.name) == nullptr) added.workers.push_back(spec);
    }
    auto loaded = requests_.load(std::move(added), options_.config.value_or(""), Scope::add, now);
    // Part of the same operation, the daemon's first. Not sooner: they may require one another, and
    // those of the config.
    fleet_.start(wanted, now);
    return loaded ? std::nullopt : std::optional{std::move(loaded.error())};
}

void Supervisor::bring_back(const RememberedWorker& remembered, const core::Config& config,
                            std::vector<Slot>& wanted) {
    const auto configured =
        std::find_if(config.workers.begin(), config.workers.end(),
                     [&](const auto& spec) { return spec.name == remembered.spec.name; });
    const bool is_configured = configured != config.workers.end();
    if (!is_configured && options_.config && remembered.spec.source == *options_.config) return;
    if (fleet_.add_stopped(is_configured ? *configured : remembered.spec) != core::Refusal::none) {
        log::error(fmt::format("remembered state: no room for worker {}", remembered.spec.name));
        return;
    }
    const std::vector<Slot> slots = fleet_.find_worker(remembered.spec.name)->slots;
    const auto& was_wanted = remembered.wanted;
    const bool is_any_wanted =
        std::find(was_wanted.begin(), was_wanted.end(), true) != was_wanted.end();
    for (std::size_t i = 0; i < slots.size(); ++i) {
        if (i < was_wanted.size() ? was_wanted[i] : is_any_wanted) wanted.push_back(slots[i]);
    }
}

Status Supervisor::take_over(std::vector<HeldDescriptor> held, Instant now) {
    log::open(options_.log_level.value_or(records_.daemon().spec.log_level));
    fleet_.set_parallel_starts(records_.daemon().spec.parallel_starts);
    const wire::TableHeader& header = link_.table().header;
    const std::uint32_t slots_used = std::min(header.slots_used, wire::kMaxSlots);
    for (std::uint32_t i = 0; i < slots_used; ++i) {
        if (const auto record = link_.slot(Slot{i}))
            fleet_.note_generation(Slot{i}, Generation{record->generation});
    }
    for (const std::string& complaint : records_.restore(fleet_)) log::error(complaint);
    std::set<Slot> interrupted;  // stored as starting: the spawn may not have been sent
    for (const core::Place* place : fleet_.places()) {
        if (std::holds_alternative<core::Starting>(place->instance.state)) {
            interrupted.insert(place->slot);
        }
    }
    fleet_.complete_restored(now);
    sys::pass(Failpoint::takeover_restored);
    journal_.open(events_file(records_.daemon().log_dir));
    reporter_.resume();
    journal_.add(
        EventLine("takeover")
            .number("supervisor_pid", sys::current_pid())
            .number("supervisor_starts", static_cast<std::int64_t>(header.supervisor_starts))
            .number("instances", static_cast<std::int64_t>(fleet_.places().size())));
    resume_outputs(held);
    sys::pass(Failpoint::takeover_outputs);
    watch_.resume(held);
    handover_.resume(held);
    channels_.resume(held);
    clusters_.resume(held, now);
    channels_.begin(now);
    // First: a slot whose exit is not released would refuse the next run.
    for (std::uint32_t i = 0; i < slots_used; ++i) reconcile_slot(Slot{i});
    std::vector<Slot> slots;  // of places that an event may make vanish
    for (const core::Place* place : fleet_.places()) slots.push_back(place->slot);
    for (const Slot slot : slots) {
        const core::Place* place = fleet_.find(slot);
        if (place != nullptr) reconcile(*place, interrupted.count(slot) > 0, now);
    }
    sys::pass(Failpoint::takeover_reconciled);
    if (records_.is_shutting_down()) {
        stop_everything(now);
    } else {
        remember_all();  // the predecessor may have died between a change and the file
    }
    sys::give_back_free_memory();  // every spec was read and parsed
    log::warn(fmt::format("supervisor {} took over {} instances (start {} of this daemon)",
                          sys::current_pid(), fleet_.places().size(), header.supervisor_starts));
    return {};
}

void Supervisor::resume_outputs(std::vector<HeldDescriptor>& held) {
    using Key = std::pair<Run, std::uint16_t>;  // stream
    std::map<Key, std::string> paths_of_forgotten;
    std::map<Key, Outputs::Held> parts;  // all but the pipes
    for (HeldDescriptor& item : held) {
        const Key key{{Slot{item.key.slot}, Generation{item.key.generation}}, item.key.index};
        if (item.key.kind == wire::HeldKind::log_path) {
            paths_of_forgotten[key] = read_held_text(item.fd.get()).value_or("");
        } else if (item.key.kind == wire::HeldKind::staging) {
            parts[key].staging = std::move(item.fd);
        } else if (item.key.kind == wire::HeldKind::relay) {
            parts[key].relay = std::move(item.fd);
        }
    }
    for (HeldDescriptor& item : held) {
        const bool is_output = item.key.kind == wire::HeldKind::output;
        if (!is_output && item.key.kind != wire::HeldKind::error_output) continue;
        const Run run{Slot{item.key.slot}, Generation{item.key.generation}};
        const Stream stream = is_output ? Stream::output : Stream::error_output;
        const auto record = link_.slot(run.slot);
        const bool never_began = record && record->generation < run.generation.value;
        const Key key{run, static_cast<std::uint16_t>(stream)};
        const auto forgotten = paths_of_forgotten.find(key);
        const auto target = log_target(run);
        if (never_began || (!target && forgotten == paths_of_forgotten.end())) {
            link_.drop(item.key);
            continue;
        }
        Outputs::Held output;
        if (auto part = parts.extract(key)) output = std::move(part.mapped());
        output.pipe = std::move(item.fd);
        if (forgotten != paths_of_forgotten.end()) {
            outputs_.resume(run, stream, std::move(output), forgotten->second, std::nullopt, {});
            outputs_.keep_paths(run.slot);
        } else {
            outputs_.resume(run, stream, std::move(output),
                            is_output ? target->paths.output : target->paths.error, target->spec,
                            former_logs(run));
        }
    }
    for (const auto& [key, part] : parts) {
        const auto stream = static_cast<Stream>(key.second);
        if (part.staging.is_open()) link_.drop(staging_key(key.first, stream));
        if (part.relay.is_open()) link_.drop(relay_key(key.first, stream));
    }
    outputs_.write_staged();
}

/// Everywhere that the output of a run may have gone before its worker's log = { … } was changed.
std::vector<std::string> Supervisor::former_logs(Run run) const {
    const core::Place* place = fleet_.find(run.slot);
    const std::string& worker = fleet_.worker(place->worker)->spec.name;
    const std::string& log_dir = records_.daemon().log_dir;
    return {place::output_log(log_dir, worker, place->number),
            place::error_log(log_dir, worker, place->number),
            place::merged_log(log_dir, worker, place->number)};
}

/// Brings an instance that may have a process in line with what the table says of it. Whatever the
/// predecessor had stored but not done yet is done again; the keeper knows what it has done already
/// by slot and generation.
/// What was decided in this life is stored first, like everything, and done by the turn's actions.
void Supervisor::reconcile(const core::Place& place, bool was_interrupted, Instant now) {
    const Slot slot = place.slot;
    const Generation generation = place.instance.generation;
    if (!core::is_occupied(place.instance.state)) return;
    const auto record = link_.slot(slot);
    if (!record) {
        log::error(
            fmt::format("slot {}: its record in the keeper's table cannot be read", slot.value));
        return;
    }
    const bool is_starting = std::holds_alternative<core::Starting>(place.instance.state);
    if (record->generation < generation.value) {
        if (is_starting && was_interrupted) {
            spawn({slot, generation});
        } else if (!is_starting) {
            fleet_.on_event(slot, core::event::SpawnFailed{generation, Op::clone, ECANCELED}, now);
        }
        return;
    }
    if (record->state == wire::SlotState::free) {
        fleet_.on_event(slot, core::event::ProcessExited{generation, core::ExitStatus{}, false},
                        now);
        return;
    }
    if (record->state == wire::SlotState::exited && record->failed_op != 0) {
        const core::event::SpawnFailed failed{generation, static_cast<Op>(record->failed_op),
                                              record->failed_code};
        fleet_.on_event(slot, failed, now);
        return;
    }
    if (is_starting) fleet_.on_event(slot, core::event::SpawnSucceeded{generation}, now);
    if (record->state == wire::SlotState::exited) on_slot_changed(slot, now);
    const bool is_over = record->state == wire::SlotState::exited && record->group_alive == 0;
    if (is_over && !watch_.mains().is_alive({slot, generation})) return;
    const core::Reload& reload = place.reload;
    if (reload.phase == core::ReloadPhase::signalled && reload.generation == generation) {
        // Nobody notes whether it was sent; a program that reloads itself may do so twice.
        watch_.mains().signal_main({slot, generation},
                                   fleet_.worker(place.worker)->spec.reload.signal);
    }
    const auto* stopping = std::get_if<core::Stopping>(&place.instance.state);
    if (stopping == nullptr) return;
    // The stop signal is repeated only if the keeper never saw it: many servers take a second one
    // for impatience.
    const int wanted = stopping->kill_sent
                           ? SIGKILL
                           : core::end_signal(fleet_.spec_of(place).policy, stopping->reason);
    if (record->last_signal != wanted) signal({slot, generation}, wanted);
}

/// A slot of the table that no instance occupies: a release that was stored but not sent.
void Supervisor::reconcile_slot(Slot slot) {
    if (is_job_slot(slot)) return jobs_.on_slot_changed(slot);
    const auto record = link_.slot(slot);
    const core::Place* place = fleet_.find(slot);
    if (!record || record->state == wire::SlotState::free) return;
    if (record->state == wire::SlotState::exited) {
        const bool is_pending = place != nullptr && core::is_occupied(place->instance.state) &&
                                place->instance.generation.value == record->generation;
        if (!is_pending) link_.release({slot, Generation{record->generation}});
    } else if (place == nullptr) {
        log::error(fmt::format("process {} runs in slot {}, which stands for no worker; left alone",
                               record->pid, slot.value));
    }
}

}  // namespace cluster::supervisor
