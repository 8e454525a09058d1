#include "capture/archive.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <ctime>

namespace cluster::capture {
namespace {

constexpr std::string_view kPackedSuffix = ".gz";
constexpr std::size_t kNumberDigits = 6;  // at least; a busy log may need more
constexpr std::string_view kTimeShape = "00000000T000000Z";
constexpr std::string_view kTimeMsShape = "0000-00-00T00:00:00.000Z";

bool has_shape(std::string_view text, std::string_view shape) {
    if (text.size() != shape.size()) return false;
    return std::equal(text.begin(), text.end(), shape.begin(),
                      [](char c, char s) { return s == '0' ? c >= '0' && c <= '9' : c == s; });
}

int number_at(std::string_view text, std::size_t at, std::size_t count) {
    int number = 0;
    std::from_chars(text.data() + at, text.data() + at + count, number);
    return number;
}

std::tm broken_down(std::int64_t seconds) {
    std::tm time{};
    const auto since_epoch = static_cast<std::time_t>(seconds);
    ::gmtime_r(&since_epoch, &time);
    return time;
}

/// None for a day or an hour that does not exist.
std::optional<std::int64_t> seconds_of(int year, int month, int day, int hour, int minute,
                                       int second) {
    std::tm time{};
    time.tm_year = year - 1900;
    time.tm_mon = month - 1;
    time.tm_mday = day;
    time.tm_hour = hour;
    time.tm_min = minute;
    time.tm_sec = second;
    const std::tm asked = time;
    const std::time_t seconds = ::timegm(&time);
    const bool is_real = time.tm_mon == asked.tm_mon && time.tm_mday == asked.tm_mday &&
                         time.tm_hour == asked.tm_hour && time.tm_min == asked.tm_min &&
                         time.tm_sec == asked.tm_sec;
    if (!is_real) return std::nullopt;
    return static_cast<std::int64_t>(seconds);
}

}  // namespace

std::string ArchiveName::text() const {
    const std::tm time = broken_down(rotated_s);
    std::array<char, 64> tail{};
    std::snprintf(tail.data(), tail.size(), ".%0*llu-%04d%02d%02dT%02d%02d%02dZ",
                  static_cast<int>(kNumberDigits), static_cast<unsigned long long>(number),
                  time.tm_year + 1900, time.tm_mon + 1, time.tm_mday, time.tm_hour, time.tm_min,
                  time.tm_sec);
    return log + tail.data() + (is_packed ? std::string(kPackedSuffix) : "");
}

std::optional<ArchiveName> parse_archive_name(std::string_view file_name) {
    ArchiveName name;
    if (file_name.ends_with(kPackedSuffix)) {
        name.is_packed = true;
        file_name.remove_suffix(kPackedSuffix.size());
    }
    const std::size_t dot = file_name.rfind('.');
    const std::size_t dash = file_name.rfind('-');
    if (dot == std::string_view::npos || dot == 0 || dash == std::string_view::npos || dash < dot) {
        return std::nullopt;
    }
    const std::string_view number = file_name.substr(dot + 1, dash - dot - 1);
    const std::string_view time = file_name.substr(dash + 1);
    const auto [end, error] =
        std::from_chars(number.data(), number.data() + number.size(), name.number);
    const bool is_number = error == std::errc{} && end == number.data() + number.size();
    if (!is_number || number.size() < kNumberDigits || !has_shape(time, kTimeShape)) {
        return std::nullopt;
    }
    const auto seconds =
        seconds_of(number_at(time, 0, 4), number_at(time, 4, 2), number_at(time, 6, 2),
                   number_at(time, 9, 2), number_at(time, 11, 2), number_at(time, 13, 2));
    if (!seconds) return std::nullopt;
    name.rotated_s = *seconds;
    name.log = file_name.substr(0, dot);
    return name;
}

std::string format_time_ms(std::int64_t wall_ms) {
    const std::int64_t ms = ((wall_ms % 1000) + 1000) % 1000;
    const std::tm time = broken_down((wall_ms - ms) / 1000);
    std::array<char, 64> text{};
    std::snprintf(text.data(), text.size(), "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ",
                  time.tm_year + 1900, time.tm_mon + 1, time.tm_mday, time.tm_hour, time.tm_min,
                  time.tm_sec, static_cast<int>(ms));
    return text.data();
}

std::optional<std::int64_t> parse_time_ms(std::string_view text) {
    if (!has_shape(text, kTimeMsShape)) return std::nullopt;
    const auto seconds =
        seconds_of(number_at(text, 0, 4), number_at(text, 5, 2), number_at(text, 8, 2),
                   number_at(text, 11, 2), number_at(text, 14, 2), number_at(text, 17, 2));
    if (!seconds) return std::nullopt;
    return *seconds * 1000 + number_at(text, 20, 3);
}

// --- the list

void Archives::note(const ArchiveName& name, std::uint64_t bytes) {
    if (name.log != log_) return;
    last_number_ = std::max(last_number_, name.number);
    auto place = std::lower_bound(
        list_.begin(), list_.end(), name.number,
        [](const Archive& archive, std::uint64_t number) { return archive.number < number; });
    if (place == list_.end() || place->number != name.number) {
        place = list_.insert(place, Archive{});
        place->number = name.number;
        place->rotated_s = name.rotated_s;
    }
    (name.is_packed ? place->has_packed : place->has_plain) = true;
    place->bytes += bytes;
}

ArchiveName Archives::next(std::int64_t wall_ms) const {
    return {
        .log = log_, .number = last_number_ + 1, .rotated_s = wall_ms / 1000, .is_packed = false};
}

void Archives::add(const ArchiveName& name, std::uint64_t bytes) {
    note(name, bytes);
}

std::vector<std::string> Archives::take_excess(const Limits& limits, std::uint64_t log_bytes) {
    std::vector<std::string> removed;
    std::size_t count = 0;
    std::uint64_t total = log_bytes;
    bool is_full = false;
    std::vector<Archive> kept;  // newest first
    for (auto archive = list_.rbegin(); archive != list_.rend(); ++archive) {
        ++count;
        total += archive->bytes;
        // What is older than one that does not fit goes too: a gap would be worse than an end.
        is_full = is_full || count > limits.keep || total > limits.max_total;
        if (!is_full) {
            kept.push_back(*archive);
        } else if (archive->is_being_packed) {
            archive->is_excess = true;
            kept.push_back(*archive);
        } else {
            for (std::string& file : files_of(*archive)) removed.push_back(std::move(file));
        }
    }
    std::reverse(kept.begin(), kept.end());
    list_ = std::move(kept);
    return removed;
}

bool Archives::can_be_packed(const Archive& archive) {
    return archive.has_plain && !archive.is_being_packed && !archive.has_failed;
}

bool Archives::wants_packing(const Limits& limits) const {
    return limits.packs && std::any_of(list_.begin(), list_.end(), can_be_packed);
}

std::optional<std::string> Archives::take_to_pack(const Limits& limits) {
    if (!limits.packs) return std::nullopt;
    const auto found = std::find_if(list_.rbegin(), list_.rend(), can_be_packed);
    if (found == list_.rend()) return std::nullopt;
    found->is_being_packed = true;
    return name_of(*found, false);
}

std::vector<std::string> Archives::on_packed(std::string_view plain_name,
                                             std::optional<std::uint64_t> packed_bytes) {
    const auto found = std::find_if(list_.begin(), list_.end(), [&](const Archive& archive) {
        return name_of(archive, false) == plain_name;
    });
    if (found == list_.end()) return {};
    found->is_being_packed = false;
    if (packed_bytes) {
        found->has_plain = false;
        found->has_packed = true;
        found->bytes = *packed_bytes;
        for (Archive& archive : list_) archive.has_failed = false;
    } else {
        found->has_failed = true;
    }
    if (!found->is_excess) return {};
    found->has_packed = true;  // whatever the packer left
    std::vector<std::string> files = files_of(*found);
    list_.erase(found);
    return files;
}

std::string Archives::name_of(const Archive& archive, bool is_packed) const {
    const ArchiveName name{.log = log_,
                           .number = archive.number,
                           .rotated_s = archive.rotated_s,
                           .is_packed = is_packed};
    return name.text();
}

std::vector<std::string> Archives::files_of(const Archive& archive) const {
    std::vector<std::string> files;
    if (archive.has_plain) files.push_back(name_of(archive, false));
    if (archive.has_packed) files.push_back(name_of(archive, true));
    return files;
}

}  // namespace cluster::capture
