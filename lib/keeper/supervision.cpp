// The life of the supervisor: started, connected, mourned, replaced; and what happens when there is
// none to stop the workers.
#include <csignal>
#include <cstring>
#include <string>
#include <utility>

#include "keeper/keeper.hpp"
#include "keeper/say.hpp"
#include "sys/file.hpp"
#include "sys/socket.hpp"

namespace cluster::keeper {

namespace {

/// A supervisor that dies so often while it should stop everything will not do it any more.
constexpr std::uint32_t kMaxDeathsWhileTerminating = 5;
/// As a service manager's users expect it between TERM and KILL.
constexpr Duration kLastStopGrace = std::chrono::seconds(10);
/// After KILL only processes in uninterruptible waits are left; those end when the kernel lets
/// them.
constexpr Duration kKilledGrace = std::chrono::seconds(2);

const char* signal_name(int signal) {
    const char* name = ::sigabbrev_np(signal);
    return name == nullptr ? "?" : name;
}

void say_died(const sys::Reaped& exit) {
    if (exit.code == CLD_EXITED) {
        say("supervisor (pid %d) ended with exit code %d", exit.pid, exit.status);
    } else {
        say("supervisor (pid %d) was killed by SIG%s", exit.pid, signal_name(exit.status));
    }
}

}  // namespace

void Keeper::start_supervisor(Instant now) {
    SupervisorProcess::Command command = options_.supervisor;
    const std::string previous = command.path + ".previous";
    if (guardian_.prefers_previous() && sys::file_info(previous)) {
        say("supervisor keeps dying: trying the previous one, %s", previous.c_str());
        command.path = previous;
    }
    // It needs many descriptors itself and gives none of its limits to the workers: those come from
    // us.
    ChildDefaults defaults = process_.defaults;
    defaults.descriptors.reset();
    wire::TableHeader& header = table_.header;
    auto socket = supervisor_.start(command, runs_.plan_runner(), defaults, &header.supervisor_pid);
    guardian_.on_started(now);
    ++header.supervisor_starts;
    header.supervisor_started_ns = to_ns(now);
    header.supervisor_start_ticks = sys::process_start_ticks(header.supervisor_pid).value_or(0);
    if (socket) return connect_supervisor(std::move(*socket));

    const auto [op, code] = socket.error();
    say("cannot start the supervisor %s: %s: %s", command.path.c_str(), op_name(op),
        std::strerror(code));
    header.supervisor_pid = 0;
    guardian_.on_died(now);
    // Nothing was ever here that would have to be kept alive: better to fail where somebody looks.
    const bool is_first = header.supervisor_starts == 1;
    if (is_first) exit_code_ = 1;
    if (is_terminating_ && !is_first) begin_last_stop(now);
}

void Keeper::connect_supervisor(sys::UniqueFd socket) {
    link_.emplace(std::move(socket), [this](wire::Message& message, std::span<int> fds) {
        return attach(message, fds);
    });
    has_greeted_ = false;
    is_batching_ = false;
    changed_.clear();
    link_interest_ = link_->interest();
    const auto watch =
        loop_.add(link_->descriptor(), link_interest_, [this](const ev::Ready& ready) {
            has_link_input_ = has_link_input_ || ready.readable || ready.hung_up;
            has_link_room_ = has_link_room_ || ready.writable;
        });
    if (!watch) return reject_supervisor("its link cannot be watched");
    link_watch_ = *watch;

    const wire::TableHeader& header = table_.header;
    wire::Message hello = wire::make_message(wire::Kind::hello);
    hello.payload.hello = {.message_bytes = sizeof(wire::Message),
                           .slot_record_bytes = sizeof(wire::SlotRecord),
                           .held_record_bytes = sizeof(wire::HeldRecord),
                           .max_slots = wire::kMaxSlots,
                           .max_held = wire::kMaxHeld,
                           .is_terminating = is_terminating_ ? 1U : 0U,
                           .boot_id_low = 0,
                           .boot_id_high = 0,
                           .supervisor_starts = header.supervisor_starts,
                           .batches = 1,
                           .reserved = 0};
    std::memcpy(&hello.payload.hello.boot_id_low, header.boot_id, sizeof(std::uint64_t));
    std::memcpy(&hello.payload.hello.boot_id_high, header.boot_id + 8, sizeof(std::uint64_t));
    link_->answer(hello);
}

void Keeper::on_supervisor_died(const sys::Reaped& exit, Instant now) {
    // From here on the number may be anybody's.
    table_.header.supervisor_pid = 0;
    // What it had sent before its death counts.
    drain_link(now);
    close_link();
    supervisor_.note_died();
    guardian_.on_died(now);
    if (finishing_) return;
    say_died(exit);
    if (!is_terminating_) return;
    ++deaths_while_terminating_;
    if (deaths_while_terminating_ >= kMaxDeathsWhileTerminating) begin_last_stop(now);
}

void Keeper::on_terminate(Instant now) {
    is_terminating_ = true;
    table_.header.is_terminating = 1;
    if (link_) {
        link_->pass_on(wire::Kind::terminate);
    } else if (!supervisor_.is_alive()) {
        begin_last_stop(now);
    }
    // Alive without a link: it is being killed, and its successor learns it from our hello.
}

void Keeper::begin_last_stop(Instant now) {
    if (last_stop_ || finishing_ || exit_code_) return;
    say("no supervisor is there to stop the workers: sending SIGTERM to all of them");
    last_stop_ = LastStop{.deadline = now + kLastStopGrace};
    runs_.signal_all(SIGTERM, true);
}

void Keeper::advance_last_stop(Instant now) {
    if (runs_.is_empty()) {
        exit_code_ = 1;
    } else if (now < last_stop_->deadline) {
        return;
    } else if (!last_stop_->has_killed) {
        last_stop_ = LastStop{.deadline = now + kKilledGrace, .has_killed = true};
        runs_.signal_all(SIGKILL, false);
    } else {
        say("workers are left that the kernel has not ended");
        exit_code_ = 1;
    }
}

}  // namespace cluster::keeper
