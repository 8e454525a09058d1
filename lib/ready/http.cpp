#include "ready/http.hpp"

#include <algorithm>

namespace cluster::ready {
namespace {

using Kind = HttpAnswer::Kind;

constexpr std::string_view kPrefix = "HTTP/1.";
constexpr std::size_t kStatusAt = 9;  // "HTTP/1.1 200": behind the minor version and a blank
constexpr std::size_t kStatusEnd = kStatusAt + 3;

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/// Of the line that `bytes` begins with. incomplete: it is not all there.
HttpAnswer read_status_line(std::string_view bytes) {
    const std::string_view head = bytes.substr(0, kPrefix.size());
    if (head != kPrefix.substr(0, head.size())) return {Kind::no_http, 0};
    if (bytes.size() <= kStatusEnd) return {};
    const std::string_view digits = bytes.substr(kStatusAt, 3);
    const char behind = bytes[kStatusEnd];
    const bool is_line = is_digit(bytes[kPrefix.size()]) && bytes[kStatusAt - 1] == ' ' &&
                         std::all_of(digits.begin(), digits.end(), is_digit) &&
                         (behind == ' ' || behind == '\r' || behind == '\n');
    if (!is_line) return {Kind::no_http, 0};
    const int status = (digits[0] - '0') * 100 + (digits[1] - '0') * 10 + (digits[2] - '0');
    if (status < 100 || status > 599) return {Kind::no_http, 0};
    return {Kind::status, static_cast<std::uint16_t>(status)};
}

}  // namespace

std::string http_request(const core::Probe& probe) {
    const bool is_ipv6 = probe.host.find(':') != std::string::npos;
    const std::string host = is_ipv6 ? "[" + probe.host + "]" : probe.host;
    return "GET " + probe.path + " HTTP/1.1\r\nHost: " + host + ":" + std::to_string(probe.port) +
           "\r\nUser-Agent: clusterd\r\nAccept: */*\r\nConnection: close\r\n\r\n";
}

HttpAnswer read_http_answer(std::string_view bytes) {
    constexpr std::string_view kEndOfFields = "\r\n\r\n";
    while (true) {
        const HttpAnswer answer = read_status_line(bytes);
        if (answer.kind != Kind::status || answer.status >= 200) return answer;
        const std::size_t end = bytes.find(kEndOfFields);
        if (end == std::string_view::npos) return {};
        bytes.remove_prefix(end + kEndOfFields.size());
    }
}

bool is_good_status(const core::Probe& probe, std::uint16_t status) {
    return probe.status == 0 ? status >= 200 && status < 400 : status == probe.status;
}

}  // namespace cluster::ready
