// Edit distance over folded names, and how near is near enough.
#include "conf/nearest.hpp"

#include <algorithm>

#include "conf/report.hpp"

namespace cluster::conf {
namespace {

/// Longer names are no typing mistakes, and the table grows with the product of the lengths.
constexpr std::size_t kMaxLength = 64;

std::string folded(std::string_view text) {
    std::string result(text);
    for (char& c : result) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
        if (c == '-') c = '_';
    }
    return result;
}

}  // namespace

std::size_t edit_distance(std::string_view a, std::string_view b) {
    // Three rows of the table: a swap of neighbours looks two rows back.
    std::vector<std::size_t> before(b.size() + 1);
    std::vector<std::size_t> last(b.size() + 1);
    std::vector<std::size_t> row(b.size() + 1);
    for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
        std::swap(before, last);
        std::swap(last, row);
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t change = a[i - 1] == b[j - 1] ? 0 : 1;
            row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + change});
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                row[j] = std::min(row[j], before[j - 2] + 1);
            }
        }
    }
    return row[b.size()];
}

std::optional<std::string_view> nearest(std::string_view name,
                                        const std::vector<std::string_view>& candidates) {
    if (name.empty() || name.size() > kMaxLength) return std::nullopt;
    const std::string wanted = folded(name);
    std::optional<std::string_view> best;
    std::size_t best_distance = 0;
    for (const std::string_view candidate : candidates) {
        if (candidate.size() > kMaxLength) continue;
        const std::size_t distance = edit_distance(wanted, folded(candidate));
        const std::size_t forgiven = std::max(wanted.size(), candidate.size()) / 3;
        if (distance <= forgiven && (!best || distance < best_distance)) {
            best = candidate;
            best_distance = distance;
        }
    }
    return best;
}

std::string suggestion(std::string_view name, const std::vector<std::string_view>& candidates) {
    const std::optional<std::string_view> candidate = nearest(name, candidates);
    return candidate ? " (did you mean " + in_quotes(*candidate) + "?)" : "";
}

}  // namespace cluster::conf
