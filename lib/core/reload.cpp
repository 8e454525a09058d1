#include "core/reload.hpp"

#include <variant>

#include "base/assert.hpp"

namespace cluster::core {
namespace {

ReloadStep begin_step(ReloadMode mode, OldRun old_run) {
    // Nothing runs that could serve meanwhile, or that could reload itself.
    if (old_run == OldRun::down) return ReloadStep::begin_restart;
    switch (mode) {
        case ReloadMode::overlap:
            return ReloadStep::begin_overlap;
        case ReloadMode::stop_first:
            return ReloadStep::begin_restart;
        case ReloadMode::signal:
            // A program that has not set up its handler yet would die of the signal.
            return old_run == OldRun::serving ? ReloadStep::begin_signal : ReloadStep::wait;
    }
    return ReloadStep::wait;
}

ReloadStep step_in_place(NewRun new_run) {
    switch (new_run) {
        case NewRun::none:
            return ReloadStep::requeue;
        case NewRun::coming:
            return ReloadStep::wait;
        case NewRun::good:
            return ReloadStep::finish;
        case NewRun::failed:
            return ReloadStep::fail;
    }
    return ReloadStep::wait;
}

}  // namespace

ReloadStep reload_step(ReloadPhase phase, ReloadMode mode, OldRun old_run, NewRun new_run,
                       bool may_begin) {
    if (phase == ReloadPhase::none) return ReloadStep::wait;
    if (old_run == OldRun::unwanted) return ReloadStep::abandon;
    switch (phase) {
        case ReloadPhase::none:
            break;
        case ReloadPhase::queued:
            return may_begin ? begin_step(mode, old_run) : ReloadStep::wait;
        case ReloadPhase::overlapping:
            return new_run == NewRun::good ? ReloadStep::promote : step_in_place(new_run);
        case ReloadPhase::restarting:
        case ReloadPhase::signalled:
            return step_in_place(new_run);
    }
    return ReloadStep::wait;
}

ReloadMode reload_mode(const WorkerSpec& from, const WorkerSpec& to) {
    // What is read at exec only cannot be brought in by a signal.
    if (to.reload.signal != 0 && !needs_new_run(from, to)) return ReloadMode::signal;
    switch (to.reload.mode) {
        case ReloadSpec::Mode::overlap:
            return ReloadMode::overlap;
        case ReloadSpec::Mode::stop_first:
            return ReloadMode::stop_first;
        case ReloadSpec::Mode::automatic:
            break;
    }
    // Both runs get the same sockets, so neither takes them from the other.
    const bool is_cluster = from.launch.node.cluster && to.launch.node.cluster;
    const bool shares_sockets = is_cluster || !to.sockets.empty() || to.stdin_socket;
    return shares_sockets ? ReloadMode::overlap : ReloadMode::stop_first;
}

OldRun old_run(const Instance& instance) {
    // What has ended as its policy says is not brought back by a reload either.
    const bool has_ended = std::holds_alternative<Exited>(instance.state);
    if (instance.desired == Desired::down || has_ended) return OldRun::unwanted;
    if (is_ready(instance)) return OldRun::serving;
    return is_occupied(instance.state) ? OldRun::up : OldRun::down;
}

NewRun new_run(const Instance& instance) {
    const auto* const running = std::get_if<Running>(&instance.state);
    const bool serves = running != nullptr && running->is_good && is_ready(instance);
    switch (instance.outcome) {
        case Outcome::none:
        case Outcome::failed:
            return NewRun::failed;
        case Outcome::pending:
            return NewRun::coming;
        case Outcome::done:
            // A run that was good and ended in the same moment replaces nobody; neither does a task
            // that has ended well.
            return serves ? NewRun::good : NewRun::failed;
    }
    return NewRun::failed;
}

bool is_reloading(const Instance& instance) {
    const auto* const running = std::get_if<Running>(&instance.state);
    return running != nullptr && running->is_reloading;
}

NewRun signalled_run(const Policy& policy, const Instance& instance, const Reload& reload,
                     Instant now) {
    const bool is_same_run =
        instance.generation == reload.generation && is_occupied(instance.state);
    if (!is_same_run || std::holds_alternative<Stopping>(instance.state)) return NewRun::failed;
    if (is_reloading(instance)) {
        return now - reload.since < policy.start_timeout ? NewRun::coming : NewRun::failed;
    }
    if (now - reload.since < policy.min_uptime) return NewRun::coming;
    return is_ready(instance) ? NewRun::good : NewRun::failed;
}

std::optional<Instant> reload_deadline(const Policy& policy, const Instance& instance,
                                       const Reload& reload) {
    if (reload.phase != ReloadPhase::signalled) return std::nullopt;
    return reload.since + (is_reloading(instance) ? policy.start_timeout : policy.min_uptime);
}

bool is_of_earlier_reload(const Reload& reload, const event::Reloading& said) {
    return reload.phase == ReloadPhase::signalled && said.at && *said.at < reload.since;
}

const char* phase_name(ReloadPhase phase) {
    switch (phase) {
        case ReloadPhase::none:
            return "none";
        case ReloadPhase::queued:
            return "queued";
        case ReloadPhase::overlapping:
            return "overlapping";
        case ReloadPhase::restarting:
            return "restarting";
        case ReloadPhase::signalled:
            return "signalled";
    }
    return "none";
}

}  // namespace cluster::core
