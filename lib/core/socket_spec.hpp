// A listening socket that outlives its workers, as an operator asked for it, and how a command
// names it.
//
// A spec is complete: defaults are filled in, paths are absolute. Host names stay names: what they
// mean is found out when the socket is opened.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace cluster::core {

/// Of one worker: what fits into one plan beside everything else that it inherits.
inline constexpr std::size_t kMaxSocketsPerWorker = 32;
/// Of sun_path, without the NUL. Source: unix(7).
inline constexpr std::size_t kMaxSocketPath = 107;
/// Source: RFC 1035, section 2.3.4.
inline constexpr std::size_t kMaxHostName = 253;

struct SocketSpec {
    enum class Type : std::uint8_t { stream, datagram, seqpacket };
    enum class Family : std::uint8_t {
        internet,  // host and port
        path,      // a UNIX socket in the file system
        abstract,  // a UNIX socket with a name that no file system knows
    };

    std::string name;  // as a worker's name
    Type type = Type::stream;
    Family family = Family::internet;
    /// internet: a numeric address, a host name, or empty for every address of the machine (IPv6
    /// and IPv4).
    std::string host;
    std::uint16_t port = 0;  // internet; 0: the kernel chooses
    std::string path;        // path: absolute; abstract: without the '@'
    bool ipv6_only = false;

    // What may change while the socket lives.
    std::uint32_t backlog = 4096;  // not of datagrams. Bounds: 1 … 2^31 - 1
    bool reuse_port = false;       // internet
    bool nonblocking = false;
    std::uint32_t mode = 0666;  // path
    std::string user;           // path; empty: the daemon's own
    std::string group;          // path; empty: the user's primary group

    friend bool operator==(const SocketSpec&, const SocketSpec&) = default;
};

/// True when one descriptor serves both: whatever else differs can be changed while it is open.
[[nodiscard]] bool is_same_socket(const SocketSpec& left, const SocketSpec& right);

/// As it stands in a config: "127.0.0.1:8000", "[::1]:8000", "*:8000", "/run/app.sock", "@name".
[[nodiscard]] std::string listen_text(const SocketSpec& spec);

/// "tcp", "udp", "unix", "unix datagram", "unix seqpacket".
[[nodiscard]] const char* kind_name(const SocketSpec& spec);

/// `{socket:NAME}` in a command or in the value of a variable: stands for the number of the
/// descriptor.
struct SocketReference {
    std::size_t at = 0;
    std::size_t length = 0;
    std::string_view name;   // into the text
    bool is_closed = false;  // false: there is no '}'
};
/// The first one that begins at `from` or behind it.
[[nodiscard]] std::optional<SocketReference> find_socket_reference(std::string_view text,
                                                                   std::size_t from);

}  // namespace cluster::core
