// `ready` and `liveness`: how one knows that a run is ready, and that it still does its work.
#include <array>
#include <string>

#include "conf/keys.hpp"
#include "conf/probe_keys.hpp"
#include "conf/values.hpp"
#include "conf/worker.hpp"

namespace cluster::conf {
namespace {

using core::Readiness;

constexpr const char* kReadyExample =
    "{ http = \"http://127.0.0.1:8000/\" }, { tcp = … }, { unix = … }, { command = … } or "
    "{ notification_fd = 3 }";
constexpr const char* kLivenessExample =
    "{ http = \"http://127.0.0.1:8000/\" }, { tcp = … }, { unix = … } or { command = … }";

/// Often enough to end a hang within half a minute, and nothing that a worker notices.
constexpr Duration kLivenessPeriod = std::chrono::seconds{10};

void read_notification_fd(ProbeDraft& draft, const Field& field) {
    draft.kinds.push_back(field);
    const auto number = read_integer(field, kFirstNotificationFd, core::kMaxNotificationFd);
    draft.notification_fd = static_cast<int>(number.value_or(kFirstNotificationFd));
}

constexpr Keys<ProbeDraft, 10> kReadyKeys{{
    {"tcp", read_probe_tcp},
    {"unix", read_probe_unix},
    {"http", read_probe_http},
    {"command", read_probe_command},
    {"notification_fd", read_notification_fd},
    {"status", read_probe_status},
    {"initial_delay", read_probe_initial_delay},
    {"period", read_probe_period},
    {"timeout", read_probe_timeout},
    {"success_threshold",
     [](ProbeDraft& draft, const Field& field) {
         read_threshold(field, draft.probe->success_threshold);
     }},
}};

constexpr Keys<ProbeDraft, 9> kLivenessKeys{{
    {"tcp", read_probe_tcp},
    {"unix", read_probe_unix},
    {"http", read_probe_http},
    {"command", read_probe_command},
    {"status", read_probe_status},
    {"initial_delay", read_probe_initial_delay},
    {"period", read_probe_period},
    {"timeout", read_probe_timeout},
    {"failure_threshold",
     [](ProbeDraft& draft, const Field& field) {
         read_threshold(field, draft.probe->failure_threshold);
     }},
}};

void read_ready_table(WorkerDraft& draft, const Field& field) {
    Readiness& ready = draft.spec.policy.ready;
    ProbeDraft parts{&ready.probe, draft.file, {}};
    read_table(field, kReadyKeys, parts);
    finish_probe(parts, field, kReadyExample);
    if (!parts.notification_fd) {
        ready.kind = Readiness::Kind::probe;
        return;
    }
    ready = Readiness{Readiness::Kind::notification_fd, {}, *parts.notification_fd};
    for (const Member& member : field.value().members) {
        const bool is_of_probe = member.key != "notification_fd";
        if (!is_of_probe || parts.kinds.size() > 1) continue;
        field.inner(member).refuse_at(member.at,
                                      "means nothing beside notification_fd, where nobody asks");
    }
}

}  // namespace

void read_ready(WorkerDraft& draft, const Field& field) {
    draft.ready = field;
    if (field.is(Node::Kind::table)) return read_ready_table(draft, field);
    if (!field.is(Node::Kind::string)) {
        field.refuse_type("\"exec\", \"notify\", \"channel\", \"listen\", or a table such as " +
                          std::string(kReadyExample));
        return;
    }
    constexpr Choice<Readiness::Kind> kKinds[] = {{"exec", Readiness::Kind::exec},
                                                  {"notify", Readiness::Kind::notify},
                                                  {"channel", Readiness::Kind::channel},
                                                  {"listen", Readiness::Kind::listen}};
    Readiness::Kind& kind = draft.spec.policy.ready.kind;
    kind = read_choice(field, kKinds).value_or(kind);
}

void read_liveness(WorkerDraft& draft, const Field& field) {
    if (!require_table(field, "liveness = { http = \"http://127.0.0.1:8000/\" }")) return;
    core::Probe& probe = draft.spec.policy.liveness;
    probe.period = kLivenessPeriod;
    ProbeDraft parts{&probe, draft.file, {}};
    read_table(field, kLivenessKeys, parts);
    finish_probe(parts, field, kLivenessExample);
}

void finish_ready(WorkerDraft& draft) {
    const Readiness& ready = draft.spec.policy.ready;
    if (ready.kind != Readiness::Kind::notification_fd) return;
    // Socket activation wants its descriptors from 3 on without a hole.
    const std::size_t taken = draft.spec.sockets.size() + draft.spec.launch.fd_store_max;
    const int first_free = kFirstNotificationFd + static_cast<int>(taken);
    if (ready.notification_fd >= first_free) return;
    draft.ready->refuse("notification_fd = " + std::to_string(ready.notification_fd) +
                        " is the number of a socket, or of what the worker may store: these take 3 to " +
                        std::to_string(first_free - 1));
}

}  // namespace cluster::conf
