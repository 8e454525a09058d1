#include "core/selector.hpp"

#include <algorithm>
#include <cstddef>
#include <optional>

#include "core/spec.hpp"

namespace cluster::core {

namespace {

bool is_name_character(char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
}

struct SetMatch {
    std::size_t length;  // of the set in the pattern, brackets included
    bool is_match;
};

/// The set that starts with '[' at `pattern[0]`; none when it is never closed and so stands for
/// itself. As in a shell, a ']' right behind the opening is a member.
std::optional<SetMatch> match_set(std::string_view pattern, char c) {
    std::size_t at = 1;
    const bool is_negated = at < pattern.size() && pattern[at] == '!';
    if (is_negated) ++at;
    const std::size_t first = at;
    bool is_member = false;
    while (at < pattern.size() && (pattern[at] != ']' || at == first)) {
        const char low = pattern[at];
        char high = low;
        if (at + 2 < pattern.size() && pattern[at + 1] == '-' && pattern[at + 2] != ']') {
            high = pattern[at + 2];
            at += 2;
        }
        is_member = is_member || (low <= c && c <= high);
        ++at;
    }
    if (at >= pattern.size()) return std::nullopt;
    return SetMatch{at + 1, is_member != is_negated};
}

/// How many characters of the pattern match `c`; 0: it does not match. Not for '*'.
std::size_t match_one(std::string_view pattern, char c) {
    if (pattern.front() == '?') return 1;
    if (pattern.front() == '[') {
        if (const std::optional<SetMatch> set = match_set(pattern, c)) {
            return set->is_match ? set->length : 0;
        }
    }
    return pattern.front() == c ? 1 : 0;
}

}  // namespace

bool is_valid_worker_name(std::string_view name) {
    return !name.empty() && name.size() <= kMaxNameLength && name != "all" &&
           std::all_of(name.begin(), name.end(), is_name_character);
}

bool is_valid_group_name(std::string_view name) {
    return is_valid_worker_name(name);
}

std::string instance_id(std::string_view worker, std::uint32_t number) {
    std::string id{worker};
    id += '.';
    id += std::to_string(number);
    return id;
}

bool selects(std::string_view selector, std::string_view worker, std::uint32_t number,
             std::string_view group) {
    if (selector == "all") return true;
    if (!selector.empty() && selector.front() == '@') {
        return !group.empty() && matches_glob(selector.substr(1), group);
    }
    return matches_glob(selector, worker) || matches_glob(selector, instance_id(worker, number));
}

bool matches_glob(std::string_view pattern, std::string_view text) {
    // Only the last star needs to be taken back: an earlier one has already matched as little as it
    // can.
    std::size_t p = 0;
    std::size_t t = 0;
    std::optional<std::size_t> star;
    std::size_t star_text = 0;
    while (t < text.size()) {
        if (p < pattern.size() && pattern[p] == '*') {
            star = p++;
            star_text = t;
            continue;
        }
        const std::size_t used = p < pattern.size() ? match_one(pattern.substr(p), text[t]) : 0;
        if (used > 0) {
            p += used;
            ++t;
        } else if (star) {
            p = *star + 1;
            t = ++star_text;
        } else {
            return false;
        }
    }
    while (p < pattern.size() && pattern[p] == '*') ++p;
    return p == pattern.size();
}

}  // namespace cluster::core
