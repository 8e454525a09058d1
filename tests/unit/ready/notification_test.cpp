#include "ready/notification.hpp"

#include <doctest/doctest.h>

#include "base/prng.hpp"

namespace cluster::ready {
namespace {

using std::chrono_literals::operator""ms;

Notification parse(std::string_view text, std::size_t fds = 0) {
    const auto result = parse_notification(text, fds);
    REQUIRE(result);
    return *result;
}

TEST_CASE("ready/notification: lines of keys, the last newline being optional") {
    const Notification one = parse("READY=1\nSTATUS=up and well\nMAINPID=42");
    CHECK(one.is_ready);
    CHECK(one.status == "up and well");
    CHECK(one.main_pid == 42);
    CHECK(parse("READY=1\n") == parse("READY=1"));
    CHECK(parse("STOPPING=1").is_stopping);
    const Notification reload = parse("RELOADING=1\nMONOTONIC_USEC=18446744073709551615");
    CHECK(reload.is_reloading);
    CHECK(reload.monotonic_usec == 18446744073709551615U);
    CHECK(parse("EXTEND_TIMEOUT_USEC=1500000").extend_timeout == 1500ms);
}

TEST_CASE("ready/notification: the main process, named so that no other can be meant") {
    const Notification by_id = parse("MAINPID=42\nMAINPIDFDID=18446744073709551615");
    CHECK(by_id.main_pid == 42);
    CHECK(by_id.main_pidfd_id == 18446744073709551615U);
    CHECK(parse("MAINPIDFD=1", 1).passes_main_pidfd);
    CHECK_FALSE(parse("MAINPIDFD=1").passes_main_pidfd);
    CHECK_FALSE(parse("MAINPIDFD=1", 2).passes_main_pidfd);
    CHECK_FALSE(parse("MAINPIDFD=1\nFDSTORE=1", 1).passes_main_pidfd);
    CHECK_FALSE(parse("MAINPIDFDID=-1").main_pidfd_id);
    CHECK(parse("RESTART_RESET=1").resets_restarts);
}

TEST_CASE("ready/notification: descriptors to keep, and their names") {
    const Notification plain = parse("FDSTORE=1", 2);
    CHECK(plain.stores_fds);
    CHECK(plain.polls_fds);
    CHECK_FALSE(plain.fd_name);
    CHECK(parse("FDSTORE=1\nFDNAME=a b.c\nFDPOLL=0", 1).fd_name == "a b.c");
    CHECK_FALSE(parse("FDSTORE=1\nFDPOLL=0", 1).polls_fds);
    CHECK(parse("FDSTOREREMOVE=1\nFDNAME=x").removes_fds);
    CHECK_FALSE(parse("FDSTORE=0", 1).stores_fds);
    CHECK(parse("FDNAME=" + std::string(255, 'x')).fd_name);
    for (const std::string& name : {std::string{}, std::string{"a:b"}, std::string{"a\tb"},
                                   std::string{"\xC3\xA9"}, std::string(256, 'x')}) {
        CAPTURE(name);
        CHECK_FALSE(parse("FDSTORE=1\nFDNAME=" + name, 1).fd_name);
    }
}

TEST_CASE("ready/notification: what is unknown or wrong is left out, the rest counts") {
    CHECK(parse("") == Notification{});
    CHECK(parse("READY=0\nREADY\n=1\nready=1\nX_OWN=5\nWATCHDOG=2\nWATCHDOG_USEC=-1") ==
          Notification{});
    CHECK(parse("READY=01") == Notification{});
    for (const char* pid : {"0", "-1", "+1", "1x", "", " 1", "99999999999"}) {
        CHECK_FALSE(parse(std::string{"MAINPID="} + pid).main_pid);
    }
    CHECK_FALSE(parse("EXTEND_TIMEOUT_USEC=99999999999999999").extend_timeout);
    CHECK(parse("MAINPID=x\nREADY=1").is_ready);
}

TEST_CASE("ready/notification: a status is one clean line of UTF-8, cut between characters") {
    CHECK(parse("STATUS=").status == "");
    CHECK(parse("STATUS=a=b").status == "a=b");
    CHECK(parse("STATUS=\x1B[31mred\tnow\x7F").status == " [31mred now ");
    CHECK(parse("STATUS=caf\xC3\xA9 \xC2\x9B").status == "caf\xC3\xA9  ");
    for (const char* bad : {"\xFF", "\xC3", "\xC0\x80", "\xED\xA0\x80", "\xF5\x80\x80\x80"}) {
        CHECK_FALSE(parse(std::string{"STATUS="} + bad).status);
    }
    const std::string longest(kMaxStatus - 1, 'x');
    CHECK(parse("STATUS=" + longest + "\xC3\xA9").status == longest);
}

TEST_CASE("ready/notification: the watchdog is fed, fired, or given another interval") {
    CHECK(parse("WATCHDOG=1").is_alive);
    CHECK_FALSE(parse("WATCHDOG=1").is_hung);
    CHECK(parse("WATCHDOG=trigger").is_hung);
    CHECK_FALSE(parse("WATCHDOG=trigger").is_alive);
    CHECK(parse("WATCHDOG_USEC=20000").watchdog == 20ms);
    CHECK(parse("WATCHDOG_USEC=0").watchdog == 0ms);
    CHECK(parse("WATCHDOG_USEC=20000\nWATCHDOG_USEC=x").watchdog == 20ms);
    CHECK_FALSE(parse("WATCHDOG_USEC=99999999999999999").watchdog);
}

TEST_CASE("ready/notification: a NUL inside or too many bytes are no notification") {
    CHECK_FALSE(parse_notification(std::string_view("READY=1\0X", 9), 0));
    CHECK(parse(std::string_view("READY=1\0", 8)).is_ready);
    CHECK_FALSE(parse_notification(std::string(kMaxNotification + 1, 'x'), 0));
    CHECK(parse_notification(std::string(kMaxNotification, 'x'), 0));
}

TEST_CASE("ready/notification: a barrier stands alone and brings one descriptor") {
    CHECK(parse("BARRIER=1", 1).is_barrier);
    CHECK(parse("BARRIER=1\n", 1).is_barrier);
    CHECK_FALSE(parse("BARRIER=1", 0).is_barrier);
    CHECK_FALSE(parse("BARRIER=1", 2).is_barrier);
    const Notification mixed = parse("BARRIER=1\nREADY=1", 1);
    CHECK_FALSE(mixed.is_barrier);
    CHECK(mixed.is_ready);
}

TEST_CASE("ready/notification: no bytes at all break it") {
    Prng prng{1};
    constexpr std::string_view kPieces[] = {
        "READY=1", "\n", "STATUS=", "=", "MAINPID=", "\xC3\xA9", "\xF4\x8F", "9", "-", "\0"};
    for (int round = 0; round < 20000; ++round) {
        std::string text;
        for (std::uint64_t i = prng.below(12); i > 0; --i) text += kPieces[prng.below(10)];
        if (const auto result = parse_notification(text, prng.below(3)); result && result->status) {
            CHECK(result->status->size() <= kMaxStatus);
        }
    }
}

}  // namespace
}  // namespace cluster::ready
