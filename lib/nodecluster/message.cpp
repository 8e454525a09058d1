#include "nodecluster/message.hpp"

#include <algorithm>
#include <cerrno>
#include <limits>

#include "base/assert.hpp"

namespace cluster::nodecluster {
namespace {

using channel::Json;
using channel::JsonType;
using channel::JsonValue;

constexpr std::int64_t kMaxPort = 65535;
constexpr std::uint32_t kDefaultBacklog = 511;  // of Node.js
constexpr std::int64_t kIpv6Only = 1;           // UV_TCP_IPV6ONLY, UV_UDP_IPV6ONLY
constexpr std::int64_t kReuseAddress = 4;       // UV_UDP_REUSEADDR

std::optional<std::int64_t> integer_in(const Json& json, std::string_view name) {
    const JsonValue* const value = json.find(name);
    return value == nullptr ? std::nullopt : channel::integer_of(*value);
}

std::optional<std::uint64_t> sequence_in(const Json& json, std::string_view name) {
    const auto number = integer_in(json, name);
    if (!number || *number < 0) return std::nullopt;
    return static_cast<std::uint64_t>(*number);
}

std::optional<std::string> string_in(const Json& json, std::string_view name) {
    const JsonValue* const value = json.find(name);
    return value == nullptr ? std::nullopt : channel::string_of(*value);
}

bool flag_in(const Json& json, std::string_view name) {
    const JsonValue* const value = json.find(name);
    return value != nullptr && channel::boolean_of(*value).value_or(false);
}

/// Node.js writes `false` where it means its default.
std::uint32_t backlog_in(const Json& json) {
    const std::int64_t backlog = integer_in(json, "backlog").value_or(0);
    if (backlog <= 0) return kDefaultBacklog;
    return static_cast<std::uint32_t>(
        std::min<std::int64_t>(backlog, std::numeric_limits<std::int32_t>::max()));
}

/// "4", "6", "-1", "udp4", "udp6"; empty: of a descriptor, or nonsense.
std::string type_in(const Json& json) {
    if (const auto number = integer_in(json, "addressType")) return std::to_string(*number);
    return string_in(json, "addressType").value_or("");
}

bool is_numeric(std::string_view host) {
    constexpr std::string_view kPlain = "0123456789abcdefABCDEF.:";
    const std::size_t scope = host.find('%');
    return host.size() <= kMaxHost &&
           host.substr(0, scope).find_first_not_of(kPlain) == std::string_view::npos &&
           host.find('\0') == std::string_view::npos;
}

int read_path(const Json& json, Address& address) {
    address.kind = Address::Kind::path;
    address.path = string_in(json, "address").value_or("");
    if (address.path.size() > kMaxPath) return -ENAMETOOLONG;
    // Node.js makes it absolute, and an abstract name something with a NUL in the middle.
    const bool is_absolute = address.path.size() > 1 && address.path.front() == '/';
    if (!is_absolute || address.path.find('\0') != std::string::npos) return -EINVAL;
    address.readable_all = flag_in(json, "readableAll");
    address.writable_all = flag_in(json, "writableAll");
    return 0;
}

int read_internet(const Json& json, std::string_view type, Address& address) {
    const std::int64_t port = integer_in(json, "port").value_or(0);
    if (port < 0 || port > kMaxPort) return -EINVAL;
    address.port = static_cast<std::uint16_t>(port);
    address.host = string_in(json, "address").value_or("");
    if (!is_numeric(address.host)) return -EINVAL;
    const std::int64_t flags = integer_in(json, "flags").value_or(0);
    address.ipv6_only = flags > 0 && (flags & kIpv6Only) != 0;
    if (type == "4" || type == "6") return 0;
    address.kind = Address::Kind::udp;
    address.is_four = type == "udp4";
    address.reuse_address = flags > 0 && (flags & kReuseAddress) != 0;
    return 0;
}

int read_address(const Json& json, Address& address) {
    address.backlog = backlog_in(json);
    const std::string type = type_in(json);
    if (type == "-1") return read_path(json, address);
    if (type == "4" || type == "6" || type == "udp4" || type == "udp6") {
        return read_internet(json, type, address);
    }
    // The number of a descriptor of the primary's, which has none that is meant for a worker.
    return -EBADF;
}

std::string key_of(const Json& json, const in::Query& query) {
    const Address& address = query.address;
    if (address.kind == Address::Kind::path) return address.path + ":-1";
    std::string key = address.host.empty() ? "null" : address.host;
    key += ':' + std::to_string(address.port) + ':' + type_in(json);
    // The n-th server of every worker that takes any port gets the same one.
    if (address.port == 0) key += ':' + std::to_string(integer_in(json, "index").value_or(0));
    return key;
}

std::optional<Incoming> parse_query(const Json& json) {
    in::Query query;
    const auto sequence = sequence_in(json, "seq");
    if (!sequence) return std::nullopt;  // nobody could tell whose answer it would be
    query.sequence = *sequence;
    query.error = read_address(json, query.address);
    query.key = query.error == 0 ? key_of(json, query) : std::string{"refused"};
    const JsonValue* const data = json.find("data");
    if (data == nullptr) return query;
    // Too long or not: the server that sent it wants it back, with an error as well.
    query.data = std::string{data->text};
    if (data->text.size() > kMaxData) query.error = -E2BIG;
    return query;
}

std::optional<Incoming> parse_cluster(const Json& json) {
    const std::string act = string_in(json, "act").value_or("");
    if (act == "online") return in::Online{};
    if (act == "queryServer") return parse_query(json);
    if (act == "listening") return in::Listening{};
    if (act == "close") {
        auto key = string_in(json, "key");
        if (!key) return std::nullopt;
        return in::Close{std::move(*key)};
    }
    if (act == "exitedAfterDisconnect") {
        const auto sequence = sequence_in(json, "seq");
        if (!sequence) return std::nullopt;
        return in::Leaving{*sequence};
    }
    if (!act.empty()) return in::Other{};
    const auto acknowledged = sequence_in(json, "ack");
    if (!acknowledged) return std::nullopt;
    return in::Answer{*acknowledged, flag_in(json, "accepted")};
}

in::Drained parse_drained(const Json& json) {
    const JsonValue* const value = json.find("left");
    Json left;
    if (value == nullptr || !left.parse(value->text)) return {};
    const auto count = [&](std::string_view name) {
        const std::int64_t number = integer_in(left, name).value_or(0);
        return static_cast<std::uint32_t>(std::clamp<std::int64_t>(
            number, 0, std::numeric_limits<std::uint32_t>::max()));
    };
    return {count("requests"), count("upgraded"), count("other")};
}

std::string head(const Reply& reply, std::string_view error) {
    std::string text = "{\"cmd\":\"NODE_CLUSTER\",\"errno\":";
    text += error;
    text += ",\"key\":";
    channel::append_string(text, reply.key);
    text += ",\"ack\":" + std::to_string(reply.acknowledged);
    text += ",\"data\":";
    text += reply.data;
    return text;
}

std::string tail(std::uint64_t sequence) {
    return ",\"seq\":" + std::to_string(sequence) + "}";
}

std::string with_handle(std::string_view type, const std::string& message) {
    std::string line = "{\"cmd\":\"NODE_HANDLE\",\"type\":\"";
    line += type;
    line += "\",\"msg\":" + message + "}\n";
    return line;
}

}  // namespace

std::optional<Incoming> parse_message(Json& json, std::string_view line) {
    if (!json.parse(line) || json.root().type != JsonType::object) return in::Other{};
    const std::string command = string_in(json, "cmd").value_or("");
    if (command == "NODE_CLUSTER") return parse_cluster(json);
    if (command == "NODE_CLUSTERD_HELLO") {
        if (flag_in(json, "drain")) return in::Hello{};
        return in::Other{};
    }
    if (command == "NODE_CLUSTERD_DRAINED") return parse_drained(json);
    return in::Other{};
}

std::string shared_reply_line(const Reply& reply, Address::Kind kind) {
    const bool is_udp = kind == Address::Kind::udp;
    return with_handle(is_udp ? "dgram.Native" : "net.Native",
                       head(reply, "0") + tail(reply.sequence));
}

std::string round_robin_reply_line(const Reply& reply, const Bound& bound) {
    std::string line = head(reply, "null");
    if (!bound.host.empty()) {
        line += ",\"sockname\":{\"address\":";
        channel::append_string(line, bound.host);
        line += bound.is_six ? ",\"family\":\"IPv6\"" : ",\"family\":\"IPv4\"";
        line += ",\"port\":" + std::to_string(bound.port) + "}";
    }
    return line + tail(reply.sequence) + "\n";
}

std::string error_reply_line(const Reply& reply, int error) {
    CLUSTER_ASSERT(error < 0);
    return head(reply, std::to_string(error)) + tail(reply.sequence) + "\n";
}

std::string connection_line(std::string_view key, std::uint64_t sequence) {
    std::string message = "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"newconn\",\"key\":";
    channel::append_string(message, key);
    return with_handle("net.Native", message + tail(sequence));
}

std::string leaving_reply_line(in::Sequence acknowledged, std::uint64_t sequence) {
    return "{\"cmd\":\"NODE_CLUSTER\",\"ack\":" + std::to_string(acknowledged) + tail(sequence) +
           "\n";
}

std::string disconnect_line(std::uint64_t sequence) {
    return "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"disconnect\"" + tail(sequence) + "\n";
}

std::string drain_line(Duration grace) {
    const auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(grace);
    return "{\"cmd\":\"NODE_CLUSTERD_DRAIN\",\"grace_ms\":" +
           std::to_string(milliseconds.count()) + "}\n";
}

}  // namespace cluster::nodecluster
