#include "supervisor/notify_sockets.hpp"

#include <fmt/core.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "supervisor/log.hpp"
#include "sys/family.hpp"
#include "sys/file.hpp"
#include "sys/listener.hpp"
#include "sys/process.hpp"

namespace cluster::supervisor {
namespace {

/// MONOTONIC_USEC, of the clock that all instants are of. Nothing: it said none, or nonsense.
std::optional<Instant> instant_of(const ready::Notification& notification) {
    constexpr std::uint64_t kMaxUsec = std::uint64_t{1} << 53U;  // 285 years after the boot
    if (!notification.monotonic_usec || *notification.monotonic_usec > kMaxUsec) {
        return std::nullopt;
    }
    return Instant{std::chrono::microseconds{*notification.monotonic_usec}};
}

/// The process that is named as the main one: by a pidfd, by a number, or by a number that must be
/// that of the pidfd with this inode. Errors: it is gone, or its number is another one's by now.
Result<sys::UniqueFd> open_main_process(const ready::Notification& notification,
                                        sys::Datagram& datagram) {
    if (notification.passes_main_pidfd) return std::move(datagram.fds.front());
    Result<sys::UniqueFd> pidfd = sys::open_pidfd(*notification.main_pid);
    if (!pidfd || !notification.main_pidfd_id) return pidfd;
    const auto inode = sys::inode_of_pidfd(pidfd->get());
    if (inode != *notification.main_pidfd_id) return fail(Op::read, ESRCH);
    return pidfd;
}

}  // namespace

wire::HeldKey notify_key(Run run) {
    return {.kind = wire::HeldKind::notify,
            .index = 0,
            .slot = run.slot.value,
            .generation = run.generation.value};
}

std::string NotifySockets::path_of(const std::string& instance_id) const {
    return directory_ + "/" + instance_id + ".sock";
}

Result<std::string> NotifySockets::open(Run run, const std::string& instance_id, std::uint32_t uid,
                                        std::uint32_t gid) {
    // Others may pass through the directory of root's daemon: their workers' sockets lie in it.
    const std::uint32_t mode = sys::current_uid() == 0 ? 0711 : 0700;
    if (auto made = sys::make_directory(directory_, mode); !made) {
        return fail(Op::notify_socket, made.error().code);
    }
    const std::string path = path_of(instance_id);
    // Not later: it may be this very run, asked for once more after a takeover.
    if (const auto older = run_of(run.slot)) close(*older);
    auto socket = sys::bind_datagrams(path, uid, gid);
    if (!socket) return fail(Op::notify_socket, socket.error().code);
    keeper_.hold(notify_key(run), socket->get());
    add(run, path, std::move(*socket));
    return path;
}

void NotifySockets::resume(Run run, const std::string& instance_id, sys::UniqueFd socket) {
    // Which of the two an instance may have while it is reloaded, the socket knows best.
    std::string path = sys::bound_address(socket.get()).value_or(path_of(instance_id));
    add(run, std::move(path), std::move(socket));
}

void NotifySockets::add(Run run, std::string path, sys::UniqueFd socket) {
    Entry& entry = entries_[run.slot];
    entry = Entry{.run = run,
                  .path = std::move(path),
                  .socket = std::move(socket),
                  .watch = {},
                  .said = {},
                  .is_unconfirmed = false,
                  .is_paused = false,
                  .read_in_window = 0};
    if (auto watched = watch(entry); !watched) {
        log::error(fmt::format("{}: {}", entry.path, std::strerror(watched.error().code)));
    }
}

Status NotifySockets::watch(Entry& entry) {
    auto added = loop_.add(entry.socket.get(), {},
                           [this, slot = entry.run.slot](const ev::Ready&) { read(slot); });
    if (!added) return tl::unexpected(added.error());
    entry.watch = *added;
    return {};
}

void NotifySockets::close(Run run) {
    const auto found = entries_.find(run.slot);
    if (found == entries_.end() || found->second.run != run) return;
    loop_.remove(found->second.watch);
    keeper_.drop(notify_key(run));
    const std::string path = std::move(found->second.path);
    entries_.erase(found);
    bool is_shared = false;  // with a newer run of the same instance, in another slot
    for (const auto& [slot, entry] : entries_) is_shared = is_shared || entry.path == path;
    if (!is_shared) static_cast<void>(sys::remove_file(path));
}

std::optional<Run> NotifySockets::run_of(Slot slot) const {
    const auto found = entries_.find(slot);
    if (found == entries_.end()) return std::nullopt;
    return found->second.run;
}

const NotifySockets::Said* NotifySockets::said(Run run) const {
    const auto found = entries_.find(run.slot);
    return found != entries_.end() && found->second.run == run ? &found->second.said : nullptr;
}

void NotifySockets::drain(Run run) {
    const auto found = entries_.find(run.slot);
    if (found == entries_.end() || found->second.run != run) return;
    Entry& entry = found->second;
    for (int i = 0; i < kMaxCaughtUp; ++i) {
        if (std::exchange(entry.is_unconfirmed, false)) forget_first(entry);
        if (!read_one(entry)) return;
    }
}

void NotifySockets::forget_first(const Entry& entry) {
    std::array<std::byte, ready::kMaxNotification + 1> buffer;
    sys::Datagram datagram;
    static_cast<void>(sys::receive_datagram(entry.socket.get(), buffer, false, datagram));
}

void NotifySockets::catch_up(Run run) {
    const auto found = entries_.find(run.slot);
    if (found == entries_.end() || found->second.run != run) return;
    for (int i = 0; i < kMaxCaughtUp; ++i) {
        if (found->second.is_unconfirmed || !read_one(found->second)) return;
    }
}

bool NotifySockets::is_unconfirmed(Run run) const {
    const auto found = entries_.find(run.slot);
    return found != entries_.end() && found->second.run == run && found->second.is_unconfirmed;
}

void NotifySockets::read(Slot slot) {
    const auto found = entries_.find(slot);
    if (found == entries_.end()) return;
    Entry& entry = found->second;
    while (entry.read_in_window < kMaxPerWindow) {
        if (entry.is_unconfirmed || !read_one(entry)) return;
        if (++entry.read_in_window == 1) active_.push_back(slot);
    }
    if (!entry.is_paused) pause(entry);
}

void NotifySockets::pause(Entry& entry) {
    loop_.remove(std::exchange(entry.watch, {}));
    entry.is_paused = true;
    has_paused_ = true;
}

/// False: there is nothing to read.
bool NotifySockets::read_one(Entry& entry) {
    std::array<std::byte, ready::kMaxNotification + 1> buffer;
    sys::Datagram datagram;
    if (!sys::receive_datagram(entry.socket.get(), buffer, true, datagram)) return false;
    const std::string_view text{reinterpret_cast<const char*>(buffer.data()), datagram.bytes};
    const auto notification =
        datagram.is_truncated ? std::nullopt : ready::parse_notification(text, datagram.fd_count);
    // Who has spoken and gone cannot be asked any more; the socket's permissions have let it in.
    const bool is_of_us = datagram.pid > 0 &&
                          (sys::is_gone(datagram.pid) || is_of_run(entry, datagram.pid));
    const bool counts = notification && is_of_us;
    if (!counts) refuse(entry, datagram);
    if (counts && (notification->stores_fds || notification->removes_fds)) {
        const std::string problem =
            store_(entry.run, *notification, std::span{datagram.fds}.first(datagram.fd_count));
        if (!problem.empty() && !std::exchange(entry.has_stored_too_much, true)) {
            log::warn(fmt::format("{}: {}", entry.path, problem));
        }
    }
    if (counts && hear(entry, *notification, datagram)) {
        entry.is_unconfirmed = true;
        unconfirmed_.push_back(entry.run.slot);
        return true;
    }
    // Closing what came with it is the answer to a barrier, and the end of what nobody asked for.
    return sys::receive_datagram(entry.socket.get(), buffer, false, datagram).has_value();
}

std::int32_t NotifySockets::leader_of(Run run) const {
    const auto record = keeper_.slot(run.slot);
    return record && record->generation == run.generation.value ? record->pid : 0;
}

bool NotifySockets::is_of_run(const Entry& entry, std::int32_t pid) const {
    const std::int32_t leader = leader_of(entry.run);
    if (leader > 0 && sys::is_of_family(pid, leader)) return true;
    const auto main = mains_.pid(entry.run);
    if (main && sys::is_of_family(pid, *main)) return true;
    // One that has put itself into the background descends from the keeper only, at once or when the
    // last of those between them has ended.
    return sys::is_of_family(pid, keeper_.table().header.keeper_pid) &&
           sys::has_in_environment(pid, "NOTIFY_SOCKET=" + entry.path);
}

void NotifySockets::hear_main_process(Entry& entry, const ready::Notification& notification,
                                      sys::Datagram& datagram) {
    const std::int32_t leader = leader_of(entry.run);
    if (leader <= 0) return;
    Result<sys::UniqueFd> pidfd = open_main_process(notification, datagram);
    // From here on its number is nobody else's while it lives, and what does not live is in no family.
    const Result<std::int32_t> pid =
        pidfd ? sys::pid_of_pidfd(pidfd->get()) : tl::unexpected(pidfd.error());
    if (pid && (*pid == leader || is_of_run(entry, *pid))) {
        return mains_.set(entry.run, *pid, std::move(*pidfd), leader);
    }
    if (std::exchange(entry.has_named_stranger, true)) return;
    const std::string name = notification.passes_main_pidfd
                                 ? "MAINPIDFD=1"
                                 : fmt::format("MAINPID={}", *notification.main_pid);
    log::warn(fmt::format("{}: {} is ignored: no process of this run", entry.path, name));
}

void NotifySockets::refuse(Entry& entry, const sys::Datagram& datagram) {
    if (entry.said.refused++ > 0) return;  // said once a run; describe counts them
    log::warn(fmt::format(
        "{}: refused a datagram of process {} (user {}): not of this run, or no notification",
        entry.path, datagram.pid, datagram.uid));
}

/// True: an instance has to be told, and the datagram must not be lost before that is stored.
bool NotifySockets::hear(Entry& entry, const ready::Notification& notification,
                         sys::Datagram& datagram) {
    Said& said = entry.said;
    if (notification.status) said.status = *notification.status;
    if (notification.main_pid || notification.passes_main_pidfd) {
        hear_main_process(entry, notification, datagram);
    }
    if (notification.resets_restarts) forgiven_.push_back(entry.run);
    const bool is_known = !signs_.empty() && signs_.back().run == entry.run;
    if (notification.watchdog || (notification.is_alive && !is_known)) {
        signs_.push_back({entry.run, notification.watchdog});
    }
    const std::size_t before = heard_.size();
    const Generation run = entry.run.generation;
    if (notification.extend_timeout) {
        heard_.push_back(
            {entry.run, core::event::ExtendTimeout{run, *notification.extend_timeout}});
    }
    if (notification.is_reloading) {
        heard_.push_back({entry.run, core::event::Reloading{run, instant_of(notification)}});
    }
    if (notification.is_ready) heard_.push_back({entry.run, core::event::BecameReady{run}});
    if (notification.is_stopping) heard_.push_back({entry.run, core::event::Leaving{run}});
    if (notification.is_hung) {
        heard_.push_back({entry.run, core::event::Hung{run, core::ExitReason::watchdog}});
    }
    return heard_.size() != before;
}

std::vector<NotifySockets::SignOfLife> NotifySockets::take_signs() {
    return std::exchange(signs_, {});
}

std::vector<NotifySockets::Heard> NotifySockets::take_heard() {
    return std::exchange(heard_, {});
}

void NotifySockets::confirm() {
    // What was heard but not taken yet has not been stored either.
    if (!heard_.empty()) return;
    for (const Slot slot : std::exchange(unconfirmed_, {})) {
        const auto found = entries_.find(slot);
        const bool is_read =
            found != entries_.end() && std::exchange(found->second.is_unconfirmed, false);
        if (is_read) forget_first(found->second);
    }
}

void NotifySockets::on_time(Instant now) {
    if (active_.empty()) return;
    if (!window_end_) window_end_ = now + kWindow;
    if (now < *window_end_) return;
    window_end_.reset();
    has_paused_ = false;
    for (const Slot slot : std::exchange(active_, {})) {
        const auto found = entries_.find(slot);
        if (found == entries_.end()) continue;
        Entry& entry = found->second;
        entry.read_in_window = 0;
        if (!std::exchange(entry.is_paused, false)) continue;
        if (auto watched = watch(entry); !watched) {
            log::error(fmt::format("{}: {}", entry.path, std::strerror(watched.error().code)));
        }
    }
}

}  // namespace cluster::supervisor
