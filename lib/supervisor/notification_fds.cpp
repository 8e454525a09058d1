#include "supervisor/notification_fds.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <span>
#include <utility>

#include "supervisor/log.hpp"
#include "supervisor/notify_sockets.hpp"
#include "sys/file.hpp"

namespace cluster::supervisor {
namespace {

wire::HeldKey pipe_key(Run run) {
    wire::HeldKey key = notify_key(run);
    key.index = kHeldNotification;
    return key;
}

}  // namespace

Status NotificationFds::open(Run run, int number, Inheritance& inheritance) {
    auto pipe = sys::open_pipe();
    if (!pipe) return tl::unexpected(pipe.error());
    forget(run.slot);
    keeper_.hold(pipe_key(run), pipe->read_end.get());
    add(run, std::move(pipe->read_end));
    inheritance.set_notification(number, std::move(pipe->write_end));
    return {};
}

void NotificationFds::resume(Run run, sys::UniqueFd read_end) {
    add(run, std::move(read_end));
}

void NotificationFds::add(Run run, sys::UniqueFd read_end) {
    Entry& entry = entries_[run.slot];
    entry = Entry{.run = run, .read_end = std::move(read_end), .watch = {}};
    auto watched = loop_.add(entry.read_end.get(), {}, [this, slot = run.slot](const ev::Ready&) {
        const auto found = entries_.find(slot);
        if (found != entries_.end()) read(found->second);
    });
    if (watched) {
        entry.watch = *watched;
    } else {
        log::error(fmt::format("notification pipe: {}", std::strerror(watched.error().code)));
    }
}

void NotificationFds::close(Run run) {
    const auto found = entries_.find(run.slot);
    if (found != entries_.end() && found->second.run == run) forget(run.slot);
}

void NotificationFds::forget_others(Slot slot, Generation current) {
    const auto found = entries_.find(slot);
    if (found != entries_.end() && found->second.run.generation != current) forget(slot);
}

void NotificationFds::forget(Slot slot) {
    const auto found = entries_.find(slot);
    if (found == entries_.end()) return;
    loop_.remove(found->second.watch);
    keeper_.drop(pipe_key(found->second.run));
    entries_.erase(found);
}

void NotificationFds::drain(Run run) {
    const auto found = entries_.find(run.slot);
    const bool is_open = found != entries_.end() && found->second.run == run;
    if (is_open && found->second.watch.is_set()) read(found->second);
}

void NotificationFds::read(Entry& entry) {
    std::array<std::byte, 4096> buffer;
    const auto seen = sys::peek_pipe(entry.read_end.get(), buffer);
    if (!seen && seen.error().code == EAGAIN) return;
    const std::span<const std::byte> bytes{buffer.data(), seen.value_or(0)};
    const bool has_line =
        std::find(bytes.begin(), bytes.end(), std::byte{'\n'}) != bytes.end();
    if (has_line) {
        ready_.push_back(entry.run);
    } else if (!bytes.empty()) {
        // Of a line that has no end yet only the end matters.
        static_cast<void>(sys::discard_from_pipe(entry.read_end.get(), bytes.size()));
        return;
    } else {
        entry.is_closed_unsaid = true;
    }
    loop_.remove(std::exchange(entry.watch, {}));
}

std::vector<Run> NotificationFds::take_ready() {
    return std::exchange(ready_, {});
}

std::string NotificationFds::failure(Run run) const {
    const auto found = entries_.find(run.slot);
    const bool is_closed = found != entries_.end() && found->second.run == run &&
                           found->second.is_closed_unsaid;
    return is_closed ? "it has closed its notification descriptor without a line" : "";
}

}  // namespace cluster::supervisor
