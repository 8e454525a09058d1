// Names of signals. The names come from the C library, so that every signal of this kernel has one.
#include <csignal>
#include <cstring>
#include <optional>

#include "conf/nearest.hpp"
#include "conf/report.hpp"
#include "conf/values.hpp"

namespace cluster::conf {
namespace {

/// Standard signals are 1 … 31 on every Linux architecture. Source: signal(7).
constexpr int kLastStandardSignal = 31;

struct Alias {
    std::string_view name;
    int signal;
};

constexpr Alias kAliases[] = {{"IOT", SIGABRT}, {"CLD", SIGCHLD}, {"IO", SIGPOLL}};

std::string upper(std::string_view text) {
    std::string result(text);
    for (char& c : result) {
        if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    }
    return result;
}

/// At most three digits; anything else is not a signal's number.
std::optional<int> small_number(std::string_view text) {
    if (text.empty() || text.size() > 3) return std::nullopt;
    int number = 0;
    for (const char c : text) {
        if (c < '0' || c > '9') return std::nullopt;
        number = number * 10 + (c - '0');
    }
    return number;
}

bool is_signal(int number) {
    return (number >= 1 && number <= kLastStandardSignal) ||
           (number >= SIGRTMIN && number <= SIGRTMAX);
}

/// "RTMIN", "RTMIN+n", "RTMAX", "RTMAX-n".
std::optional<int> real_time_signal(std::string_view name) {
    const bool from_min = name.substr(0, 5) == "RTMIN";
    if (!from_min && name.substr(0, 5) != "RTMAX") return std::nullopt;
    const int base = from_min ? SIGRTMIN : SIGRTMAX;
    if (name.size() == 5) return base;
    if (name[5] != (from_min ? '+' : '-')) return std::nullopt;
    const std::optional<int> offset = small_number(name.substr(6));
    if (!offset) return std::nullopt;
    const int number = from_min ? base + *offset : base - *offset;
    if (number < SIGRTMIN || number > SIGRTMAX) return std::nullopt;
    return number;
}

std::optional<int> named_signal(std::string_view name) {
    for (int number = 1; number <= kLastStandardSignal; ++number) {
        const char* abbreviation = sigabbrev_np(number);
        if (abbreviation != nullptr && name == abbreviation) return number;
    }
    for (const Alias& alias : kAliases) {
        if (name == alias.name) return alias.signal;
    }
    return real_time_signal(name);
}

}  // namespace

tl::expected<int, std::string> parse_signal(std::string_view text) {
    if (const std::optional<int> number = small_number(text)) {
        if (is_signal(*number)) return *number;
        return tl::make_unexpected(in_quotes(text) +
                                   " is not the number of a signal; expected 1 … 31, " +
                                   std::to_string(SIGRTMIN) + " … " + std::to_string(SIGRTMAX) +
                                   " or a name such as \"SIGTERM\"");
    }
    const std::string name = upper(text);
    const bool has_prefix = name.substr(0, 3) == "SIG";
    const std::string_view bare = std::string_view(name).substr(has_prefix ? 3 : 0);
    if (const std::optional<int> number = named_signal(bare)) return *number;

    std::vector<std::string> names;
    for (int number = 1; number <= kLastStandardSignal; ++number) {
        names.push_back(signal_name(number));
    }
    const std::vector<std::string_view> views(names.begin(), names.end());
    return tl::make_unexpected(in_quotes(text) + " is not a signal" +
                               suggestion("SIG" + std::string(bare), views) +
                               "; expected a name such as \"SIGTERM\" or a number");
}

std::string signal_name(int signal) {
    if (signal >= SIGRTMIN && signal <= SIGRTMAX) {
        const int offset = signal - SIGRTMIN;
        return offset == 0 ? "SIGRTMIN" : "SIGRTMIN+" + std::to_string(offset);
    }
    const char* abbreviation =
        signal >= 1 && signal <= kLastStandardSignal ? sigabbrev_np(signal) : nullptr;
    if (abbreviation == nullptr) return "signal " + std::to_string(signal);
    return std::string("SIG") + abbreviation;
}

}  // namespace cluster::conf
