// The tables of sockets. What workers say about them is in socket_keys.cpp.
#include "conf/socket.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include "conf/address.hpp"
#include "conf/keys.hpp"
#include "core/selector.hpp"

namespace cluster::conf {
namespace {

using core::SocketSpec;
using Family = SocketSpec::Family;
using Type = SocketSpec::Type;

constexpr std::string_view kListenExpected =
    "\"127.0.0.1:8000\", \"[::1]:8000\", \"name:8000\", 8000 for every address, a path such as "
    "\"/run/app.sock\", or \"@name\"";

constexpr Choice<Type> kTypes[] = {
    {"stream", Type::stream}, {"datagram", Type::datagram}, {"seqpacket", Type::seqpacket}};

/// A table in the making: keys whose meaning depends on others wait here until all were seen.
struct SocketDraft {
    SocketSpec spec;
    const std::string* directory = nullptr;
    bool has_listen = false;  // it was given, good or bad
    bool is_known = false;    // what it listens at could be read
    std::optional<Field> type;
    std::optional<Field> ipv6_only;
    std::optional<Field> backlog;
    std::optional<Field> reuse_port;
    std::optional<Field> mode;
    std::optional<Field> user;
    std::optional<Field> group;
};

void read_unix(SocketDraft& draft, const Field& field, Family family, std::string path) {
    if (path.size() > core::kMaxSocketPath) {
        field.refuse(in_quotes(path) + " has " + std::to_string(path.size()) +
                     " bytes; the name of a UNIX socket has at most " +
                     std::to_string(core::kMaxSocketPath));
        return;
    }
    draft.spec.family = family;
    draft.spec.path = std::move(path);
    draft.is_known = true;
}

void read_internet(SocketDraft& draft, const Field& field, const std::string& text) {
    auto parts = split_host_and_port(text);
    if (!parts) {
        field.refuse(in_quotes(text) + " " + parts.error() + "; expected " +
                     std::string(kListenExpected));
        return;
    }
    std::string& host = parts->host;
    if (auto address = plain_address(host)) {
        host = std::move(*address);
    } else if (!host.empty() && !is_host_name(host)) {
        field.refuse(in_quotes(host) + " is neither an address nor a host name");
        return;
    }
    draft.spec.host = std::move(host);
    draft.spec.port = parts->port;
    draft.is_known = true;
}

void read_listen(SocketDraft& draft, const Field& field) {
    draft.has_listen = true;
    const Node& value = field.value();
    if (value.kind == Node::Kind::integer && value.integer >= 0 && value.integer <= 65535) {
        draft.spec.port = static_cast<std::uint16_t>(value.integer);
        draft.is_known = true;
        return;
    }
    const std::optional<std::string> text = read_text(field, kListenExpected);
    if (!text) return;
    constexpr std::string_view kUnix = "unix:";
    const bool is_marked = text->substr(0, kUnix.size()) == kUnix;
    if (text->front() == '@') {
        if (text->size() == 1) return field.refuse("\"@\" has no name behind it");
        read_unix(draft, field, Family::abstract, text->substr(1));
    } else if (is_marked || text->find('/') != std::string::npos) {
        const std::string path = is_marked ? text->substr(kUnix.size()) : *text;
        if (path.empty() || path.back() == '/') {
            return field.refuse(in_quotes(*text) + " names no file");
        }
        read_unix(draft, field, Family::path, resolve_path(*draft.directory, path));
    } else {
        read_internet(draft, field, *text);
    }
}

void read_socket_user(SocketDraft& draft, const Field& field) {
    constexpr std::string_view kExpected = "\"user\" or \"user:group\"";
    draft.user = field;
    const std::optional<std::string> text = read_text(field, kExpected);
    if (!text) return;
    const std::size_t colon = text->find(':');
    draft.spec.user = text->substr(0, colon);
    const bool has_group = colon != std::string::npos;
    if (has_group) draft.spec.group = text->substr(colon + 1);
    if (!is_account_name(draft.spec.user) || (has_group && !is_account_name(draft.spec.group))) {
        field.refuse_type(kExpected);
    }
    if (has_group && draft.group) field.refuse("the group stands twice: here and in group");
}

void read_socket_group(SocketDraft& draft, const Field& field) {
    draft.group = field;
    const std::optional<std::string> text = read_text(field, "the name of a group");
    if (!text) return;
    if (!is_account_name(*text)) field.refuse_type("the name of a group");
    if (!draft.spec.group.empty()) field.refuse("the group stands twice: here and in user");
    draft.spec.group = *text;
}

constexpr Keys<SocketDraft, 9> kSocketKeys{{
    {"listen", read_listen},
    {"type",
     [](SocketDraft& draft, const Field& field) {
         draft.type = field;
         draft.spec.type = read_choice(field, kTypes).value_or(draft.spec.type);
     }},
    {"backlog",
     [](SocketDraft& draft, const Field& field) {
         draft.backlog = field;
         const auto count = read_integer(field, 1, std::numeric_limits<std::int32_t>::max());
         if (count) draft.spec.backlog = static_cast<std::uint32_t>(*count);
     }},
    {"reuse_port",
     [](SocketDraft& draft, const Field& field) {
         draft.reuse_port = field;
         draft.spec.reuse_port = read_flag(field).value_or(false);
     }},
    {"ipv6_only",
     [](SocketDraft& draft, const Field& field) {
         draft.ipv6_only = field;
         draft.spec.ipv6_only = read_flag(field).value_or(false);
     }},
    {"nonblocking",
     [](SocketDraft& draft, const Field& field) {
         draft.spec.nonblocking = read_flag(field).value_or(false);
     }},
    {"mode",
     [](SocketDraft& draft, const Field& field) {
         draft.mode = field;
         draft.spec.mode = read_octal(field, "0666").value_or(draft.spec.mode);
     }},
    {"user", read_socket_user},
    {"group", read_socket_group},
}};

void refuse_on_wrong_kind(const std::optional<Field>& field, bool is_right, const char* what) {
    if (field && !is_right) field->refuse_at(field->key_at(), what);
}

/// Keys that mean nothing for this kind of socket.
void check_together(const SocketDraft& draft) {
    if (!draft.is_known) return;
    const SocketSpec& spec = draft.spec;
    const bool is_internet = spec.family == Family::internet;
    const bool is_path = spec.family == Family::path;
    const bool may_be_ipv6 =
        is_internet && (spec.host.empty() || spec.host.find(':') != std::string::npos);
    if (spec.type == Type::seqpacket && is_internet && draft.type) {
        draft.type->refuse("\"seqpacket\" is for UNIX sockets only");
    }
    refuse_on_wrong_kind(draft.ipv6_only, may_be_ipv6,
                         "is for IPv6 addresses, and for a port without an address");
    refuse_on_wrong_kind(draft.backlog, spec.type != Type::datagram,
                         "is for sockets that take connections; this one takes datagrams");
    refuse_on_wrong_kind(draft.reuse_port, is_internet, "is for TCP and UDP only");
    refuse_on_wrong_kind(draft.mode, is_path, "is for UNIX sockets with a path only");
    refuse_on_wrong_kind(draft.user, is_path, "is for UNIX sockets with a path only");
    refuse_on_wrong_kind(draft.group, is_path, "is for UNIX sockets with a path only");
}

bool is_ipv4(const std::string& host) {
    return host.find(':') == std::string::npos && plain_address(host).has_value();
}

/// A wildcard takes the port from every address that it covers.
bool covers(const SocketSpec& wide, const SocketSpec& other) {
    const bool is_other_ipv4 = is_ipv4(other.host);
    if (wide.host == "0.0.0.0") return is_other_ipv4 || other.host.empty();
    if (!wide.host.empty() && wide.host != "::") return false;
    return !wide.ipv6_only || !is_other_ipv4;
}

bool is_in_conflict(const SocketSpec& left, const SocketSpec& right) {
    if (left.family != right.family) return false;
    if (left.family != Family::internet) return left.path == right.path;
    if (left.type != right.type || left.port != right.port || left.port == 0) return false;
    if (left.reuse_port && right.reuse_port) return false;
    return left.host == right.host || covers(left, right) || covers(right, left);
}

SocketDraft read_socket(const Field& field, const std::string& directory) {
    SocketDraft draft;
    draft.directory = &directory;
    draft.spec.name = field.key();
    if (!core::is_valid_worker_name(field.key())) {
        field.refuse_at(field.key_at(),
                        "a socket's name has 1 to " + std::to_string(core::kMaxNameLength) +
                            " letters, digits, '_' or '-', and is not \"all\"; got " +
                            in_quotes(field.key()));
    }
    if (!require_table(field, "[socket.web]")) return draft;
    read_table(field, kSocketKeys, draft);
    check_together(draft);
    if (!draft.has_listen) {
        field.refuse_at(field.key_at(),
                        "has no listen; expected listen = " + std::string(kListenExpected));
    }
    return draft;
}

Position place_of_listen(const Member& socket) {
    for (const Member& member : socket.value.members) {
        if (member.key == "listen") return member.value.at;
    }
    return socket.at;
}

}  // namespace

std::vector<std::string_view> socket_key_names() {
    return names_of(kSocketKeys);
}

std::vector<core::SocketSpec> read_socket_tables(const Field& field, const std::string& directory) {
    std::vector<SocketSpec> specs;
    if (!require_table(field, "[socket.NAME]")) return specs;
    std::vector<SocketSpec> good;
    for (const Member& member : field.value().members) {
        const Field inner = field.inner(member);
        SocketDraft draft = read_socket(inner, directory);
        specs.push_back(draft.spec);
        if (!draft.is_known) continue;
        const auto other = std::find_if(good.begin(), good.end(), [&](const SocketSpec& each) {
            return is_in_conflict(each, draft.spec);
        });
        if (other != good.end()) {
            inner.refuse_at(place_of_listen(member), "socket " + in_quotes(other->name) +
                                                         " already listens at " +
                                                         in_quotes(core::listen_text(*other)));
        }
        good.push_back(std::move(draft.spec));
    }
    return specs;
}

void check_used(const Field& field, const std::vector<core::WorkerSpec>& workers) {
    for (const Member& member : field.value().members) {
        const bool is_used =
            std::any_of(workers.begin(), workers.end(), [&](const core::WorkerSpec& worker) {
                const auto sockets = core::sockets_of(worker);
                return std::any_of(sockets.begin(), sockets.end(),
                                   [&](const auto* socket) { return socket->name == member.key; });
            });
        if (is_used) continue;
        field.inner(member).refuse_at(member.at,
                                      "no worker uses it, so nobody would take its connections; "
                                      "name it in one, sockets = [" +
                                          in_quotes(member.key) + "], or remove this table");
    }
}

}  // namespace cluster::conf
