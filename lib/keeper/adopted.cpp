#include "keeper/adopted.hpp"

#include <algorithm>
#include <csignal>

namespace cluster::keeper {

namespace {

/// As waitid(2) would have told it.
void fill_in(sys::Reaped& end, const sys::ProcessEnd& how) {
    if (how.signal == 0) {
        end.code = CLD_EXITED;
        end.status = how.code;
    } else {
        end.code = how.has_dumped ? CLD_DUMPED : CLD_KILLED;
        end.status = how.signal;
    }
}

}  // namespace

Status Adopted::watch(std::int32_t pid, int pidfd, Duration patience) {
    const auto watch =
        loop_.add(pidfd, {.readable = true, .writable = false},
                  [this, pid](const ev::Ready& ready) { on_ready(pid, ready); });
    if (!watch) return tl::unexpected(watch.error());
    processes_.push_back(
        {.pid = pid, .pidfd = pidfd, .watch = *watch, .patience = patience, .due = {}});
    return {};
}

void Adopted::on_ready(std::int32_t pid, const ev::Ready& ready) {
    for (Process& process : processes_) {
        if (process.pid != pid) continue;
        if (!process.is_dead) ++dead_;
        process.is_dead = true;
        process.is_buried = process.is_buried || ready.hung_up;
        // A death stays readable: from here on only the reap is news, which cannot be masked.
        static_cast<void>(loop_.modify(process.watch, {.readable = false, .writable = false}));
    }
}

std::vector<sys::Reaped> Adopted::take_ended(Instant now) {
    std::vector<sys::Reaped> ended;
    if (dead_ == 0) return ended;
    const auto is_over = [&](Process& process) {
        sys::Reaped end{.pid = process.pid};
        if (!has_ended(process, end, now)) return false;
        ended.push_back(end);
        loop_.remove(process.watch);
        --dead_;
        return true;
    };
    processes_.erase(std::remove_if(processes_.begin(), processes_.end(), is_over),
                     processes_.end());
    return ended;
}

bool Adopted::has_ended(Process& process, sys::Reaped& end, Instant now) {
    if (!process.is_dead) return false;
    if (!process.due) process.due = now + process.patience;
    auto how = sys::end_of_process(process.pidfd);
    if (!how && !process.is_buried && now < *process.due) return false;
    if (!how) how = sys::end_of_zombie(process.pid);
    if (how) fill_in(end, *how);
    return true;
}

std::optional<Instant> Adopted::next_deadline() const {
    std::optional<Instant> next;
    if (dead_ == 0) return next;
    for (const Process& process : processes_) next = earliest(next, process.due);
    return next;
}

}  // namespace cluster::keeper
