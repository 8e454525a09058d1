#include "ready/notification.hpp"

#include <algorithm>
#include <charconv>
#include <limits>

namespace cluster::ready {
namespace {

/// A year: no worker has a reason for more, and sums of instants stay far from the end of the
/// clock.
constexpr std::uint64_t kMaxDurationUs = std::uint64_t{365} * 24 * 3600 * 1'000'000;

template <class Number>
std::optional<Number> parse_number(std::string_view text) {
    Number value{};
    const char* const end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data(), end, value);
    if (error != std::errc{} || rest != end || text.empty() || text.front() == '-') {
        return std::nullopt;
    }
    return value;
}

std::optional<Duration> parse_duration(std::string_view text) {
    const auto us = parse_number<std::uint64_t>(text);
    if (!us || *us > kMaxDurationUs) return std::nullopt;
    return std::chrono::microseconds{*us};
}

/// Length of the UTF-8 character that `text` begins with; 0: it is none. Source: RFC 3629.
std::size_t character_length(std::string_view text) {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const unsigned char first = byte(0);
    if (first < 0x80) return 1;
    const std::size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
    if (first < 0xC2 || first > 0xF4 || text.size() < length) return 0;
    for (std::size_t i = 1; i < length; ++i) {
        if ((byte(i) & 0xC0U) != 0x80) return 0;
    }
    const bool is_overlong = (first == 0xE0 && byte(1) < 0xA0) || (first == 0xF0 && byte(1) < 0x90);
    const bool is_surrogate = first == 0xED && byte(1) > 0x9F;
    const bool is_too_high = first == 0xF4 && byte(1) > 0x8F;
    return is_overlong || is_surrogate || is_too_high ? 0 : length;
}

/// Nothing: not UTF-8. Control characters become blanks: the text is shown on terminals.
std::optional<std::string> clean_status(std::string_view text) {
    std::string status;
    while (!text.empty()) {
        const std::size_t length = character_length(text);
        if (length == 0) return std::nullopt;
        if (status.size() + length <= kMaxStatus) {
            const bool is_c1 = length == 2 && text[0] == '\xC2' && text[1] < '\xA0';
            const bool is_control = length == 1 && (text[0] < ' ' || text[0] == '\x7F');
            if (is_control || is_c1) {
                status += ' ';
            } else {
                status += text.substr(0, length);
            }
        }
        text.remove_prefix(length);
    }
    return status;
}

/// It stands between colons in LISTEN_FDNAMES. Source: sd_notify(3), FDNAME.
bool is_fd_name(std::string_view text) {
    constexpr std::size_t kMaxFdName = 255;
    return !text.empty() && text.size() <= kMaxFdName &&
           std::all_of(text.begin(), text.end(),
                       [](char c) { return c >= ' ' && c < '\x7F' && c != ':'; });
}

void read_fd_field(Notification& notification, std::string_view key, std::string_view value) {
    if (key == "FDSTORE") {
        notification.stores_fds = value == "1";
    } else if (key == "FDSTOREREMOVE") {
        notification.removes_fds = value == "1";
    } else if (key == "FDPOLL") {
        notification.polls_fds = value != "0";
    } else if (key == "FDNAME" && is_fd_name(value)) {
        notification.fd_name = value;
    }
}

void read_field(Notification& notification, std::string_view key, std::string_view value) {
    const bool is_one = value == "1";
    if (key == "READY") {
        notification.is_ready = is_one;
    } else if (key == "RELOADING") {
        notification.is_reloading = is_one;
    } else if (key == "STOPPING") {
        notification.is_stopping = is_one;
    } else if (key == "STATUS") {
        if (auto status = clean_status(value)) notification.status = std::move(*status);
    } else if (key == "MAINPID") {
        const auto pid = parse_number<std::int32_t>(value);
        if (pid && *pid > 0) notification.main_pid = pid;
    } else if (key == "MAINPIDFDID") {
        notification.main_pidfd_id = parse_number<std::uint64_t>(value);
    } else if (key == "MAINPIDFD") {
        notification.passes_main_pidfd = is_one;
    } else if (key == "RESTART_RESET") {
        notification.resets_restarts = is_one;
    } else if (key == "EXTEND_TIMEOUT_USEC") {
        if (const auto by = parse_duration(value)) notification.extend_timeout = by;
    } else if (key == "WATCHDOG") {
        notification.is_alive = is_one;
        notification.is_hung = value == "trigger";
    } else if (key == "WATCHDOG_USEC") {
        if (const auto interval = parse_duration(value)) notification.watchdog = interval;
    } else if (key == "MONOTONIC_USEC") {
        notification.monotonic_usec = parse_number<std::uint64_t>(value);
    } else {
        read_fd_field(notification, key, value);
    }
}

}  // namespace

std::optional<Notification> parse_notification(std::string_view datagram, std::size_t fds) {
    if (datagram.size() > kMaxNotification) return std::nullopt;
    // One NUL at the end is a frequent mistake and means nothing; any other hides something.
    if (!datagram.empty() && datagram.back() == '\0') datagram.remove_suffix(1);
    if (datagram.find('\0') != std::string_view::npos) return std::nullopt;
    Notification notification;
    const bool is_alone = datagram == "BARRIER=1" || datagram == "BARRIER=1\n";
    if (is_alone) {
        notification.is_barrier = fds == 1;
        return notification;
    }
    while (!datagram.empty()) {
        const std::size_t newline = datagram.find('\n');
        const std::string_view line = datagram.substr(0, newline);
        datagram.remove_prefix(newline == std::string_view::npos ? datagram.size() : newline + 1);
        const std::size_t equals = line.find('=');
        if (equals == std::string_view::npos) continue;
        read_field(notification, line.substr(0, equals), line.substr(equals + 1));
    }
    // Of several descriptors, or of one that is to be stored, none is known to be meant.
    if (fds != 1 || notification.stores_fds) notification.passes_main_pidfd = false;
    return notification;
}

}  // namespace cluster::ready
