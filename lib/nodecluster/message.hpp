// The messages of Node.js' cluster module between a worker and its primary: one JSON line each.
// NODECLUSTER.md has them all.
//
// What a worker sends is believed in nothing: every field may be missing, or of another type, and
// is looked at for its bounds. What the primary sends is bound tighter: an error with a positive
// number, a key that a worker holds already, or null where a TLS server had sent data ends the
// process that reads it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "base/time.hpp"
#include "channel/json.hpp"

namespace cluster::nodecluster {

/// Where a server wants to listen, after every field was found to make sense.
struct Address {
    enum class Kind : std::uint8_t { tcp, udp, path };
    Kind kind = Kind::tcp;
    std::string host;        // tcp, udp: a numeric address; empty: every one
    std::uint16_t port = 0;  // tcp, udp; 0: any
    std::string path;        // path: absolute
    bool is_four = false;    // udp: of IPv4, else of IPv6
    bool ipv6_only = false;
    bool reuse_address = false;  // udp
    std::uint32_t backlog = 0;   // never 0
    bool readable_all = false;   // path: for whoever may connect
    bool writable_all = false;

    friend bool operator==(const Address&, const Address&) = default;
};

/// Where a socket is bound, as server.address() tells it.
struct Bound {
    std::string host;  // empty: it has no such address
    bool is_six = false;
    std::uint16_t port = 0;

    friend bool operator==(const Bound&, const Bound&) = default;
};

/// Longer data of a TLS server is refused: it goes out with a descriptor in one piece, of which the
/// kernel takes 32 KiB at once. Node.js' own has 114 bytes.
inline constexpr std::size_t kMaxData = std::size_t{8} << 10U;
inline constexpr std::size_t kMaxHost = 64;
/// As sun_path has it, with its NUL.
inline constexpr std::size_t kMaxPath = 107;

namespace in {

/// A worker's number of a message, repeated in the answer to it.
using Sequence = std::uint64_t;

struct Online {};
struct Query {
    Sequence sequence = 0;
    std::string key;           // names the address among those of its worker
    std::string data = "null"; // JSON
    Address address;           // where error is 0
    int error = 0;             // negative: it cannot be opened, whatever the system says
};
struct Listening {};
struct Close {
    std::string key;
};
/// It disconnects by itself, and waits for an answer.
struct Leaving {
    Sequence sequence = 0;
};
/// What became of a connection that was handed over.
struct Answer {
    Sequence acknowledged = 0;
    bool is_accepted = false;
};
/// Our own preload is there and can drain.
struct Hello {};
struct Drained {
    // What did not end within the grace.
    std::uint32_t requests = 0;  // answers that are still being sent
    std::uint32_t upgraded = 0;  // websockets and the like
    std::uint32_t other = 0;
};
/// Nothing that concerns a primary.
struct Other {};

}  // namespace in

using Incoming = std::variant<in::Online, in::Query, in::Listening, in::Close, in::Leaving,
                              in::Answer, in::Hello, in::Drained, in::Other>;

/// Nothing: it says that it is of the cluster module, and makes no sense.
[[nodiscard]] std::optional<Incoming> parse_message(channel::Json& json, std::string_view line);

// --- lines to a worker, with their newline. `sequence`: the primary's own count.

struct Reply {
    in::Sequence acknowledged = 0;
    std::uint64_t sequence = 0;
    std::string_view key;
    std::string_view data = "null";  // JSON
};
/// Goes with the listening socket itself.
[[nodiscard]] std::string shared_reply_line(const Reply& reply, Address::Kind kind);
/// Without a socket: connections will be handed over.
[[nodiscard]] std::string round_robin_reply_line(const Reply& reply, const Bound& bound);
/// Requires: error < 0.
[[nodiscard]] std::string error_reply_line(const Reply& reply, int error);
/// Goes with the connection.
[[nodiscard]] std::string connection_line(std::string_view key, std::uint64_t sequence);
[[nodiscard]] std::string leaving_reply_line(in::Sequence acknowledged, std::uint64_t sequence);
[[nodiscard]] std::string disconnect_line(std::uint64_t sequence);
/// To our own preload. `grace`: when it is to say at the latest what is left.
[[nodiscard]] std::string drain_line(Duration grace);

}  // namespace cluster::nodecluster
