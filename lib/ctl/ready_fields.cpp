#include "ctl/ready_fields.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace cluster::ctl {
namespace {

using core::Probe;
using core::Readiness;

/// A century, as in the rest of a spec.
constexpr std::int64_t kMaxDurationNs = std::int64_t{100} * 365 * 24 * 3600 * 1'000'000'000;
constexpr std::size_t kMaxAddressBytes = 64;
constexpr std::size_t kMaxPathBytes = 4096;
constexpr std::size_t kMaxArguments = 8192;

struct KindWord {
    std::string_view text;
    Readiness::Kind ready;
    Probe::Kind probe;
};
constexpr std::array<KindWord, 9> kKindWords{
    {{"exec", Readiness::Kind::exec, Probe::Kind::none},
     {"notify", Readiness::Kind::notify, Probe::Kind::none},
     {"channel", Readiness::Kind::channel, Probe::Kind::none},
     {"listen", Readiness::Kind::listen, Probe::Kind::none},
     {"notification_fd", Readiness::Kind::notification_fd, Probe::Kind::none},
     {"tcp", Readiness::Kind::probe, Probe::Kind::tcp},
     {"unix", Readiness::Kind::probe, Probe::Kind::unix_socket},
     {"http", Readiness::Kind::probe, Probe::Kind::http},
     {"command", Readiness::Kind::probe, Probe::Kind::command}}};

std::string_view word_of(Readiness::Kind ready, Probe::Kind probe) {
    for (const KindWord& word : kKindWords) {
        const bool is_probe = ready == Readiness::Kind::probe;
        if (word.ready == ready && (!is_probe || word.probe == probe)) return word.text;
    }
    return kKindWords[0].text;
}

KindWord read_kind(FieldReader& fields) {
    const std::string text = fields.text("kind");
    std::string expected;
    for (const KindWord& word : kKindWords) {
        if (word.text == text) return word;
        expected += (expected.empty() ? "" : ", ") + std::string(word.text);
    }
    throw FieldError(fields.path("kind") + ": \"" + clip(text) + "\" is none of " + expected);
}

bool has_address(Probe::Kind kind) {
    return kind == Probe::Kind::tcp || kind == Probe::Kind::http;
}

bool has_path(Probe::Kind kind) {
    return kind == Probe::Kind::unix_socket || kind == Probe::Kind::http;
}

void add_probe(Json& json, const Probe& probe) {
    if (has_address(probe.kind)) {
        json["host"] = probe.host;
        json["port"] = probe.port;
    }
    if (has_path(probe.kind)) json["path"] = exact_text(probe.path);
    if (probe.kind == Probe::Kind::http) json["status"] = probe.status;
    if (probe.kind == Probe::Kind::command) {
        Json command = Json::array();
        for (const std::string& argument : probe.command) command.push_back(exact_text(argument));
        json["command"] = std::move(command);
    }
    json["initial_delay_ns"] = probe.initial_delay.count();
    json["period_ns"] = probe.period.count();
    json["timeout_ns"] = probe.timeout.count();
}

std::string read_probe_path(FieldReader& fields, Probe::Kind kind) {
    std::string path = fields.exact("path");
    const bool is_well = !path.empty() && path.front() == '/' && path.size() <= kMaxPathBytes;
    bool is_plain = true;  // it becomes part of a line
    for (const char c : path) is_plain = is_plain && static_cast<unsigned char>(c) > ' ';
    if (!is_well || (kind == Probe::Kind::http && !is_plain)) {
        throw FieldError(fields.path("path") + ": expected a path that begins with /");
    }
    return path;
}

Probe read_probe(FieldReader& fields, Probe::Kind kind) {
    const auto duration = [&](const char* name, Duration least) {
        return Duration{fields.integer(name, least.count(), kMaxDurationNs)};
    };
    Probe probe;
    probe.kind = kind;
    if (has_address(kind)) {
        probe.host = fields.text("host");
        if (probe.host.empty() || probe.host.size() > kMaxAddressBytes) {
            throw FieldError(fields.path("host") + ": expected a numeric address or localhost");
        }
        probe.port = static_cast<std::uint16_t>(fields.integer("port", 1, 65535));
    }
    if (has_path(kind)) probe.path = read_probe_path(fields, kind);
    if (kind == Probe::Kind::http) {
        probe.status = static_cast<std::uint16_t>(fields.integer("status", 0, 599));
    }
    if (kind == Probe::Kind::command) {
        probe.command = fields.exact_texts("command", kMaxArguments);
        if (probe.command.empty() || probe.command.front().empty()) {
            throw FieldError(fields.path("command") + ": names no program");
        }
    }
    probe.initial_delay = duration("initial_delay_ns", Duration{0});
    probe.period = duration("period_ns", Probe::kMinPeriod);
    probe.timeout = duration("timeout_ns", Probe::kMinPeriod);
    return probe;
}

std::uint32_t read_threshold(FieldReader& fields, const char* name) {
    return static_cast<std::uint32_t>(fields.integer(name, 1, Probe::kMaxThreshold));
}

}  // namespace

Json readiness_fields(const Readiness& ready) {
    Json json{{"kind", word_of(ready.kind, ready.probe.kind)}};
    if (ready.kind == Readiness::Kind::notification_fd) json["number"] = ready.notification_fd;
    if (ready.kind != Readiness::Kind::probe) return json;
    add_probe(json, ready.probe);
    json["success_threshold"] = ready.probe.success_threshold;
    return json;
}

Readiness read_readiness(const Json& value, const std::string& where) {
    FieldReader fields(value, where);
    const KindWord word = read_kind(fields);
    Readiness ready;
    ready.kind = word.ready;
    if (ready.kind == Readiness::Kind::notification_fd) {
        ready.notification_fd =
            static_cast<int>(fields.integer("number", 3, core::kMaxNotificationFd));
    }
    if (ready.kind == Readiness::Kind::probe) {
        ready.probe = read_probe(fields, word.probe);
        ready.probe.success_threshold = read_threshold(fields, "success_threshold");
    }
    fields.finish();
    return ready;
}

Json liveness_fields(const Probe& probe) {
    if (probe.kind == Probe::Kind::none) return nullptr;
    Json json{{"kind", word_of(Readiness::Kind::probe, probe.kind)}};
    add_probe(json, probe);
    json["failure_threshold"] = probe.failure_threshold;
    return json;
}

Probe read_liveness(const Json& value, const std::string& where) {
    FieldReader fields(value, where);
    const KindWord word = read_kind(fields);
    if (word.probe == Probe::Kind::none) {
        throw FieldError(fields.path("kind") + ": \"" + std::string(word.text) + "\" is no probe");
    }
    Probe probe = read_probe(fields, word.probe);
    probe.failure_threshold = read_threshold(fields, "failure_threshold");
    fields.finish();
    return probe;
}

}  // namespace cluster::ctl
