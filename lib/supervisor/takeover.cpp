// The two ways into the loop: a first start, and the takeover of what a predecessor left behind.

#include <fmt/core.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>
#include <variant>

#include "conf/load.hpp"
#include "supervisor/log.hpp"
#include "supervisor/supervisor.hpp"
#include "sys/clock.hpp"
#include "sys/file.hpp"
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

    const Instant now = sys::monotonic_now();
    std::unique_ptr<Supervisor> self{new Supervisor(std::move(options), std::move(*link),
                                                    std::move(*records), std::move(listener),
                                                    std::move(*null))};
    if (is_first) {
        if (!self->load_first_config(now)) return self;
    } else if (auto taken = self->take_over(std::move(*held), now); !taken) {
        return tl::unexpected(taken.error());
    }
    if (self->link_.hello().is_terminating != 0) self->begin_shutdown(now);
    auto watched =
        self->loop_.add(self->link_.descriptor(), {}, [supervisor = self.get()](const ev::Ready&) {
            if (supervisor->link_.receive()) return;
            if (!supervisor->is_finishing_) log::error("the keeper is gone");
            supervisor->exit_code_ = supervisor->is_finishing_ ? 0 : 1;
        });
    if (!watched) return tl::unexpected(watched.error());
    if (auto listening = self->clients_.listen(); !listening)
        return tl::unexpected(listening.error());
    self->turn(now);
    return self;
}

/// False when the config is refused: the keeper was told to finish with exit code 2.
bool Supervisor::load_first_config(Instant now) {
    const auto refuse = [this](std::string_view text) {
        std::fprintf(stderr, "%.*s\n", static_cast<int>(text.size()), text.data());
        is_finishing_ = true;
        link_.finish(2);
        exit_code_ = 2;
        return false;
    };
    core::Config config;
    if (options_.config) {
        const auto text = sys::read_file(*options_.config, kMaxConfigBytes);
        if (!text) {
            return refuse(fmt::format("clusterd: cannot read the config {}: {}", *options_.config,
                                      std::strerror(text.error().code)));
        }
        auto loaded =
            conf::load(*text, {.path = *options_.config, .base_path = variable_or_empty("PATH")});
        if (!loaded) return refuse(conf::format(loaded.error()));
        config = std::move(*loaded);
    }
    const std::string log_dir = config.daemon.log_dir.value_or(options_.directories.log);
    if (auto made = sys::make_directories(log_dir, 0750); !made) {
        return refuse(fmt::format("clusterd: cannot use the log directory {}: {}", log_dir,
                                  std::strerror(made.error().code)));
    }
    log::open(options_.log_level.value_or(config.daemon.log_level));
    records_.store_daemon({.spec = config.daemon, .log_dir = log_dir, .config = options_.config});
    if (auto loaded = requests_.load(config, now); !loaded) return refuse(loaded.error().message);
    log::info(fmt::format("started with {} workers; control socket {}", config.workers.size(),
                          options_.directories.control_socket()));
    return true;
}

Status Supervisor::take_over(std::vector<HeldDescriptor> held, Instant now) {
    log::open(options_.log_level.value_or(records_.daemon().spec.log_level));
    const wire::TableHeader& header = link_.table().header;
    const std::uint32_t slots_used = std::min(header.slots_used, wire::kMaxSlots);
    for (std::uint32_t i = 0; i < slots_used; ++i) {
        if (const auto record = link_.slot(Slot{i}))
            fleet_.note_generation(Slot{i}, Generation{record->generation});
    }
    for (const std::string& complaint : records_.restore(fleet_)) log::error(complaint);
    resume_outputs(held);
    std::vector<Slot> slots;  // of places that an event may make vanish
    for (const core::Place* place : fleet_.places()) slots.push_back(place->slot);
    for (const Slot slot : slots) reconcile(*fleet_.find(slot), now);
    for (std::uint32_t i = 0; i < slots_used; ++i) reconcile_slot(Slot{i});
    log::warn(fmt::format("supervisor {} took over {} instances (start {} of this daemon)",
                          sys::current_pid(), fleet_.places().size(), header.supervisor_starts));
    return {};
}

void Supervisor::resume_outputs(std::vector<HeldDescriptor>& held) {
    for (HeldDescriptor& item : held) {
        const bool is_output = item.key.kind == wire::HeldKind::output;
        if (!is_output && item.key.kind != wire::HeldKind::error_output) continue;
        const Run run{Slot{item.key.slot}, Generation{item.key.generation}};
        const core::Place* place = fleet_.find(run.slot);
        if (place == nullptr) {
            link_.drop(item.key);
            continue;
        }
        const std::string& worker = fleet_.worker(place->worker)->spec.name;
        const std::string& log_dir = records_.daemon().log_dir;
        const std::string path = is_output ? place::output_log(log_dir, worker, place->number)
                                           : place::error_log(log_dir, worker, place->number);
        const Stream stream = is_output ? Stream::output : Stream::error_output;
        if (auto opened = outputs_.open(run, stream, std::move(item.fd), path); !opened) {
            log::error(fmt::format("{}: {}: {}", path, op_name(opened.error().op),
                                   std::strerror(opened.error().code)));
        }
    }
}

/// Brings an instance that may have a process in line with what the table says of it. Whatever the
/// predecessor had stored but not done yet is done again; the keeper knows what it has done already
/// by slot and generation.
void Supervisor::reconcile(const core::Place& place, Instant now) {
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
        if (is_starting) {
            spawn({slot, generation});
        } else {
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
    if (record->state == wire::SlotState::exited) {
        on_slot_changed(slot, now);
        return;
    }
    const auto* stopping = std::get_if<core::Stopping>(&place.instance.state);
    if (stopping == nullptr) return;
    // The stop signal is repeated only if the keeper never saw it: many servers take a second one
    // for impatience.
    const int wanted =
        stopping->kill_sent ? SIGKILL : fleet_.worker(place.worker)->spec.policy.stop_signal;
    if (record->last_signal != wanted) signal({slot, generation}, wanted);
}

/// A slot of the table that no instance occupies: a release that was stored but not sent.
void Supervisor::reconcile_slot(Slot slot) {
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
