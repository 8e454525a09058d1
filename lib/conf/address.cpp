#include "conf/address.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <array>

#include "core/socket_spec.hpp"

namespace cluster::conf {
namespace {

constexpr std::string_view kDigits = "0123456789";
constexpr std::size_t kMaxInterfaceName = 15;

bool is_label_character(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
}

std::optional<std::string> plain(int family, const std::string& text) {
    in6_addr address{};
    std::array<char, INET6_ADDRSTRLEN> shortest{};
    if (::inet_pton(family, text.c_str(), &address) != 1) return std::nullopt;
    if (::inet_ntop(family, &address, shortest.data(), shortest.size()) == nullptr)
        return std::nullopt;
    return shortest.data();
}

std::string split_failure(std::string_view text, std::size_t colon) {
    if (colon == std::string_view::npos) return "has no port; write it behind a colon";
    if (text.front() == '[' && text.find(']') == std::string_view::npos) return "has no ']'";
    return "has more than one colon; an IPv6 address stands in brackets, as in \"[::1]:8000\"";
}

}  // namespace

std::optional<std::string> plain_address(const std::string& text) {
    if (auto address = plain(AF_INET, text)) return address;
    const std::size_t percent = text.find('%');
    auto address = plain(AF_INET6, text.substr(0, percent));
    if (!address || percent == std::string::npos) return address;
    const std::string interface = text.substr(percent + 1);
    const bool is_good = !interface.empty() && interface.size() <= kMaxInterfaceName &&
                         std::all_of(interface.begin(), interface.end(), [](char c) {
                             return is_label_character(c) || c == '.' || c == ':';
                         });
    if (!is_good) return std::nullopt;
    return *address + "%" + interface;
}

bool is_host_name(std::string_view text) {
    if (text.empty() || text.size() > core::kMaxHostName || text.front() == '-') return false;
    if (text.find_first_not_of("0123456789.") == std::string_view::npos) return false;
    std::size_t label = 0;
    for (const char c : text) {
        if (c == '.' && label == 0) return false;
        if (c != '.' && (!is_label_character(c) || label == 63)) return false;
        label = c == '.' ? 0 : label + 1;
    }
    return true;
}

tl::expected<HostAndPort, std::string> split_host_and_port(std::string_view text) {
    HostAndPort result;
    std::string_view port = text;
    if (text.empty() || text.find_first_not_of(kDigits) != std::string_view::npos) {
        const std::size_t colon = text.rfind(':');
        const bool is_bracketed = colon != std::string_view::npos && colon >= 2 &&
                                  text.front() == '[' && text[colon - 1] == ']';
        std::string_view host = text.substr(0, std::min(colon, text.size()));
        if (is_bracketed) host = host.substr(1, host.size() - 2);
        const bool has_colons = host.find(':') != std::string_view::npos;
        if (colon == std::string_view::npos || has_colons != is_bracketed) {
            return tl::make_unexpected(split_failure(text, colon));
        }
        result.host = host == "*" ? "" : host;
        port = text.substr(colon + 1);
    }
    const bool is_number =
        !port.empty() && port.find_first_not_of(kDigits) == std::string_view::npos;
    if (!is_number) {
        return tl::make_unexpected(std::string("has no number as its port"));
    }
    const unsigned long number = port.size() <= 5 ? std::stoul(std::string(port)) : 65536;
    if (number > 65535) return tl::make_unexpected(std::string("has a port above 65535"));
    result.port = static_cast<std::uint16_t>(number);
    return result;
}

bool is_account_name(std::string_view name) {
    constexpr std::string_view kNever = ":/ \t\r\n";
    return !name.empty() && name.front() != '-' &&
           name.find_first_of(kNever) == std::string_view::npos;
}

}  // namespace cluster::conf
