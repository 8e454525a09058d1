#include "keeper/keeper.hpp"

#include <csignal>
#include <cstring>
#include <utility>

#include "keeper/say.hpp"
#include "sys/clock.hpp"
#include "sys/file.hpp"

namespace cluster::keeper {

Result<std::unique_ptr<Keeper>> Keeper::open(Options options, Process process, Place place) {
    auto keeper = make(std::move(options), std::move(process));
    if (!keeper) return keeper;
    Custody& custody = (*keeper)->custody_;
    auto held = custody.hold({.kind = wire::HeldKind::lock}, std::move(place.lock));
    if (held) held = custody.hold({.kind = wire::HeldKind::control}, std::move(place.control));
    if (!held) return tl::unexpected(held.error());
    return keeper;
}

Result<std::unique_ptr<Keeper>> Keeper::make(Options options, Process process) {
    auto file = sys::open_memory_file("clusterd-table", sizeof(wire::Table));
    if (!file) return tl::unexpected(file.error());
    auto mapping = sys::map_shared(file->get(), sizeof(wire::Table), true);
    if (!mapping) return tl::unexpected(mapping.error());
    // Our mapping is made: from here on every other can only read.
    if (auto sealed = sys::seal_future_writes(file->get()); !sealed) {
        return tl::unexpected(sealed.error());
    }
    std::unique_ptr<Keeper> keeper(
        new Keeper(std::move(options), std::move(process), std::move(*file), std::move(*mapping)));
    if (auto opened = keeper->open_loop(); !opened) return tl::unexpected(opened.error());
    return keeper;
}

Keeper::Keeper(Options options, Process process, sys::UniqueFd table_file, sys::Mapping mapping)
    : options_(std::move(options)),
      process_(std::move(process)),
      table_file_(std::move(table_file)),
      mapping_(std::move(mapping)),
      table_(*mapping_.as<wire::Table>()),
      custody_(table_),
      runs_(table_,
            [this](Slot slot) { ring(slot); }),
      loop_(poller_),
      adopted_(loop_),
      guardian_(sys::monotonic_now()) {
    changed_.reserve(Link::kMaxRung);
    write_header(sys::monotonic_now());
}

// Here, so that who owns a keeper needs to know none of its parts.
Keeper::~Keeper() = default;

Status Keeper::open_loop() {
    if (!poller_.is_open()) return fail(Op::epoll, EMFILE);
    const auto watched = loop_.add(process_.signals.get(), {.readable = true, .writable = false},
                                   [this](const ev::Ready&) { has_signals_ = true; });
    if (!watched) return tl::unexpected(watched.error());
    return {};
}

void Keeper::write_header(Instant now) {
    wire::TableHeader& header = table_.header;
    header.keeper_pid = sys::current_pid();
    header.keeper_start_ticks = sys::process_start_ticks(header.keeper_pid).value_or(0);
    header.keeper_started_ns = to_ns(now);
    const sys::BootId boot = sys::boot_id();
    static_assert(sizeof boot == sizeof header.boot_id);
    std::memcpy(header.boot_id, &boot, sizeof boot);
    if (const auto& limit = process_.defaults.descriptors) {
        header.default_soft_descriptors = limit->soft;
        header.default_hard_descriptors = limit->hard;
    }
    header.default_oom_score = process_.defaults.oom_score.value_or(0);
    header.has_default_oom_score = process_.defaults.oom_score ? 1 : 0;
}

int Keeper::run() {
    while (!exit_code_) {
        const Instant now = loop_.turn(next_deadline(), sys::monotonic_now);
        // The link first: a request may concern a run whose death is about to be reaped.
        if (std::exchange(has_link_room_, false) && link_) link_->flush();
        if (std::exchange(has_link_input_, false)) serve_link(now);
        if (std::exchange(has_signals_, false)) take_signals(now);
        reap_adopted(now);
        act_on_time(now);
        ring_all();
        update_link_interest();
    }
    // Failing to remove them harms nobody: the lock is what counts, and the next keeper replaces
    // both.
    static_cast<void>(sys::remove_file(options_.directories.control_socket()));
    static_cast<void>(sys::remove_file(options_.directories.pid_file()));
    return *exit_code_;
}

std::optional<Instant> Keeper::next_deadline() const {
    std::optional<Instant> next = earliest(adopted_.next_deadline(), groups_due_);
    if (predecessor_) next = earliest(next, predecessor_->due);
    if (last_stop_) return earliest(next, last_stop_->deadline);
    if (finishing_) return earliest(next, finishing_->deadline);
    return earliest(next, guardian_.next_start());
}

void Keeper::act_on_time(Instant now) {
    check_foreign_groups(now);
    end_predecessor(now);
    if (finishing_) {
        const bool is_due = now >= finishing_->deadline;
        if (supervisor_.is_alive() && !is_due) return;
        supervisor_.kill();
        exit_code_ = finishing_->code;
        return;
    }
    const auto due = guardian_.next_start();
    if (!last_stop_ && due && now >= *due) start_supervisor(now);
    if (last_stop_) advance_last_stop(now);
}

void Keeper::take_signals(Instant now) {
    bool has_dead_children = false;
    while (const auto signal = sys::take_signal(process_.signals.get())) {
        switch (*signal) {
            case SIGCHLD:
                has_dead_children = true;
                break;
            case SIGTERM:
            case SIGINT:
                on_terminate(now);
                break;
            case SIGHUP:
                pass_on(wire::kOwedReload);
                break;
            case SIGUSR2:
                pass_on(wire::kOwedRotate);
                break;
            default:
                break;  // taken, so that it does nothing
        }
    }
    if (has_dead_children) reap(now);
}

/// What the supervisor is to be told once it is there: bits of TableHeader::owed_notices.
void Keeper::pass_on(std::uint32_t notices) {
    std::uint32_t& owed = table_.header.owed_notices;
    owed |= notices;
    if (!link_ || !has_greeted_) return;
    if ((owed & wire::kOwedReload) != 0) link_->pass_on(wire::Kind::reload);
    if ((owed & wire::kOwedRotate) != 0) link_->pass_on(wire::Kind::rotate);
    owed = 0;
}

void Keeper::reap(Instant now) {
    bool has_reaped = false;
    while (true) {
        const auto reaped = sys::reap_any();
        if (!reaped) {
            say("cannot wait for children: %s", std::strerror(reaped.error().code));
            break;
        }
        if (!*reaped) break;
        has_reaped = true;
        const sys::Reaped& exit = **reaped;
        // Any other is an orphan that we inherited as subreaper; it is gone now, and that is all.
        if (exit.pid == supervisor_.pid()) {
            on_supervisor_died(exit, now);
        } else if (predecessor_ && predecessor_->is_child && exit.pid == predecessor_->pid) {
            predecessor_.reset();
        } else {
            static_cast<void>(runs_.on_reaped(exit, now));
        }
    }
    if (has_reaped) runs_.check_groups();
}

}  // namespace cluster::keeper
