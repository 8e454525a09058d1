// Addresses and accounts as a config writes them; pure functions of text.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

namespace cluster::conf {

/// The address in its shortest form: "0:0::1" → "::1". Nothing: it is no numeric address. An IPv6
/// address may name its interface: "fe80::1%eth0".
[[nodiscard]] std::optional<std::string> plain_address(const std::string& text);

/// A name as a resolver takes it: labels of letters, digits, '-' and '_' with dots between them.
/// Four numbers with dots are an address with a mistake in it, and no name.
[[nodiscard]] bool is_host_name(std::string_view text);

struct HostAndPort {
    std::string host;  // as written, without brackets; "" and "*" come out as ""
    std::uint16_t port = 0;
};
/// "127.0.0.1:80", "[::1]:80", "name:80", "*:80", ":80" and "80". Errors: what is wrong, in words
/// that follow the quoted text. Whether the host is an address or a name is not looked at.
[[nodiscard]] tl::expected<HostAndPort, std::string> split_host_and_port(std::string_view text);

/// A user or group as getpwnam(3) might know it: nothing more can be said without asking.
[[nodiscard]] bool is_account_name(std::string_view name);

}  // namespace cluster::conf
