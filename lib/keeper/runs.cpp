#include "keeper/runs.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <utility>
#include <vector>

#include "sys/clock.hpp"
#include "sys/failpoint.hpp"
#include "sys/family.hpp"
#include "sys/succession.hpp"

namespace cluster::keeper {

using wire::SlotRecord;
using wire::SlotState;

Runs::Runs(wire::Table& shared, Changed changed) : slots_(shared), changed_(std::move(changed)) {}

Status Runs::resume(Estate& estate, Adopted& adopted, Instant now) {
    slots_.resume(estate.old_table());
    // Their orphans may come to somebody else, and what was reaped last was looked at by nobody.
    for (const Slot slot : slots_.lingering()) is_foreign_.set(slot.value);
    std::vector<sys::UniqueFd> pidfds(slots_.slots_used());
    for (Estate::Item& item : estate.items) {
        if (item.key.kind != wire::HeldKind::process || item.key.slot >= pidfds.size()) continue;
        if (slots_.record(Slot{item.key.slot}).generation != item.key.generation) continue;
        pidfds[item.key.slot] = std::move(item.fd);
    }
    for (std::uint32_t i = 0; i < slots_.slots_used(); ++i) {
        const SlotState state = slots_.record(Slot{i}).state;
        if (state != SlotState::running && state != SlotState::intent) continue;
        if (auto resumed = resume_run(Slot{i}, std::move(pidfds[i]), adopted, now); !resumed) {
            return resumed;
        }
    }
    check_groups();
    return {};
}

Status Runs::resume_run(Slot slot, sys::UniqueFd pidfd, Adopted& adopted, Instant now) {
    const SlotRecord& record = slots_.record(slot);
    if (record.pid <= 0) {
        slots_.note_not_begun(slot);  // the supervisor asks again
        return {};
    }
    const std::int32_t pid = record.pid;
    const bool is_intent = record.state == SlotState::intent;
    const std::uint64_t ticks = sys::process_start_ticks(pid).value_or(0);
    // An intent says when the process was about to be made, which may have taken a moment.
    const std::uint64_t latest = record.start_ticks + (is_intent ? sys::kTicksPerSecond : 0);
    const bool is_it = ticks >= record.start_ticks && ticks <= latest;
    if (!pidfd.is_open() && is_it) {
        auto opened = sys::open_pidfd(pid);
        // Without it, it would be spawned a second time: better to be no keeper.
        if (!opened && opened.error().code != ESRCH) return tl::unexpected(opened.error());
        if (opened) pidfd = std::move(*opened);
    }
    if (is_intent) slots_.note_running(slot, ticks);
    if (!pidfd.is_open()) {
        // Its number is nobody's, or a stranger's; what was left of its group may be.
        is_foreign_.set(slot.value);
        slots_.note_exited(slot, {.pid = pid}, ticks == 0 && is_anybody_left(slot), now);
        return {};
    }
    pidfds_[slot.value] = std::move(pidfd);
    const int handle = pidfds_[slot.value].get();
    if (sys::is_own_child(handle)) return {};
    is_foreign_.set(slot.value);
    slots_.note_foreign(slot);
    return adopted.watch(slot.value, pid, handle);
}

Status Runs::spawn(Run run, Epoch epoch, int plan_file, std::span<const int> fds,
                   const ChildDefaults& defaults, Instant now) {
    const auto admission = slots_.admit(run);
    if (!admission) return tl::unexpected(admission.error());
    if (*admission == SlotTable::Admission::known) return {};
    const auto plan = plan_runner_.load(plan_file, fds.size());
    if (!plan) return tl::unexpected(plan.error());

    is_foreign_.reset(run.slot.value);
    const std::uint64_t ticks = sys::ticks_now();
    std::int32_t* pid_cell = slots_.begin_spawn(run, epoch, sys::monotonic_now(), ticks);
    sys::pass(Failpoint::intent_written);
    auto spawned = plan_runner_.spawn(*plan, fds, defaults, pid_cell);
    sys::pass(Failpoint::run_cloned);
    if (!spawned) {
        const auto [op, code] = spawned.error();
        const auto count = static_cast<int>(plan->ops.size());
        slots_.note_failed(run.slot, {.op_index = count, .op = op, .code = code}, now);
    } else if (spawned->failure) {
        slots_.note_failed(run.slot, *spawned->failure, now);
    } else {
        // As a rule no tick has gone by, and it is known when it was made. Else /proc says it, even
        // if it is dead already: it is not reaped.
        const bool is_known = sys::ticks_now() == ticks;
        slots_.note_running(
            run.slot, is_known ? ticks : sys::process_start_ticks(spawned->pid).value_or(0));
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
    const auto sent = is_foreign_.test(slot.value)
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
    on_ended(*slot, exit, now);
    return true;
}

void Runs::on_ended(Slot slot, const sys::Reaped& exit, Instant now) {
    slots_.note_exited(slot, exit, is_anybody_left(slot), now);
    pidfds_[slot.value].reset();
    sys::pass(Failpoint::exit_noted);
    changed_(slot);
}

bool Runs::is_anybody_left(Slot slot) const {
    const std::int32_t group = slots_.record(slot).pid;
    if (!sys::group_exists(group)) return false;
    // A leader that is no child of ours is a member until its parent has reaped it, whenever that
    // may be: only then is it worth a look at every process.
    const bool may_be_alone = is_foreign_.test(slot.value) && !sys::is_gone(group);
    return !may_be_alone || sys::group_has_living_member(group);
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
                       [this](Slot slot) { return is_foreign_.test(slot.value); });
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
