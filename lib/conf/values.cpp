// Durations and sizes: one grammar (digits, perhaps a fraction, a unit), computed in integers so
// that nothing is rounded.
#include "conf/values.hpp"

#include <array>
#include <limits>
#include <vector>

#include "conf/nearest.hpp"
#include "conf/report.hpp"

namespace cluster::conf {
namespace {

struct Unit {
    std::string_view name;
    std::uint64_t factor;  // nanoseconds or bytes
};

constexpr std::uint64_t kMicrosecond = 1'000;
constexpr std::uint64_t kMillisecond = 1'000 * kMicrosecond;
constexpr std::uint64_t kSecond = 1'000 * kMillisecond;
constexpr std::uint64_t kMinute = 60 * kSecond;
constexpr std::uint64_t kHour = 60 * kMinute;
constexpr std::uint64_t kDay = 24 * kHour;

constexpr std::array<Unit, 6> kDurationUnits{{{"us", kMicrosecond},
                                              {"ms", kMillisecond},
                                              {"s", kSecond},
                                              {"m", kMinute},
                                              {"h", kHour},
                                              {"d", kDay}}};

constexpr std::array<Unit, 10> kSizeUnits{{{"B", 1},
                                           {"kB", 1'000},
                                           {"KB", 1'000},
                                           {"MB", 1'000'000},
                                           {"GB", 1'000'000'000},
                                           {"TB", 1'000'000'000'000},
                                           {"KiB", std::uint64_t{1} << 10U},
                                           {"MiB", std::uint64_t{1} << 20U},
                                           {"GiB", std::uint64_t{1} << 30U},
                                           {"TiB", std::uint64_t{1} << 40U}}};

/// More digits than this cannot be a sensible value, and fewer always fit 64 bits.
constexpr std::size_t kMaxWholeDigits = 19;
constexpr std::size_t kMaxFractionDigits = 12;

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

std::string_view take_digits(std::string_view& rest) {
    std::size_t length = 0;
    while (length < rest.size() && is_digit(rest[length])) ++length;
    const std::string_view digits = rest.substr(0, length);
    rest.remove_prefix(length);
    return digits;
}

std::uint64_t to_number(std::string_view digits) {
    std::uint64_t number = 0;
    for (const char c : digits) number = number * 10 + static_cast<std::uint64_t>(c - '0');
    return number;
}

/// What differs between durations and sizes: the units, and the words of the messages.
struct Grammar {
    const Unit* units;
    std::size_t unit_count;
    std::string_view unit_list;
    std::string_view default_unit;  // in "write …" when the unit is missing
    std::string_view example;
    std::string_view grain;  // what a value must be a whole number of
};

constexpr Grammar kDurationGrammar{
    kDurationUnits.data(), kDurationUnits.size(), "us, ms, s, m, h, d", "s", "\"10s\"",
    "nanoseconds"};
constexpr Grammar kSizeGrammar{
    kSizeUnits.data(),
    kSizeUnits.size(),
    "B, KB, MB, GB, TB (powers of 1000), KiB, MiB, GiB, TiB (powers of 1024)",
    "MiB",
    "\"64MiB\"",
    "bytes"};

const Unit* find_unit(const Grammar& grammar, std::string_view name) {
    for (std::size_t i = 0; i < grammar.unit_count; ++i) {
        if (grammar.units[i].name == name) return &grammar.units[i];
    }
    return nullptr;
}

std::string unknown_unit(const Grammar& grammar, std::string_view text, std::string_view unit) {
    std::string message = in_quotes(text) + " has the unknown unit " + in_quotes(unit);
    std::vector<std::string_view> names;
    for (std::size_t i = 0; i < grammar.unit_count; ++i) names.push_back(grammar.units[i].name);
    message += suggestion(unit, names);
    return message + "; units are " + std::string(grammar.unit_list);
}

/// The value in the grammar's smallest grain (ns or bytes), below 2^63.
tl::expected<std::uint64_t, std::string> parse_quantity(std::string_view text,
                                                        const Grammar& grammar) {
    using Wide = unsigned __int128;
    const auto refuse = [&](std::string_view why) {
        return tl::make_unexpected(in_quotes(text) + " " + std::string(why) + ", as in " +
                                   std::string(grammar.example));
    };
    if (text.empty()) return refuse("is empty; expected a number and a unit");
    if (text.front() == '-') return refuse("is negative; expected a number and a unit");

    std::string_view rest = text;
    const std::string_view whole = take_digits(rest);
    if (whole.empty()) return refuse("does not start with a digit; expected a number and a unit");
    std::string_view fraction;
    if (!rest.empty() && rest.front() == '.') {
        rest.remove_prefix(1);
        fraction = take_digits(rest);
        if (fraction.empty()) return refuse("has no digit after the point");
    }
    if (rest.empty()) {
        return tl::make_unexpected(
            in_quotes(text) + " has no unit: write " +
            in_quotes(std::string(text) + std::string(grammar.default_unit)) + ", or another of " +
            std::string(grammar.unit_list));
    }
    const Unit* unit = find_unit(grammar, rest);
    if (unit == nullptr) return tl::make_unexpected(unknown_unit(grammar, text, rest));
    if (whole.size() > kMaxWholeDigits || fraction.size() > kMaxFractionDigits) {
        return refuse("has too many digits");
    }

    Wide divisor = 1;
    for (std::size_t i = 0; i < fraction.size(); ++i) divisor *= 10;
    const Wide scaled = Wide{to_number(fraction)} * unit->factor;
    if (scaled % divisor != 0) {
        return refuse("is not a whole number of " + std::string(grammar.grain));
    }
    const Wide total = Wide{to_number(whole)} * unit->factor + scaled / divisor;
    if (total > static_cast<Wide>(std::numeric_limits<std::int64_t>::max())) {
        return refuse("is too large");
    }
    return static_cast<std::uint64_t>(total);
}

/// value / factor as an exact decimal with the unit, e.g. 1'500'000'000 → "1.5s".
std::string as_decimal(std::uint64_t value, std::uint64_t factor, std::string_view unit) {
    std::string text = std::to_string(value / factor);
    std::uint64_t rest = value % factor;
    if (rest != 0) {
        text += '.';
        for (std::uint64_t place = factor / 10; rest != 0; place /= 10) {
            text += static_cast<char>('0' + rest / place);
            rest %= place;
        }
    }
    return text.append(unit);
}

}  // namespace

tl::expected<Duration, std::string> parse_duration(std::string_view text) {
    return parse_quantity(text, kDurationGrammar).map([](std::uint64_t ns) {
        return Duration{static_cast<std::int64_t>(ns)};
    });
}

tl::expected<std::uint64_t, std::string> parse_size(std::string_view text) {
    return parse_quantity(text, kSizeGrammar);
}

std::string format_size(std::uint64_t bytes) {
    struct Unit {
        std::string_view name;
        std::uint64_t bytes;
    };
    constexpr Unit kUnits[] = {{"TiB", 1ULL << 40U}, {"TB", 1'000'000'000'000},
                               {"GiB", 1ULL << 30U}, {"GB", 1'000'000'000},
                               {"MiB", 1ULL << 20U}, {"MB", 1'000'000},
                               {"KiB", 1ULL << 10U}, {"kB", 1'000}};
    for (const Unit& unit : kUnits) {
        if (bytes >= unit.bytes && bytes % unit.bytes == 0) {
            return std::to_string(bytes / unit.bytes).append(unit.name);
        }
    }
    return std::to_string(bytes) + "B";
}

std::string format_duration(Duration duration) {
    // Negated as unsigned: the lowest count has no positive counterpart.
    const auto count = static_cast<std::uint64_t>(duration.count());
    if (duration.count() < 0) {
        const std::uint64_t magnitude = ~count + 1;
        if (magnitude > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
            return "-" + as_decimal(magnitude, kSecond, "s");
        }
        return "-" + format_duration(Duration{static_cast<std::int64_t>(magnitude)});
    }
    if (count == 0) return "0s";
    // Whole minutes, hours and days read well; parts of them do not ("90s", never "1.5m").
    if (count % kDay == 0) return as_decimal(count, kDay, "d");
    if (count % kHour == 0) return as_decimal(count, kHour, "h");
    if (count % kMinute == 0) return as_decimal(count, kMinute, "m");
    if (count >= kSecond) return as_decimal(count, kSecond, "s");
    if (count >= kMillisecond) return as_decimal(count, kMillisecond, "ms");
    return as_decimal(count, kMicrosecond, "us");
}

}  // namespace cluster::conf
