// The messages between daemon and worker: what a line means, and the lines that the daemon writes.
//
// A line whose object has a string `cluster` is a command; one whose `cmd` begins with NODE_ is of
// Node's own; everything else is the application's. CHANNEL.md has them all. What is written is one
// whole line each, newline included.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "base/time.hpp"
#include "channel/json.hpp"

namespace cluster::channel {

/// Longer ones are refused. Units: bytes.
inline constexpr std::size_t kMaxSelector = 256;
inline constexpr std::size_t kMaxStatus = 512;
inline constexpr std::size_t kMaxErrorText = 512;

/// The id of a request as its sender wrote it: a number or a string. Empty: there is none.
using MessageId = std::string_view;

namespace in {
struct Application {
    JsonValue message;
};
/// A message with a handle (a socket that nobody asked for).
struct Handle {
    std::optional<JsonValue> message;  // the application's, if that is what it carries
};
/// Node asks how many sockets of its server are in our hands.
struct SocketCount {
    JsonValue key;
};
/// Node wants to hear when all of them are closed.
struct SocketClose {
    JsonValue key;
};
/// Of Node's cluster module (nodecluster's), or unknown.
struct Internal {};
struct Ready {};
struct Heartbeat {};
struct Status {
    std::string text;
};
struct Send {
    MessageId id;
    std::string to;
    JsonValue data;
    bool is_raw = false;
};
struct Request {
    MessageId id;
    std::string to;
    JsonValue data;
    std::optional<Duration> timeout;
};
struct Reply {
    std::uint64_t id = 0;
    JsonValue data;
    std::optional<std::string> error;
};
struct Publish {
    MessageId id;
    std::string topic;
    JsonValue data;
    bool is_raw = false;
};
struct Subscribe {
    MessageId id;
    std::string topic;
    bool is_on = true;  // false: no longer
};
struct Store {
    enum class Verb : std::uint8_t { get, set, del, cas, incr, counter };
    Verb verb = Verb::get;
    MessageId id;
    std::string key;
    std::string value;
    std::optional<std::uint64_t> token;
    std::int64_t by = 1;
    Duration ttl{0};
};
/// A command that is none, or lacks something.
struct Invalid {
    MessageId id;
    std::string_view reason;
};
}  // namespace in

using Incoming =
    std::variant<in::Application, in::Handle, in::SocketCount, in::SocketClose, in::Internal,
                 in::Ready, in::Heartbeat, in::Status, in::Send, in::Request, in::Reply,
                 in::Publish, in::Subscribe, in::Store, in::Invalid>;

/// Nothing: no JSON, or beyond the bounds of json.hpp. What is returned points into `line`.
[[nodiscard]] std::optional<Incoming> parse_line(Json& json, std::string_view line);

/// True for what a worker may be given as it is: a message of somebody's application, and nothing
/// that it would take for one of Node's or of the daemon's.
[[nodiscard]] bool is_application(Json& json, std::string_view text);

/// Names of topics: 1 … kMaxTopic bytes without control characters.
[[nodiscard]] bool is_valid_topic(std::string_view topic);
/// Those that only the daemon publishes, and no pattern but one that begins so takes.
[[nodiscard]] bool is_reserved_topic(std::string_view topic);

// --- lines of the daemon
struct Origin {
    std::string_view from;   // "api.0"; empty: from outside
    std::string_view topic;  // empty: it was sent, not published
};
[[nodiscard]] std::string message_line(const Origin& origin, std::string_view data);
[[nodiscard]] std::string raw_line(std::string_view data);
[[nodiscard]] std::string request_line(std::uint64_t id, std::string_view from,
                                       std::string_view data);
/// `member` is one more member of the reply: its name and its JSON text.
struct ReplyMember {
    std::string_view name;
    std::string_view json;
};
[[nodiscard]] std::string reply_line(MessageId id, std::initializer_list<ReplyMember> members);
[[nodiscard]] std::string error_line(MessageId id, std::string_view text);
[[nodiscard]] std::string broadcast_line(std::string_view type, std::string_view value);
[[nodiscard]] std::string stopping_line(std::int64_t grace_ms);
[[nodiscard]] std::string shutdown_line();
[[nodiscard]] std::string handle_ack_line();
[[nodiscard]] std::string socket_count_line(const JsonValue& key);
[[nodiscard]] std::string sockets_closed_line(const JsonValue& key);

}  // namespace cluster::channel
