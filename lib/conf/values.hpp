// Values that humans write as text: durations, sizes, signals and command lines.
//
// Shared by the config reader and by the options of clusterctl, so that "10s" means the same in
// both places. Every parser refuses what it does not fully understand; the error text quotes the
// offending text and says what is expected, and is ready to stand behind the name of a key or an
// option.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "base/time.hpp"

namespace cluster::conf {

/// A decimal number and a unit, without a space: "500ms", "10s", "1.5s", "2d".
/// Units: us ms s m h d. Bounds: 0 … 292 years, a whole number of nanoseconds.
/// Errors: no unit, an unknown unit, a sign, more than one number, too long.
[[nodiscard]] tl::expected<Duration, std::string> parse_duration(std::string_view text);

/// The shortest exact form that parse_duration reads back: "1.5s", "2m", "0s". A negative duration
/// has a leading '-'.
[[nodiscard]] std::string format_duration(Duration duration);

/// A number of bytes with a unit, without a space: "100B", "64MiB", "1.5GB".
/// Units: B; kB KB MB GB TB (powers of 1000); KiB MiB GiB TiB (powers of 1024).
/// Errors: no unit, an unknown unit, a sign, not a whole number of bytes, 2^63 or more.
[[nodiscard]] tl::expected<std::uint64_t, std::string> parse_size(std::string_view text);

/// The largest unit that gives a whole number: "512MiB", "1500MB", "17B".
[[nodiscard]] std::string format_size(std::uint64_t bytes);

/// Splits as sh(1) splits words: blanks and newlines separate, 'single' and "double" quotes and
/// backslashes quote. Nothing is expanded and no operator means anything: `$HOME`, `*`, `|` and `#`
/// are plain text. Errors: an unclosed quote, a backslash at the end, a NUL byte. Text without a
/// word gives an empty vector. Source: POSIX.1-2017, Shell Command Language, section 2.2 (Quoting).
[[nodiscard]] tl::expected<std::vector<std::string>, std::string> split_words(
    std::string_view text);

/// "SIGTERM", "TERM", "sigterm", "15"; real-time signals as "SIGRTMIN+3" and "RTMAX-1".
/// Errors: an unknown name, 0, a number that is no signal (32 and 33 belong to the C library).
[[nodiscard]] tl::expected<int, std::string> parse_signal(std::string_view text);

/// 15 → "SIGTERM", 37 → "SIGRTMIN+3"; a number that is no signal → "signal 99".
[[nodiscard]] std::string signal_name(int signal);

}  // namespace cluster::conf
