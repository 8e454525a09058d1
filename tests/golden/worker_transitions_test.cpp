// Prints every state × every event of the instance and compares with worker_transitions.txt.
//
// A line: what happens, the state after it, the actions, the outcome of the operation. A state that
// was left alone reads "-". Variants of a state or an event have a line of their own where step()
// answers them differently.
#include <doctest/doctest.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "core/instance.hpp"

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

/// At kNow whatever waits for time in these states is due, so that Tick shows what it does.
std::vector<Named<Instance>> states() {
    const Instant past = kNow - 30s;
    Instance limited = make(Running{past, kNow, false}, Desired::up, Outcome::pending);
    for (Instant& at : limited.history.restart_times) at = kNow;
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
    };
}

ExitStatus code(int value) {
    return {ExitStatus::Kind::code, value, Op::none, false};
}

std::vector<Named<Event>> events() {
    return {
        {"Start", event::Start{kNewEpoch}},
        {"Stop", event::Stop{kNewEpoch}},
        {"Restart", event::Restart{kNewEpoch}},
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
    } else if (const auto* backing_off = std::get_if<BackingOff>(&instance.state)) {
        text += ' ';
        text += std::to_string(to_ms(backing_off->until - kNow));
        text += " ms";
        if (backing_off->is_limited) text += ", limited";
    } else if (const auto* stopping = std::get_if<Stopping>(&instance.state)) {
        if (stopping->leader_gone) text += ", leader gone";
        if (stopping->kill_sent) text += ", KILL sent";
        if (stopping->is_failure) text += ", failed";
        if (instance.desired == Desired::up && !stopping->is_failure) text += ", to start again";
    }
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

void print_matrix(std::ostream& out, const std::string& title, RestartPolicy restart) {
    Policy policy = policy_of(restart);
    out << "# " << title << "\n";
    for (const auto& [state_title, instance] : states()) {
        policy.restart_limit.then = instance.history.restart_count > 0 ? RestartLimit::Then::fatal
                                                                       : RestartLimit::Then::slow;
        out << "\n[" << state_title << "]\n";
        for (const auto& [event_title, event] : events()) {
            Prng prng{1};
            const Transition next = step(policy, instance, event, kNow, prng);
            const bool is_same = next.instance == instance && next.actions.size() == 0;
            std::string line = "  " + pad(event_title, 32);
            line += pad(is_same ? "-" : state_text(next.instance), 40);
            line += pad(is_same ? "-" : actions_text(next.actions), 24);
            line += is_same ? "-" : outcome_name(next.instance.outcome);
            out << line << "\n";
        }
    }
    out << "\n";
}

std::string whole_text() {
    std::ostringstream out;
    out << "# Instance: event, next state, actions, outcome. The run is 7. Printed by a test;\n"
           "# CLUSTER_GOLDEN_UPDATE=1 rewrites this file.\n\n";
    print_matrix(out, "restart = always", RestartPolicy::always);
    print_matrix(out, "restart = on-failure", RestartPolicy::on_failure);
    print_matrix(out, "restart = never", RestartPolicy::never);
    return out.str();
}

}  // namespace

TEST_CASE("core/instance: the state × event table is the reviewed one") {
    const std::string path = CLUSTER_SOURCE_DIR "/tests/golden/worker_transitions.txt";
    const std::string actual = whole_text();
    const char* const update = std::getenv("CLUSTER_GOLDEN_UPDATE");
    if (update != nullptr && std::string{update} == "1") std::ofstream{path} << actual;
    std::ifstream file{path};
    REQUIRE_MESSAGE(file.good(), "cannot read " << path);
    std::istringstream lines{actual};
    std::string expected_line;
    std::string actual_line;
    int number = 0;
    while (std::getline(file, expected_line)) {
        ++number;
        REQUIRE_MESSAGE(std::getline(lines, actual_line), path << " has more than " << number);
        REQUIRE_MESSAGE(actual_line == expected_line, path << ':' << number);
    }
    CHECK_FALSE_MESSAGE(std::getline(lines, actual_line), path << " ends too early");
}

}  // namespace cluster::core
