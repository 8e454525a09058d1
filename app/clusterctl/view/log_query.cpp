#include "clusterctl/view/log_query.hpp"

#include <regex.h>

#include <array>
#include <cstdio>
#include <ctime>
#include <queue>
#include <utility>

#include "capture/archive.hpp"
#include "conf/values.hpp"

namespace cluster::clusterctl {
namespace {

constexpr std::size_t kStampBytes = 24;  // "2024-05-17T09:30:00.123Z"

struct Clock {
    int hour = 0;
    int minute = 0;
    int second = 0;
};

/// "09:30" or "09:30:00", the whole text.
std::optional<Clock> parse_clock(const std::string& text) {
    Clock clock;
    int used = 0;
    int fields = std::sscanf(text.c_str(), "%2d:%2d%n", &clock.hour, &clock.minute, &used);
    if (fields == 2 && static_cast<std::size_t>(used) != text.size()) {
        fields = std::sscanf(text.c_str(), "%2d:%2d:%2d%n", &clock.hour, &clock.minute,
                             &clock.second, &used);
        if (fields != 3) return std::nullopt;
    }
    const bool is_whole = fields >= 2 && static_cast<std::size_t>(used) == text.size();
    const bool is_real = clock.hour >= 0 && clock.hour < 24 && clock.minute >= 0 &&
                         clock.minute < 60 && clock.second >= 0 && clock.second < 61;
    if (!is_whole || !is_real) return std::nullopt;
    return clock;
}

std::tm on_day(std::tm day, const Clock& clock) {
    day.tm_hour = clock.hour;
    day.tm_min = clock.minute;
    day.tm_sec = clock.second;
    day.tm_isdst = -1;
    return day;
}

/// A day, alone or with a clock time; `is_utc` by the Z behind it.
std::optional<std::int64_t> parse_date(std::string text) {
    const bool is_utc = !text.empty() && text.back() == 'Z';
    if (is_utc) text.pop_back();
    std::tm day{};
    int used = 0;
    const int fields =
        std::sscanf(text.c_str(), "%4d-%2d-%2d%n", &day.tm_year, &day.tm_mon, &day.tm_mday, &used);
    if (fields != 3 || used != 10) return std::nullopt;
    day.tm_year -= 1900;
    day.tm_mon -= 1;
    Clock clock;
    if (text.size() > 10) {
        if (text[10] != 'T' && text[10] != ' ') return std::nullopt;
        const auto parsed = parse_clock(text.substr(11));
        if (!parsed) return std::nullopt;
        clock = *parsed;
    }
    std::tm asked = on_day(day, clock);
    const std::time_t seconds = is_utc ? ::timegm(&asked) : ::mktime(&asked);
    if (asked.tm_mday != day.tm_mday || asked.tm_mon != day.tm_mon) return std::nullopt;
    return std::int64_t{seconds} * 1000;
}

std::int64_t today_at(const Clock& clock, std::int64_t now_ms) {
    const auto now = static_cast<std::time_t>(now_ms / 1000);
    std::tm day{};
    ::localtime_r(&now, &day);
    std::tm asked = on_day(day, clock);
    return std::int64_t{::mktime(&asked)} * 1000;
}

}  // namespace

tl::expected<std::int64_t, std::string> parse_since(std::string_view text, std::int64_t now_ms) {
    const std::string whole(text);
    if (const auto clock = parse_clock(whole)) return today_at(*clock, now_ms);
    if (const auto date = parse_date(whole)) return *date;
    if (const auto time = capture::parse_time_ms(text)) return *time;
    if (const auto ago = conf::parse_duration(text)) return now_ms - to_ms(*ago);
    return tl::unexpected(
        "expected a time such as \"10m\" (ago), \"09:30\", \"2024-05-17\" or "
        "\"2024-05-17 09:30:00\", got \"" +
        whole + "\"");
}

// --- patterns

struct LinePattern::Compiled {
    regex_t regex{};
    bool is_valid = false;

    Compiled() = default;
    Compiled(const Compiled&) = delete;
    Compiled& operator=(const Compiled&) = delete;
    ~Compiled() {
        if (is_valid) ::regfree(&regex);
    }
};

tl::expected<LinePattern, std::string> LinePattern::make(const std::string& text) {
    auto compiled = std::make_shared<Compiled>();
    const int code = ::regcomp(&compiled->regex, text.c_str(), REG_EXTENDED | REG_NOSUB);
    if (code == 0) {
        compiled->is_valid = true;
        return LinePattern(std::move(compiled));
    }
    std::array<char, 256> reason{};
    ::regerror(code, &compiled->regex, reason.data(), reason.size());
    return tl::unexpected("\"" + text + "\" is no pattern: " + reason.data());
}

bool LinePattern::matches(std::string_view line) const {
    // With its length, so that a NUL byte in the line does not end it.
    regmatch_t whole{.rm_so = 0, .rm_eo = static_cast<regoff_t>(line.size())};
    return ::regexec(&compiled_->regex, line.data(), 1, &whole, REG_STARTEND) == 0;
}

// --- times of lines

StampedLine split_stamp(std::string_view line) {
    if (line.size() > kStampBytes && line[kStampBytes] == ' ') {
        if (const auto time = capture::parse_time_ms(line.substr(0, kStampBytes))) {
            return {time, line.substr(kStampBytes + 1)};
        }
    }
    return {std::nullopt, line};
}

void merge_by_time(const std::vector<NextLine>& logs,
                   const std::function<void(std::size_t log, const std::string& line)>& show) {
    struct Head {
        std::int64_t time_ms;
        std::size_t log;
        std::string line;
        bool operator<(const Head& other) const {  // the top of the queue is the largest
            return std::pair(other.time_ms, other.log) < std::pair(time_ms, log);
        }
    };
    std::priority_queue<Head> heads;
    for (std::size_t log = 0; log < logs.size(); ++log) {
        while (std::optional<std::string> line = logs[log]()) {
            if (const auto time = split_stamp(*line).time_ms) {
                heads.push({*time, log, std::move(*line)});
                break;
            }
            show(log, *line);
        }
    }
    while (!heads.empty()) {
        const Head head = heads.top();
        heads.pop();
        show(head.log, head.line);
        if (std::optional<std::string> line = logs[head.log]()) {
            const std::int64_t time = split_stamp(*line).time_ms.value_or(head.time_ms);
            heads.push({time, head.log, std::move(*line)});
        }
    }
}

}  // namespace cluster::clusterctl
