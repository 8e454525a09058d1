#include "supervisor/main_processes.hpp"

#include <fmt/core.h>

#include <csignal>
#include <cstring>
#include <utility>

#include "supervisor/log.hpp"
#include "supervisor/notify_sockets.hpp"
#include "sys/family.hpp"
#include "sys/process.hpp"

namespace cluster::supervisor {
namespace {

wire::HeldKey pidfd_key(Run run) {
    wire::HeldKey key = notify_key(run);
    key.index = kHeldMainProcess;
    return key;
}

core::ExitStatus status_of(const sys::ProcessEnd& end) {
    using Kind = core::ExitStatus::Kind;
    core::ExitStatus status;
    status.kind = end.signal == 0 ? Kind::code : Kind::signal;
    status.value = end.signal == 0 ? end.code : end.signal;
    status.dumped_core = end.has_dumped;
    return status;
}

}  // namespace

void MainProcesses::set(Run run, std::int32_t pid, sys::UniqueFd pidfd, std::int32_t leader) {
    if (pid == leader) return close(run);
    if (const Entry* entry = find(run); entry != nullptr && entry->pid == pid) return;
    forget(run.slot);
    keeper_.hold(pidfd_key(run), pidfd.get());
    add(run, pid, std::move(pidfd));
}

void MainProcesses::resume(Run run, sys::UniqueFd pidfd) {
    // Of one that is dead and reaped the pid is unknown; that it has ended is what counts.
    const std::int32_t pid = sys::pid_of_pidfd(pidfd.get()).value_or(0);
    add(run, pid, std::move(pidfd));
}

void MainProcesses::add(Run run, std::int32_t pid, sys::UniqueFd pidfd) {
    Entry& entry = entries_[run.slot];
    entry = Entry{.run = run,
                  .pid = pid,
                  .pidfd = std::move(pidfd),
                  .watch = {},
                  .died_at = std::nullopt,
                  .status = std::nullopt};
    auto watched = loop_.add(entry.pidfd.get(), {}, [this, slot = run.slot](const ev::Ready&) {
        const auto found = entries_.find(slot);
        if (found != entries_.end()) loop_.remove(std::exchange(found->second.watch, {}));
    });
    if (watched) {
        entry.watch = *watched;
    } else {
        log::error(fmt::format("pidfd of {}: {}", pid, std::strerror(watched.error().code)));
    }
}

const MainProcesses::Entry* MainProcesses::find(Run run) const {
    const auto found = entries_.find(run.slot);
    return found != entries_.end() && found->second.run == run ? &found->second : nullptr;
}

void MainProcesses::close(Run run) {
    if (find(run) != nullptr) forget(run.slot);
}

void MainProcesses::forget(Slot slot) {
    const auto found = entries_.find(slot);
    if (found == entries_.end()) return;
    loop_.remove(found->second.watch);
    keeper_.drop(pidfd_key(found->second.run));
    entries_.erase(found);
}

void MainProcesses::forget_others(Slot slot, Generation current) {
    const auto found = entries_.find(slot);
    if (found != entries_.end() && found->second.run.generation != current) forget(slot);
}

std::optional<std::int32_t> MainProcesses::pid(Run run) const {
    const Entry* const entry = find(run);
    if (entry == nullptr || !entry->watch.is_set()) return std::nullopt;
    return entry->pid;
}

bool MainProcesses::is_alive(Run run) const {
    const Entry* const entry = find(run);
    return entry != nullptr && !entry->status;
}

std::optional<core::ExitStatus> MainProcesses::exit_status(Run run) const {
    const Entry* const entry = find(run);
    return entry == nullptr ? std::nullopt : entry->status;
}

void MainProcesses::signal(Run run, int signal, bool then_continue) {
    const auto main = pid(run);
    if (!main) return;
    const auto record = keeper_.slot(run.slot);
    const std::int32_t group = sys::group_of(*main);
    // As a member of the run's own group it has got it from the keeper.
    if (!record || group == 0 || group == record->pid) return;
    for (const int number : {signal, then_continue ? SIGCONT : 0}) {
        if (number == 0) continue;
        // Nobody else's group has the number of a process that lives.
        const Status sent = group == *main ? sys::signal_group(*main, number)
                                           : sys::signal_pidfd(find(run)->pidfd.get(), number);
        static_cast<void>(sent);  // it may end at any moment
    }
}

bool MainProcesses::signal_main(Run run, int signal) {
    if (pid(run)) {
        static_cast<void>(sys::signal_pidfd(find(run)->pidfd.get(), signal));
        return true;
    }
    const auto record = keeper_.slot(run.slot);
    const bool is_running = record && record->state == wire::SlotState::running &&
                            record->generation == run.generation.value;
    if (is_running) keeper_.signal_leader(run, signal);
    return is_running;
}

void MainProcesses::on_time(Instant now) {
    for (auto& [slot, entry] : entries_) {
        if (entry.watch.is_set() || entry.status) continue;
        if (!entry.died_at) entry.died_at = now;
        if (const auto end = sys::end_of_process(entry.pidfd.get())) {
            entry.status = status_of(*end);
        } else if (now - *entry.died_at >= kReapPatience) {
            entry.status = core::ExitStatus{};  // unknown
        } else {
            continue;
        }
        ended_.push_back(entry.run);
    }
}

std::optional<Instant> MainProcesses::next_deadline() const {
    constexpr Duration kInterval = std::chrono::milliseconds{5};
    std::optional<Instant> next;
    for (const auto& [slot, entry] : entries_) {
        if (entry.watch.is_set() || entry.status) continue;
        next = earliest(next, entry.died_at ? *entry.died_at + kInterval : Instant{});
    }
    return next;
}

std::vector<Run> MainProcesses::take_ended() {
    return std::exchange(ended_, {});
}

}  // namespace cluster::supervisor
