// Prints every state × every event of the instance and compares with worker_transitions.txt.
//
// A line: what happens, the state after it, the actions, the outcome of the operation. A state that
// was left alone reads "-". Variants of a state or an event have a line of their own where step()
// answers them differently.
#include <doctest/doctest.h>

#include <cerrno>
#include <chrono>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "core/instance.hpp"
#include "support/golden.hpp"

namespace cluster::core {

namespace {

using std::chrono_literals::operator""s;

constexpr Instant kNow = from_ns(1'000'000'000'000);
constexpr Generation kRun{7};
constexpr Epoch kOldEpoch{1};
constexpr Epoch kNewEpoch{2};

template <class T>
using Named = std::pair<std::string, T>;

Policy policy_of(RestartPolicy restart) {
    Policy policy;
    policy.restart = restart;
    policy.backoff = {1s, 2.0, 60s, 0.0, 30s};
    return policy;
}

Instance make(State state, Desired desired, Outcome outcome) {
    Instance instance;
    instance.state = std::move(state);
    instance.desired = desired;
    instance.epoch = kOldEpoch;
    instance.generation = kRun;
    instance.outcome = outcome;
    return instance;
}

Instance held(Instance instance, Hold hold) {
    instance.hold = hold;
    return instance;
}

/// At kNow whatever waits for time in these states is due, so that Tick shows what it does.
std::vector<Named<Instance>> states() {
    const Instant past = kNow - 30s;
    Instance limited = make(Running{past, kNow, false}, Desired::up, Outcome::pending);
    limited.history.restart_times.assign(kMaxRestartLimitCount, kNow);
    limited.history.restart_count = kMaxRestartLimitCount;
    return {
        {"stopped", make(Stopped{}, Desired::down, Outcome::done)},
        {"starting", make(Starting{past}, Desired::up, Outcome::pending)},
        {"running, not ready", make(Running{past, {}, false}, Desired::up, Outcome::pending)},
        {"running, ready", make(Running{past, past, false}, Desired::up, Outcome::pending)},
        {"running, good", make(Running{past, past, true}, Desired::up, Outcome::done)},
        {"running, ready, at the restart limit (then = fatal)", limited},
        {"backoff", make(BackingOff{kNow, false}, Desired::up, Outcome::failed)},
        {"stopping", make(Stopping{past, kNow}, Desired::down, Outcome::pending)},
        {"stopping, leader gone",
         make(Stopping{past, kNow, ExitReason::stopped, true}, Desired::down, Outcome::pending)},
        {"stopping, to start again", make(Stopping{past, kNow}, Desired::up, Outcome::pending)},
        {"stopping, was not ready in time",
         make(Stopping{past, kNow, ExitReason::start_timeout, false, false, true}, Desired::up,
              Outcome::failed)},
        {"exited", make(Exited{}, Desired::up, Outcome::done)},
        {"fatal", make(Fatal{}, Desired::up, Outcome::failed)},
        {"waiting", make(Waiting{past, false}, Desired::up, Outcome::pending)},
        {"waiting, restart by itself", make(Waiting{past, true}, Desired::up, Outcome::done)},
        {"starting, stop held",
         held(make(Starting{past}, Desired::down, Outcome::pending), Hold::stop)},
        {"running, stop held",
         held(make(Running{past, past, true}, Desired::down, Outcome::pending), Hold::stop)},
        {"running, restart held",
         held(make(Running{past, past, true}, Desired::up, Outcome::pending), Hold::restart)},
        {"running, leaving",
         make(Running{past, past, true, true, kNow}, Desired::up, Outcome::done)},
        {"running, reloads itself",
         make(Running{past, past, true, false, {}, true}, Desired::up, Outcome::done)},
        {"running, not ready, asked for more time",
         make(Running{past, {}, false, false, kNow + 5s}, Desired::up, Outcome::pending)},
    };
}

ExitStatus code(int value) {
    return {ExitStatus::Kind::code, value, Op::none, false};
}

std::vector<Named<Event>> events() {
    return {
        {"Start", event::Start{kNewEpoch}},
        {"Stop", event::Stop{kNewEpoch}},
        {"Stop, held", event::Stop{kNewEpoch, true}},
        {"Restart", event::Restart{kNewEpoch}},
        {"Restart, held", event::Restart{kNewEpoch, true}},
        {"Proceed", event::Proceed{}},
        {"RequirementFailed", event::RequirementFailed{}},
        {"SpawnSucceeded", event::SpawnSucceeded{kRun}},
        {"SpawnFailed ENOENT", event::SpawnFailed{kRun, Op::exec, ENOENT}},
        {"SpawnFailed EAGAIN", event::SpawnFailed{kRun, Op::clone, EAGAIN}},
        {"ProcessExited 0", event::ProcessExited{kRun, code(0), false}},
        {"ProcessExited 1", event::ProcessExited{kRun, code(1), false}},
        {"ProcessExited 1, group alive", event::ProcessExited{kRun, code(1), true}},
        {"ProcessExited 1, older run",
         event::ProcessExited{Generation{kRun.value - 1}, code(1), false}},
        {"GroupEmptied", event::GroupEmptied{kRun}},
        {"BecameReady", event::BecameReady{kRun}},
        {"Leaving", event::Leaving{kRun}},
        {"ExtendTimeout 20 s", event::ExtendTimeout{kRun, 20s}},
        {"OverMemory", event::OverMemory{kRun}},
        {"Hung, watchdog", event::Hung{kRun, ExitReason::watchdog}},
        {"Hung, liveness", event::Hung{kRun, ExitReason::liveness}},
        {"Reloading", event::Reloading{kRun, {}}},
        {"Tick, due", event::Tick{}},
    };
}

const char* outcome_name(Outcome outcome) {
    switch (outcome) {
        case Outcome::none:
            return "none";
        case Outcome::pending:
            return "pending";
        case Outcome::done:
            return "done";
        case Outcome::failed:
            return "failed";
    }
    return "?";
}

std::string state_text(const Instance& instance) {
    std::string text = state_name(instance.state);
    if (const auto* running = std::get_if<Running>(&instance.state)) {
        text += running->is_good ? ", good" : running->ready_at ? ", ready" : ", not ready";
        if (running->is_leaving) text += ", leaving";
        if (running->is_reloading) text += ", reloading";
        if (running->limit) text += ", " + std::to_string(to_ms(*running->limit - kNow)) + " ms";
    } else if (const auto* waiting = std::get_if<Waiting>(&instance.state)) {
        text = waiting->is_automatic ? "waiting, restart by itself" : "waiting";
    } else if (const auto* backing_off = std::get_if<BackingOff>(&instance.state)) {
        text += ' ';
        text += std::to_string(to_ms(backing_off->until - kNow));
        text += " ms";
        if (backing_off->is_limited) text += ", limited";
    } else if (const auto* stopping = std::get_if<Stopping>(&instance.state)) {
        if (stopping->leader_gone) text += ", leader gone";
        if (stopping->kill_sent) text += ", KILL sent";
        if (stopping->is_failure) text += ", failed";
        if (stopping->reason == ExitReason::max_memory) text += ", max_memory";
        if (stopping->reason == ExitReason::watchdog) text += ", watchdog";
        if (stopping->reason == ExitReason::liveness) text += ", liveness";
        const std::int64_t kill_ms = to_ms(stopping->kill_at - kNow);
        if (kill_ms != 0 && kill_ms != 1000 && kill_ms != 10000) {
            text += ", KILL in " + std::to_string(kill_ms) + " ms";
        }
        if (instance.desired == Desired::up && !stopping->is_failure) text += ", to start again";
    }
    if (instance.hold == Hold::stop) text += ", stop held";
    if (instance.hold == Hold::restart) text += ", restart held";
    return text;
}

std::string actions_text(const Actions& actions) {
    std::string text;
    for (const Action& action : actions) {
        if (!text.empty()) text += ", ";
        if (const auto* spawn = std::get_if<action::Spawn>(&action)) {
            text += "Spawn " + std::to_string(spawn->generation.value);
        } else if (const auto* signal = std::get_if<action::Signal>(&action)) {
            text += "Signal " + std::to_string(signal->signal);
        } else if (const auto* release = std::get_if<action::Release>(&action)) {
            text += "Release " + std::to_string(release->generation.value);
        }
    }
    return text.empty() ? "-" : text;
}

std::string pad(std::string text, std::size_t width) {
    if (text.size() < width) text.append(width - text.size(), ' ');
    return text;
}

/// Leaves out what `shown` holds already, and adds to it what is printed.
void print_matrix(std::ostream& out, std::set<std::string>& shown, const std::string& title,
                  Policy policy, Gate gate = {}) {
    out << "# " << title << "\n";
    for (const auto& [state_title, instance] : states()) {
        policy.restart_limit.then = instance.history.restart_count > 0 ? RestartLimit::Then::fatal
                                                                       : RestartLimit::Then::slow;
        std::ostringstream section;
        for (const auto& [event_title, event] : events()) {
            Prng prng{1};
            const Transition next = step(policy, instance, event, kNow, prng, gate);
            const bool is_same = next.instance == instance && next.actions.size() == 0;
            std::string line = "  " + pad(event_title, 32);
            line += pad(is_same ? "-" : state_text(next.instance), 44);
            line += pad(is_same ? "-" : actions_text(next.actions), 24);
            line += is_same ? "-" : outcome_name(next.instance.outcome);
            if (shown.insert(state_title + line).second) section << line << "\n";
        }
        if (!section.str().empty()) out << "\n[" << state_title << "]\n" << section.str();
    }
    out << "\n";
}

std::string whole_text() {
    std::ostringstream out;
    out << "# Instance: event, next state, actions, outcome. The run is 7. Printed by a test;\n"
           "# CLUSTER_GOLDEN_UPDATE=1 rewrites this file. A table leaves out the lines that stand "
           "in\n"
           "# one above it.\n\n";
    std::set<std::string> shown;
    print_matrix(out, shown, "restart = always", policy_of(RestartPolicy::always));
    print_matrix(out, shown, "restart = on-failure", policy_of(RestartPolicy::on_failure));
    print_matrix(out, shown, "restart = never", policy_of(RestartPolicy::never));
    Policy notified = policy_of(RestartPolicy::always);
    notified.ready.kind = Readiness::Kind::notify;
    print_matrix(out, shown, "restart = always, ready = notify, what it requires is not ready",
                 notified, {.requirements_met = false, .has_room = true});
    Policy eager = policy_of(RestartPolicy::always);
    eager.backoff.initial = Duration{0};
    print_matrix(out, shown, "restart = always, no backoff, no room for a start", eager,
                 {.requirements_met = true, .has_room = false});
    return out.str();
}

}  // namespace

TEST_CASE("core/instance: the state × event table is the reviewed one") {
    test::check_golden("worker_transitions.txt", whole_text());
}

}  // namespace cluster::core
