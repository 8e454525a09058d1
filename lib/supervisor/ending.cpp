// How runs are asked to end, and how the daemon does.

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <variant>

#include "supervisor/log.hpp"
#include "supervisor/manager.hpp"
#include "supervisor/supervisor.hpp"
#include "sys/clock.hpp"
#include "sys/failpoint.hpp"

namespace cluster::supervisor {

// --- a run

void Supervisor::signal(Run run, int signal) {
    // The keeper has not heard of it yet, and will not.
    const auto waiting = std::find(waiting_spawns_.begin(), waiting_spawns_.end(), run);
    if (waiting != waiting_spawns_.end()) {
        waiting_spawns_.erase(waiting);
        failed_spawns_.push_back({run, {Op::listening_socket, ETIMEDOUT}});
        return;
    }
    const core::Place* place = fleet_.find(run.slot);
    if (place != nullptr && place->instance.generation == run.generation && signal != SIGKILL) {
        const core::WorkerSpec& spec = fleet_.worker(place->worker)->spec;
        channels_.tell_stopping(run, spec.policy.stop_timeout);
        if (spec.stop_message && channels_.send_shutdown(run)) return clusters_.withdraw(run);
        const auto* const stopping = std::get_if<core::Stopping>(&place->instance.state);
        const Instant now = sys::monotonic_now();
        const bool is_usual = stopping != nullptr && signal == spec.policy.stop_signal;
        if (is_usual && clusters_.stop(run, stopping->kill_at - now, now)) return;
        channels_.flush();  // what it is told comes before the signal
    }
    if (signal == SIGKILL) clusters_.on_killed(run);
    link_.signal(run, signal, signal != SIGKILL);
    watch_.mains().signal(run, signal, signal != SIGKILL);
    sys::pass(Failpoint::signal_asked);
}

/// An instance of a Node.js cluster that has asked for more time gets its stop signal as much later
/// as SIGKILL.
void Supervisor::extend_end(Slot slot, Instant now) {
    const core::Place* place = fleet_.find(slot);
    if (place == nullptr) return;
    const auto* const stopping = std::get_if<core::Stopping>(&place->instance.state);
    if (stopping == nullptr || stopping->kill_sent) return;
    clusters_.extend({slot, place->instance.generation}, stopping->kill_at - now, now);
}

/// Workers of a Node.js cluster whose channel is closed and that are still there.
void Supervisor::signal_left() {
    for (const Run run : clusters_.take_signals()) {
        const core::Place* place = fleet_.find(run.slot);
        if (place == nullptr || place->instance.generation != run.generation) continue;
        if (!std::holds_alternative<core::Stopping>(place->instance.state)) continue;
        const int number = fleet_.worker(place->worker)->spec.policy.stop_signal;
        link_.signal(run, number, true);
        watch_.mains().signal(run, number, true);
    }
}

// --- the daemon

void Supervisor::begin_shutdown(Instant now) {
    if (records_.is_shutting_down()) return;
    remember_all();  // with what this very turn has changed
    records_.store_shutdown();
    journal_.add(EventLine("daemon").text("what", "stopping"));
    tell_manager_stopping();
    fleet_.begin_operation();
    stop_everything(now);
}

void Supervisor::stop_everything(Instant now) {
    std::vector<Slot> slots;
    for (const core::Place* place : fleet_.places()) {
        if (place->instance.desired == core::Desired::up) slots.push_back(place->slot);
    }
    fleet_.stop(slots, now);
}

/// Processes in slots that stand for no instance: what a predecessor lost. They get what every
/// worker gets at the end. True when there are none.
bool Supervisor::end_strays(Instant now) {
    constexpr Duration kGrace = std::chrono::seconds{10};
    const bool is_first = !strays_killed_at_;
    bool has_any = false;
    const std::uint32_t used = std::min(link_.table().header.slots_used, wire::kMaxSlots);
    for (std::uint32_t i = 0; i < used; ++i) {
        const auto record = link_.slot(Slot{i});
        if (is_job_slot(Slot{i})) continue;
        const bool is_stray =
            record && record->state != wire::SlotState::free && fleet_.find(Slot{i}) == nullptr;
        if (!is_stray) continue;
        const Run run{Slot{i}, Generation{record->generation}};
        has_any = true;
        if (record->state == wire::SlotState::exited) {
            link_.release(run);
        } else if (is_first) {
            signal(run, SIGTERM);
        } else if (now >= *strays_killed_at_) {
            signal(run, SIGKILL);
        }
    }
    if (!has_any) {
        strays_killed_at_.reset();
    } else if (is_first || now >= *strays_killed_at_) {
        strays_killed_at_ = now + kGrace;
    }
    return !has_any;
}

void Supervisor::finish_when_idle(Instant now) {
    if (!fleet_.is_idle() || is_finishing_ || !end_strays(now)) return;
    jobs_.stop();
    if (!jobs_.is_idle()) return;
    log::info("all workers have stopped");
    sockets_.remove_files();
    clusters_.remove_files();
    is_finishing_ = true;
    link_.finish(0);
    sys::pass(Failpoint::finish_asked);
}

}  // namespace cluster::supervisor
