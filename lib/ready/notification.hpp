// One datagram of sd_notify(3): what a worker says about itself. Pure: bytes in, meaning out.
//
// Newline-separated KEY=VALUE; what is not known or not right is left out, for a worker may speak
// to a newer manager. Nothing here says who spoke: that is for whoever received it. Source:
// sd_notify(3).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/time.hpp"

namespace cluster::ready {

/// Longer datagrams are refused whole. Unit: bytes. systemd takes as much as a page.
inline constexpr std::size_t kMaxNotification = 4096;
/// STATUS is cut there, between characters. Unit: bytes.
inline constexpr std::size_t kMaxStatus = 512;

/// The name of what is stored without one. Source: sd_notify(3).
inline constexpr const char* kDefaultFdName = "stored";

struct Notification {
    bool is_ready = false;      // READY=1
    bool is_reloading = false;  // RELOADING=1
    bool is_stopping = false;   // STOPPING=1
    bool is_alive = false;      // WATCHDOG=1
    bool is_hung = false;       // WATCHDOG=trigger
    bool is_barrier = false;    // BARRIER=1 and nothing else, with one descriptor
    bool resets_restarts = false;  // RESTART_RESET=1: no restart so far counts any more
    bool passes_main_pidfd = false;  // MAINPIDFD=1, with one descriptor and not to be stored
    bool stores_fds = false;    // FDSTORE=1
    bool removes_fds = false;   // FDSTOREREMOVE=1
    bool polls_fds = true;      // FDPOLL=0: they stay even when they hang up
    std::optional<std::string> fd_name;  // FDNAME=: of both; never an invalid one
    std::optional<std::string>
        status;  // STATUS=: one line without control characters; "" clears it
    std::optional<std::int32_t> main_pid;         // MAINPID=: greater than 0
    std::optional<std::uint64_t> main_pidfd_id;   // MAINPIDFDID=: inode of a pidfd of that process
    std::optional<Duration> extend_timeout;       // EXTEND_TIMEOUT_USEC=
    std::optional<Duration> watchdog;             // WATCHDOG_USEC=: the new interval; zero: none
    std::optional<std::uint64_t> monotonic_usec;  // MONOTONIC_USEC=

    friend bool operator==(const Notification&, const Notification&) = default;
};

/// Nothing: not a notification at all (too long, a NUL inside). `fds`: how many descriptors came
/// with it.
[[nodiscard]] std::optional<Notification> parse_notification(std::string_view datagram,
                                                             std::size_t fds);

}  // namespace cluster::ready
