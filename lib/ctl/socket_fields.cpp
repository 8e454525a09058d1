#include "ctl/socket_fields.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "core/selector.hpp"

namespace cluster::ctl {
namespace {

using core::SocketSpec;
using Family = SocketSpec::Family;
using Type = SocketSpec::Type;

constexpr std::array<std::pair<std::string_view, Type>, 3> kTypes{
    {{"stream", Type::stream}, {"datagram", Type::datagram}, {"seqpacket", Type::seqpacket}}};
constexpr std::array<std::pair<std::string_view, Family>, 3> kFamilies{
    {{"internet", Family::internet}, {"path", Family::path}, {"abstract", Family::abstract}}};
constexpr std::size_t kMaxAccountBytes = 256;

template <class Words, class Enum>
std::string_view word_of(const Words& words, Enum value) {
    for (const auto& [text, each] : words) {
        if (each == value) return text;
    }
    return words[0].first;
}

template <class Words>
auto read_word(FieldReader& fields, std::string_view name, const Words& words) {
    const std::string text = fields.text(name);
    for (const auto& [word, value] : words) {
        if (word == text) return value;
    }
    throw FieldError(fields.path(name) + ": \"" + clip(text) + "\" is not known");
}

/// What the kernel takes, and a resolver's command line: nothing that looks like an option.
bool is_host(const std::string& host) {
    return host.size() <= core::kMaxHostName && (host.empty() || host.front() != '-') &&
           std::all_of(host.begin(), host.end(), [](char c) {
               return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '.' || c == ':' || c == '-' || c == '_' || c == '%';
           });
}

std::string read_account(FieldReader& fields, std::string_view name) {
    std::string account = fields.text(name);
    if (account.size() > kMaxAccountBytes || account.find('\0') != std::string::npos) {
        throw FieldError(fields.path(name) + ": is not the name of an account");
    }
    return account;
}

}  // namespace

Json socket_fields(const SocketSpec& socket) {
    return Json{{"name", socket.name},
                {"type", word_of(kTypes, socket.type)},
                {"family", word_of(kFamilies, socket.family)},
                {"host", socket.host},
                {"port", socket.port},
                {"path", exact_text(socket.path)},
                {"ipv6_only", socket.ipv6_only},
                {"backlog", socket.backlog},
                {"reuse_port", socket.reuse_port},
                {"nonblocking", socket.nonblocking},
                {"mode", socket.mode},
                {"user", socket.user},
                {"group", socket.group}};
}

SocketSpec read_socket_fields(const Json& value, const std::string& where) {
    FieldReader fields(value, where);
    SocketSpec socket;
    socket.name = fields.text("name");
    if (!core::is_valid_worker_name(socket.name)) {
        throw FieldError(fields.path("name") + ": \"" + clip(socket.name) +
                         "\" is not a socket's name ([A-Za-z0-9_-]{1,64}, not \"all\")");
    }
    socket.type = read_word(fields, "type", kTypes);
    socket.family = read_word(fields, "family", kFamilies);
    socket.host = fields.text("host");
    if (!is_host(socket.host)) {
        throw FieldError(fields.path("host") + ": is neither an address nor a name");
    }
    socket.port = static_cast<std::uint16_t>(fields.integer("port", 0, 65535));
    socket.path = fields.exact("path");
    const bool is_path = socket.family == Family::path;
    const bool is_unix = socket.family != Family::internet;
    const bool is_absolute = !socket.path.empty() && socket.path.front() == '/';
    if (is_unix && (socket.path.empty() || socket.path.size() > core::kMaxSocketPath)) {
        throw FieldError(fields.path("path") + ": has to have 1 to 107 bytes");
    }
    if (is_path && !is_absolute) {
        throw FieldError(fields.path("path") + ": expected an absolute path");
    }
    if (!is_unix && socket.type == Type::seqpacket) {
        throw FieldError(fields.path("type") + ": seqpacket is for UNIX sockets only");
    }
    socket.ipv6_only = fields.boolean("ipv6_only");
    socket.backlog = static_cast<std::uint32_t>(
        fields.integer("backlog", 1, std::numeric_limits<std::int32_t>::max()));
    socket.reuse_port = fields.boolean("reuse_port");
    socket.nonblocking = fields.boolean("nonblocking");
    socket.mode = static_cast<std::uint32_t>(fields.integer("mode", 0, 0777));
    socket.user = read_account(fields, "user");
    socket.group = read_account(fields, "group");
    fields.finish();
    return socket;
}

void read_sockets_of_spec(FieldReader& fields, core::WorkerSpec& spec) {
    if (fields.find("sockets") != nullptr) {
        for (const Json& element : fields.array("sockets", core::kMaxSocketsPerWorker)) {
            SocketSpec socket =
                read_socket_fields(element, fields.path("sockets", spec.sockets.size()));
            for (const SocketSpec& other : spec.sockets) {
                if (other.name == socket.name) {
                    throw FieldError(fields.path("sockets") + ": \"" + socket.name +
                                     "\" stands twice");
                }
            }
            spec.sockets.push_back(std::move(socket));
        }
    }
    if (const Json* socket = fields.find("stdin_socket")) {
        spec.stdin_socket = read_socket_fields(*socket, fields.path("stdin_socket"));
    }
    // One name is one socket.
    for (const SocketSpec& other : spec.sockets) {
        if (!spec.stdin_socket || other.name != spec.stdin_socket->name) continue;
        if (other != *spec.stdin_socket) {
            throw FieldError(fields.path("stdin_socket") + ": differs from the one in sockets");
        }
    }
}

}  // namespace cluster::ctl
