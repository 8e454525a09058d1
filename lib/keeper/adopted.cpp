#include "keeper/adopted.hpp"

#include <algorithm>
#include <csignal>

namespace cluster::keeper {

namespace {

/// As waitid(2) would have told it.
void fill_in(sys::Reaped& exit, const sys::ProcessEnd& end) {
    if (end.signal == 0) {
        exit.code = CLD_EXITED;
        exit.status = end.code;
    } else {
        exit.code = end.has_dumped ? CLD_DUMPED : CLD_KILLED;
        exit.status = end.signal;
    }
}

}  // namespace

Status Adopted::watch(std::uint32_t name, std::int32_t pid, int pidfd, Duration patience) {
    const auto watch =
        loop_.add(pidfd, {.readable = true, .writable = false},
                  [this, name](const ev::Ready& ready) { on_ready(name, ready); });
    if (!watch) return tl::unexpected(watch.error());
    processes_.push_back({.name = name,
                          .pid = pid,
                          .pidfd = pidfd,
                          .watch = *watch,
                          .patience = patience,
                          .end = {},
                          .due = {}});
    return {};
}

void Adopted::on_ready(std::uint32_t name, const ev::Ready& ready) {
    const auto found = std::find_if(processes_.begin(), processes_.end(),
                                    [&](const Process& process) { return process.name == name; });
    if (found == processes_.end()) return;
    found->is_buried = found->is_buried || ready.hung_up;
    if (found->is_dead) return;
    found->is_dead = true;
    ++dead_;
    // At once: as long as it is not buried, this is all that knows on an older kernel.
    found->end = sys::end_of_process(found->pidfd);
    if (!found->end) found->end = sys::end_of_zombie(found->pid);
    // A death stays readable: from here on only the reap is news, which cannot be masked.
    static_cast<void>(loop_.modify(found->watch, {.readable = false, .writable = false}));
}

std::vector<Adopted::Ended> Adopted::take_ended(Instant now) {
    std::vector<Ended> ended;
    if (dead_ == 0) return ended;
    const auto is_over = [&](Process& process) {
        sys::Reaped exit{.pid = process.pid};
        if (!has_ended(process, exit, now)) return false;
        ended.push_back({.name = process.name, .exit = exit});
        loop_.remove(process.watch);
        --dead_;
        return true;
    };
    processes_.erase(std::remove_if(processes_.begin(), processes_.end(), is_over),
                     processes_.end());
    return ended;
}

bool Adopted::has_ended(Process& process, sys::Reaped& exit, Instant now) {
    if (!process.is_dead) return false;
    if (!process.due) process.due = now + process.patience;
    if (!process.is_buried && now < *process.due) return false;
    if (!process.end) process.end = sys::end_of_process(process.pidfd);
    if (process.end) fill_in(exit, *process.end);
    return true;
}

std::optional<Instant> Adopted::next_deadline() const {
    std::optional<Instant> next;
    if (dead_ == 0) return next;
    for (const Process& process : processes_) next = earliest(next, process.due);
    return next;
}

}  // namespace cluster::keeper
