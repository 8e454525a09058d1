#include "keeper/runs.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <utility>
#include <vector>

#include "sys/failpoint.hpp"
#include "sys/succession.hpp"

namespace cluster::keeper {

using wire::SlotRecord;
using wire::SlotState;

Runs::Runs(wire::Table& shared, Changed changed) : slots_(shared), changed_(std::move(changed)) {}

void Runs::resume(Estate& estate, Adopted& adopted, Instant now) {
    slots_.resume(estate.old_table());
    std::vector<sys::UniqueFd> pidfds(slots_.slots_used());
    for (Estate::Item& item : estate.items) {
        if (item.key.kind != wire::HeldKind::process || item.key.slot >= pidfds.size()) continue;
        if (slots_.record(Slot{item.key.slot}).generation != item.key.generation) continue;
        pidfds[item.key.slot] = std::move(item.fd);
    }
    for (std::uint32_t i = 0; i < slots_.slots_used(); ++i) {
        resume_run(Slot{i}, std::move(pidfds[i]), adopted, now);
    }
}

void Runs::resume_run(Slot slot, sys::UniqueFd pidfd, Adopted& adopted, Instant now) {
    const SlotRecord& record = slots_.record(slot);
    const bool is_live = record.state == SlotState::running || record.state == SlotState::intent;
    if (!is_live) return;
    if (record.pid <= 0) {
        return slots_.note_not_begun(slot);  // the supervisor asks again
    }
    const std::int32_t pid = record.pid;
    const std::uint64_t ticks = sys::process_start_ticks(pid).value_or(0);
    if (!pidfd.is_open()) {
        // Its number may be a stranger's by now. What the predecessor could not write down any more
        // is told by the time.
        const bool is_it = record.start_ticks != 0
                               ? ticks == record.start_ticks
                               : sys::has_started_at(pid, from_ns(record.spawned_ns));
        auto opened = is_it ? sys::open_pidfd(pid) : Result<sys::UniqueFd>{sys::UniqueFd{}};
        if (opened) pidfd = std::move(*opened);
    }
    if (record.state == SlotState::intent) slots_.note_running(slot, ticks);
    if (!pidfd.is_open()) {
        static_cast<void>(on_reaped({.pid = pid}, now));
        return;
    }
    pidfds_[slot.value] = std::move(pidfd);
    if (sys::is_own_child(pidfds_[slot.value].get())) return;
    is_adopted_.set(slot.value);
    // Unwatched it would never end for us: better to lose sight of it, and say so.
    if (!adopted.watch(pid, pidfds_[slot.value].get())) {
        static_cast<void>(on_reaped({.pid = pid}, now));
    }
}

Status Runs::spawn(Run run, Epoch epoch, int plan_file, std::span<const int> fds,
                   const ChildDefaults& defaults, Instant now) {
    const auto admission = slots_.admit(run);
    if (!admission) return tl::unexpected(admission.error());
    if (*admission == SlotTable::Admission::known) return {};
    const auto plan = plan_runner_.load(plan_file, fds.size());
    if (!plan) return tl::unexpected(plan.error());
    const sys::ChildEntry child = plan_runner_.prepare(*plan, fds, defaults);

    is_adopted_.reset(run.slot.value);
    std::int32_t* pid_cell = slots_.begin_spawn(run, epoch, now);
    sys::pass(Failpoint::intent_written);
    auto spawned = sys::spawn(child, pid_cell);
    sys::pass(Failpoint::run_cloned);
    if (!spawned) {
        const auto [op, code] = spawned.error();
        const auto count = static_cast<int>(plan->ops.size());
        slots_.note_failed(run.slot, {.op_index = count, .op = op, .code = code}, now);
    } else if (spawned->failure) {
        slots_.note_failed(run.slot, *spawned->failure, now);
    } else {
        // Not reaped yet, so /proc has it even if it is dead already.
        slots_.note_running(run.slot, sys::process_start_ticks(spawned->pid).value_or(0));
        pidfds_[run.slot.value] = std::move(spawned->pidfd);
        sys::pass(Failpoint::run_noted);
    }
    return {};
}

wire::Message Runs::make_answer(Run run) const {
    const SlotRecord& record = slots_.record(run.slot);
    wire::Message answer = wire::make_message(wire::Kind::spawned, run);
    answer.payload.spawned = {.pid = record.pid,
                              .op = record.failed_op,
                              .code = record.failed_code,
                              .op_index = record.failed_op_index};
    return answer;
}

int Runs::pidfd(Run run) const {
    return slots_.find(run) == nullptr ? -1 : pidfds_[run.slot.value].get();
}

Status Runs::signal(Run run, const wire::Signal& wanted) {
    const SlotRecord* record = slots_.find(run);
    if (record == nullptr || record->pid <= 0) return fail(Op::signal, ESRCH);
    if (wanted.to_leader != 0) {
        if (record->state != SlotState::running) return fail(Op::signal, ESRCH);
        return sys::signal_pidfd(pidfds_[run.slot.value].get(), wanted.signal);
    }
    Status sent = record->state == SlotState::running ? signal_leader(run.slot, wanted.signal)
                                                      : signal_remains(run.slot, wanted.signal);
    sys::pass(Failpoint::signal_sent);
    if (sent) slots_.note_signal(run.slot, wanted.signal);
    if (!sent || wanted.then_continue == 0) return sent;
    // The group may be gone by now; then there is nothing to continue.
    static_cast<void>(sys::signal_group(record->pid, SIGCONT));
    return {};
}

Status Runs::signal_leader(Slot slot, int signal) {
    const std::int32_t pid = slots_.record(slot).pid;
    // Whoever reaps it instead of us gives its number away.
    const auto sent = is_adopted_.test(slot.value)
                          ? sys::signal_group_of(pidfds_[slot.value].get(), pid, signal)
                          : sys::signal_group(pid, signal);
    // No such group: the plan started no session, and the leader is all that is ours.
    if (sent || sent.error().code != ESRCH) return sent;
    return sys::signal_pidfd(pidfds_[slot.value].get(), signal);
}

Status Runs::signal_remains(Slot slot, int signal) {
    const SlotRecord& record = slots_.record(slot);
    if (record.group_alive == 0) return fail(Op::signal, ESRCH);
    // A pid is given out again only when no group has that number any more.
    const bool is_reused = slots_.find_leader(record.pid).has_value();
    // Zombies whose parent lives elsewhere are nobody that a KILL could end, and no reap of ours
    // will tell of them.
    const bool has_ended =
        is_reused || (signal == SIGKILL && !sys::group_has_living_member(record.pid));
    const Status sent = has_ended ? fail(Op::signal, ESRCH) : sys::signal_group(record.pid, signal);
    if (!sent && sent.error().code == ESRCH) note_group_gone(slot);
    return sent;
}

bool Runs::on_reaped(const sys::Reaped& exit, Instant now) {
    const auto slot = slots_.find_leader(exit.pid);
    if (!slot) return false;
    sys::pass(Failpoint::exit_reaped);
    slots_.note_exited(*slot, exit, is_anybody_left(*slot), now);
    pidfds_[slot->value].reset();
    sys::pass(Failpoint::exit_noted);
    changed_(*slot);
    return true;
}

bool Runs::is_anybody_left(Slot slot) const {
    const std::int32_t group = slots_.record(slot).pid;
    if (!sys::group_exists(group)) return false;
    // An adopted leader is a member until its parent has reaped it, whenever that may be.
    return !is_adopted_.test(slot.value) || sys::group_has_living_member(group);
}

void Runs::check_groups() {
    // Backwards: note_group_gone moves the last one into the gap.
    for (std::size_t i = slots_.lingering().size(); i-- > 0;) {
        const Slot slot = slots_.lingering()[i];
        if (!is_anybody_left(slot)) note_group_gone(slot);
    }
}

bool Runs::has_foreign_groups() const {
    const auto lingering = slots_.lingering();
    return std::any_of(lingering.begin(), lingering.end(),
                       [this](Slot slot) { return is_adopted_.test(slot.value); });
}

void Runs::note_group_gone(Slot slot) {
    slots_.note_group_gone(slot);
    changed_(slot);
}

void Runs::signal_all(int signal, bool then_continue) {
    const wire::Signal wanted{
        .signal = signal, .then_continue = then_continue ? 1U : 0U, .to_leader = 0, .reserved = 0,
        .further = {}};
    for (std::uint32_t i = 0; i < slots_.slots_used(); ++i) {
        const SlotRecord& record = slots_.record(Slot{i});
        const bool may_be_left = record.state == SlotState::running || record.group_alive != 0;
        if (!may_be_left) continue;
        const Run run{.slot = Slot{i}, .generation = Generation{record.generation}};
        // What could not be signalled is gone or will be waited for in vain; both are seen by the
        // caller.
        static_cast<void>(this->signal(run, wanted));
    }
}

}  // namespace cluster::keeper
