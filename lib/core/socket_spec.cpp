#include "core/socket_spec.hpp"

namespace cluster::core {

bool is_same_socket(const SocketSpec& left, const SocketSpec& right) {
    return left.type == right.type && left.family == right.family && left.host == right.host &&
           left.port == right.port && left.path == right.path && left.ipv6_only == right.ipv6_only;
}

std::string listen_text(const SocketSpec& spec) {
    if (spec.family == SocketSpec::Family::path) return spec.path;
    if (spec.family == SocketSpec::Family::abstract) return "@" + spec.path;
    const bool is_ipv6 = spec.host.find(':') != std::string::npos;
    const std::string host = spec.host.empty() ? "*" : is_ipv6 ? "[" + spec.host + "]" : spec.host;
    return host + ":" + std::to_string(spec.port);
}

const char* kind_name(const SocketSpec& spec) {
    const bool is_internet = spec.family == SocketSpec::Family::internet;
    switch (spec.type) {
        case SocketSpec::Type::stream:
            return is_internet ? "tcp" : "unix";
        case SocketSpec::Type::datagram:
            return is_internet ? "udp" : "unix datagram";
        case SocketSpec::Type::seqpacket:
            break;
    }
    return "unix seqpacket";
}

std::optional<SocketReference> find_socket_reference(std::string_view text, std::size_t from) {
    constexpr std::string_view kStart = "{socket:";
    const std::size_t at = text.find(kStart, from);
    if (at == std::string_view::npos) return std::nullopt;
    const std::size_t begin = at + kStart.size();
    const std::size_t end = text.find('}', begin);
    if (end == std::string_view::npos) {
        return SocketReference{at, text.size() - at, text.substr(begin), false};
    }
    return SocketReference{at, end + 1 - at, text.substr(begin, end - begin), true};
}

}  // namespace cluster::core
