#include "conf/probe_keys.hpp"

#include <algorithm>
#include <cstdint>
#include <string_view>
#include <utility>

#include "conf/address.hpp"
#include "conf/values.hpp"
#include "core/socket_spec.hpp"

namespace cluster::conf {
namespace {

using core::Probe;

constexpr std::string_view kAddressExpected =
    "an address and a port such as \"127.0.0.1:5432\", \"[::1]:80\" or \"localhost:80\"";
constexpr std::string_view kUrlExpected =
    "a URL such as \"http://127.0.0.1:8000/health\", with a numeric address or localhost";
constexpr std::string_view kScheme = "http://";

/// Names other than localhost are not looked up: that may take seconds, and the answer may change.
bool set_address(Probe& probe, std::string_view text) {
    const auto parts = split_host_and_port(text);
    if (!parts || parts->port == 0) return false;
    const bool is_address = parts->host == "localhost" || plain_address(parts->host).has_value();
    if (!is_address || parts->host.find('%') != std::string::npos) return false;
    probe.host = parts->host;
    probe.port = parts->port;
    return true;
}

/// It becomes part of a request's first line. Source: RFC 9112, section 3.
bool is_request_target(std::string_view path) {
    return std::all_of(path.begin(), path.end(), [](char c) { return c > ' ' && c < '\x7F'; });
}

/// "http://HOST[:PORT][/PATH]"; the port is 80 by default, as everywhere.
bool set_url(Probe& probe, std::string_view text) {
    if (text.substr(0, kScheme.size()) != kScheme) return false;
    text.remove_prefix(kScheme.size());
    const std::size_t slash = std::min(text.find_first_of("/?#"), text.size());
    std::string address{text.substr(0, slash)};
    const std::string_view path = text.substr(slash);
    const bool is_bracketed = !address.empty() && address.back() == ']';
    if (is_bracketed || address.find(':') == std::string::npos) address += ":80";
    if (!set_address(probe, address)) return false;
    if (!path.empty() && path.front() != '/') return false;
    probe.path = path.empty() ? "/" : path;
    return is_request_target(path) && path.find('#') == std::string_view::npos;
}

void begin(ProbeDraft& draft, const Field& field, Probe::Kind kind) {
    draft.kinds.push_back(field);
    draft.probe->kind = kind;
}

}  // namespace

void read_probe_tcp(ProbeDraft& draft, const Field& field) {
    begin(draft, field, Probe::Kind::tcp);
    const std::optional<std::string> text = read_text(field, kAddressExpected);
    if (text && !set_address(*draft.probe, *text)) field.refuse_type(kAddressExpected);
}

void read_probe_unix(ProbeDraft& draft, const Field& field) {
    begin(draft, field, Probe::Kind::unix_socket);
    std::optional<std::string> path = read_path(field, *draft.file, "the path of a UNIX socket");
    if (!path) return;
    if (path->size() > core::kMaxSocketPath) {
        field.refuse(in_quotes(*path) + " is longer than the path of a UNIX socket can be, " +
                     std::to_string(core::kMaxSocketPath) + " bytes");
    }
    draft.probe->path = std::move(*path);
}

void read_probe_http(ProbeDraft& draft, const Field& field) {
    begin(draft, field, Probe::Kind::http);
    const std::optional<std::string> text = read_text(field, kUrlExpected);
    if (!text) return;
    if (text->substr(0, 8) == "https://") {
        field.refuse("https is not spoken; ask by http, or by { command = [\"curl\", …] }");
    } else if (!set_url(*draft.probe, *text)) {
        field.refuse_type(kUrlExpected);
    }
}

void read_probe_command(ProbeDraft& draft, const Field& field) {
    begin(draft, field, Probe::Kind::command);
    draft.probe->command = read_command_value(field);
}

void read_probe_status(ProbeDraft& draft, const Field& field) {
    constexpr std::int64_t kLowest = 200;  // below are answers that another one follows
    constexpr std::int64_t kHighest = 599;
    const std::optional<std::int64_t> status = read_integer(field, kLowest, kHighest);
    if (status) draft.probe->status = static_cast<std::uint16_t>(*status);
}

void read_probe_initial_delay(ProbeDraft& draft, const Field& field) {
    draft.probe->initial_delay = read_duration(field).value_or(draft.probe->initial_delay);
}

void read_probe_period(ProbeDraft& draft, const Field& field) {
    draft.probe->period = read_duration(field, Probe::kMinPeriod).value_or(draft.probe->period);
}

void read_probe_timeout(ProbeDraft& draft, const Field& field) {
    draft.probe->timeout = read_duration(field, Probe::kMinPeriod).value_or(draft.probe->timeout);
}

void read_threshold(const Field& field, std::uint32_t& threshold) {
    if (const auto count = read_integer(field, 1, Probe::kMaxThreshold)) {
        threshold = static_cast<std::uint32_t>(*count);
    }
}

void finish_probe(const ProbeDraft& draft, const Field& table, const std::string& example) {
    if (draft.kinds.empty()) return table.refuse("has no probe; expected " + example);
    if (draft.kinds.size() > 1) {
        const Field& second = draft.kinds[1];
        second.refuse_at(second.key_at(), draft.kinds[0].key() + " and " + second.key() +
                                              " exclude each other: choose one");
        return;
    }
    for (const Member& member : table.value().members) {
        const bool is_of_http = member.key == "status";
        if (!is_of_http || draft.probe->kind == Probe::Kind::http) continue;
        table.inner(member).refuse_at(member.at, "only http has one");
    }
}

}  // namespace cluster::conf
