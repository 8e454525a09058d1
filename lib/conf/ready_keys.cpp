// `ready`: how one knows that a run is ready.
#include <cstdint>
#include <utility>

#include "conf/address.hpp"
#include "conf/keys.hpp"
#include "conf/values.hpp"
#include "conf/worker.hpp"

namespace cluster::conf {
namespace {

constexpr std::string_view kAddressExpected =
    "an address and a port such as \"127.0.0.1:5432\", \"[::1]:80\" or \"localhost:80\"";

struct ReadyDraft {
    core::Probe* probe;
    std::optional<Field> tcp;
    std::optional<Field> command;
};

/// Names other than localhost are not looked up: that may take seconds, and the answer may change.
bool set_address(core::Probe& probe, const std::string& text) {
    const auto parts = split_host_and_port(text);
    if (!parts || parts->port == 0) return false;
    const bool is_address = parts->host == "localhost" || plain_address(parts->host).has_value();
    if (!is_address || parts->host.find('%') != std::string::npos) return false;
    probe.kind = core::Probe::Kind::tcp;
    probe.host = parts->host;
    probe.port = parts->port;
    return true;
}

void read_tcp(ReadyDraft& draft, const Field& field) {
    draft.tcp = field;
    const std::optional<std::string> text = read_text(field, kAddressExpected);
    if (text && !set_address(*draft.probe, *text)) field.refuse_type(kAddressExpected);
}

void read_probe_command(ReadyDraft& draft, const Field& field) {
    draft.command = field;
    draft.probe->kind = core::Probe::Kind::command;
    draft.probe->command = read_command_value(field);
}

constexpr Keys<ReadyDraft, 6> kReadyKeys{{
    {"tcp", read_tcp},
    {"command", read_probe_command},
    {"initial_delay",
     [](ReadyDraft& draft, const Field& field) {
         draft.probe->initial_delay = read_duration(field).value_or(draft.probe->initial_delay);
     }},
    {"period",
     [](ReadyDraft& draft, const Field& field) {
         draft.probe->period =
             read_duration(field, core::Probe::kMinPeriod).value_or(draft.probe->period);
     }},
    {"timeout",
     [](ReadyDraft& draft, const Field& field) {
         draft.probe->timeout =
             read_duration(field, core::Probe::kMinPeriod).value_or(draft.probe->timeout);
     }},
    {"success_threshold",
     [](ReadyDraft& draft, const Field& field) {
         if (const auto count = read_integer(field, 1, core::Probe::kMaxThreshold)) {
             draft.probe->success_threshold = static_cast<std::uint32_t>(*count);
         }
     }},
}};

}  // namespace

void read_ready(WorkerDraft& draft, const Field& field) {
    core::Readiness& ready = draft.spec.policy.ready;
    if (field.is(Node::Kind::table)) {
        ready.kind = core::Readiness::Kind::probe;
        ReadyDraft parts{&ready.probe, std::nullopt, std::nullopt};
        read_table(field, kReadyKeys, parts);
        if (parts.tcp && parts.command) {
            parts.command->refuse_at(parts.command->key_at(),
                                     "tcp and command exclude each other: choose one probe");
        } else if (!parts.tcp && !parts.command) {
            field.refuse(
                "has no probe; expected { tcp = \"127.0.0.1:5432\" } or { command = [\"…\"] }");
        }
        return;
    }
    if (!field.is(Node::Kind::string)) {
        field.refuse_type("\"exec\", \"notify\", \"channel\", { tcp = … } or { command = … }");
        return;
    }
    constexpr Choice<core::Readiness::Kind> kKinds[] = {
        {"exec", core::Readiness::Kind::exec},
        {"notify", core::Readiness::Kind::notify},
        {"channel", core::Readiness::Kind::channel}};
    ready.kind = read_choice(field, kKinds).value_or(ready.kind);
}

}  // namespace cluster::conf
