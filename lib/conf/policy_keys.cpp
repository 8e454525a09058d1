// The keys that the worker's state machine reads: restarts, stopping, readiness.
#include <bitset>
#include <csignal>

#include "conf/keys.hpp"
#include "conf/values.hpp"
#include "conf/worker.hpp"

namespace cluster::conf {
namespace {

/// A shorter first delay would let a worker that dies at once fill a CPU.
/// Less is taken up by the time that a datagram and a turn of the daemon take on a busy machine.
constexpr Duration kMinWatchdog = std::chrono::milliseconds{100};
constexpr Duration kMinDelay = std::chrono::milliseconds{1};

/// Less than any program needs, and more than any machine has.
constexpr std::uint64_t kMinMemory = std::uint64_t{1} << 20U;
constexpr std::uint64_t kMaxMemory = std::uint64_t{1} << 50U;

struct BackoffDraft {
    core::Backoff* backoff;
    std::optional<Field> initial;
    std::optional<Field> max;
    bool has_mistake = false;  // initial or max is wrong by itself; comparing them says nothing
};

void set_duration(const Field& field, Duration low, Duration& target, bool& has_mistake) {
    const std::optional<Duration> duration = read_duration(field, low);
    if (duration) target = *duration;
    has_mistake = has_mistake || !duration;
}

constexpr Keys<BackoffDraft, 5> kBackoffKeys{{
    {"initial",
     [](BackoffDraft& draft, const Field& field) {
         draft.initial = field;
         set_duration(field, Duration::zero(), draft.backoff->initial, draft.has_mistake);
     }},
    {"factor",
     [](BackoffDraft& draft, const Field& field) {
         draft.backoff->factor = read_number(field, 1, 100).value_or(draft.backoff->factor);
     }},
    {"max",
     [](BackoffDraft& draft, const Field& field) {
         draft.max = field;
         set_duration(field, kMinDelay, draft.backoff->max, draft.has_mistake);
     }},
    {"jitter",
     [](BackoffDraft& draft, const Field& field) {
         draft.backoff->jitter = read_number(field, 0, 1).value_or(draft.backoff->jitter);
     }},
    {"reset_after",
     [](BackoffDraft& draft, const Field& field) {
         draft.backoff->reset_after = read_duration(field).value_or(draft.backoff->reset_after);
     }},
}};

constexpr Choice<core::RestartLimit::Then> kThen[] = {{"slow", core::RestartLimit::Then::slow},
                                                      {"fatal", core::RestartLimit::Then::fatal}};

constexpr Keys<core::RestartLimit, 3> kRestartLimitKeys{{
    {"count",
     [](core::RestartLimit& limit, const Field& field) {
         const std::optional<std::int64_t> count =
             read_integer(field, 1, core::kMaxRestartLimitCount);
         if (count) limit.count = static_cast<std::uint32_t>(*count);
     }},
    {"window",
     [](core::RestartLimit& limit, const Field& field) {
         limit.window = read_duration(field, kMinDelay).value_or(limit.window);
     }},
    {"then",
     [](core::RestartLimit& limit, const Field& field) {
         limit.then = read_choice(field, kThen).value_or(limit.then);
     }},
}};

constexpr Choice<core::RestartPolicy> kRestartPolicies[] = {
    {"always", core::RestartPolicy::always},
    {"on-failure", core::RestartPolicy::on_failure},
    {"never", core::RestartPolicy::never}};

}  // namespace

void read_restart(WorkerDraft& draft, const Field& field) {
    draft.spec.policy.restart =
        read_choice(field, kRestartPolicies).value_or(draft.spec.policy.restart);
}

void read_backoff(WorkerDraft& draft, const Field& field) {
    if (!require_table(field, "backoff = { initial = \"100ms\", max = \"30s\" }")) return;
    core::Backoff& backoff = draft.spec.policy.backoff;
    BackoffDraft parts{&backoff, std::nullopt, std::nullopt};
    read_table(field, kBackoffKeys, parts);
    if (parts.has_mistake || backoff.max >= backoff.initial) return;
    if (parts.max) {
        parts.max->refuse(in_quotes(format_duration(backoff.max)) + " is shorter than initial, " +
                          in_quotes(format_duration(backoff.initial)));
    } else {
        parts.initial->refuse(in_quotes(format_duration(backoff.initial)) +
                              " is longer than max, by default " +
                              in_quotes(format_duration(backoff.max)));
    }
}

void read_restart_limit(WorkerDraft& draft, const Field& field) {
    constexpr std::string_view kExample =
        "restart_limit = { count = 10, window = \"1m\", then = \"slow\" }";
    if (!require_table(field, kExample)) return;
    read_table(field, kRestartLimitKeys, draft.spec.policy.restart_limit);
}

void read_success_exit_codes(WorkerDraft& draft, const Field& field) {
    if (!field.is(Node::Kind::array)) {
        field.refuse_type("an array of exit codes such as [0, 75]");
        return;
    }
    std::bitset<256> codes;
    for (const Node& item : field.value().items) {
        if (item.kind == Node::Kind::integer && item.integer >= 0 && item.integer <= 255) {
            codes.set(static_cast<std::size_t>(item.integer));
        } else {
            field.refuse_at(item.at, "expected exit codes from 0 to 255; got " + describe(item));
        }
    }
    draft.spec.policy.success_exit_codes = codes;
}

void read_stop_signal(WorkerDraft& draft, const Field& field) {
    if (!field.is(Node::Kind::string) && !field.is(Node::Kind::integer)) {
        field.refuse_type("a signal such as \"SIGTERM\"");
        return;
    }
    const bool is_number = field.is(Node::Kind::integer);
    const tl::expected<int, std::string> signal =
        parse_signal(is_number ? describe(field.value()) : field.value().text);
    if (!signal) {
        field.refuse(signal.error());
    } else if (*signal == SIGSTOP) {
        field.refuse("SIGSTOP cannot end a process: it would stand still until stop_timeout");
    } else {
        draft.spec.policy.stop_signal = *signal;
    }
}

void read_stop_timeout(WorkerDraft& draft, const Field& field) {
    draft.spec.policy.stop_timeout = read_duration(field).value_or(draft.spec.policy.stop_timeout);
}

void read_watchdog(WorkerDraft& draft, const Field& field) {
    draft.spec.policy.watchdog =
        read_duration(field, kMinWatchdog).value_or(draft.spec.policy.watchdog);
}

void read_max_memory(WorkerDraft& draft, const Field& field) {
    constexpr std::string_view kExpected = "a size such as \"512MiB\"";
    const std::optional<std::string> text = read_text(field, kExpected);
    if (!text) return;
    const tl::expected<std::uint64_t, std::string> size = parse_size(*text);
    if (!size) {
        field.refuse(size.error());
    } else if (*size < kMinMemory || *size > kMaxMemory) {
        field.refuse(in_quotes(*text) + " makes no sense; expected " + format_size(kMinMemory) +
                     " to " + format_size(kMaxMemory));
    } else {
        draft.spec.policy.max_memory = *size;
    }
}

void read_min_uptime(WorkerDraft& draft, const Field& field) {
    draft.spec.policy.min_uptime = read_duration(field).value_or(draft.spec.policy.min_uptime);
}

void read_start_timeout(WorkerDraft& draft, const Field& field) {
    draft.spec.policy.start_timeout =
        read_duration(field, kMinDelay).value_or(draft.spec.policy.start_timeout);
}

}  // namespace cluster::conf
