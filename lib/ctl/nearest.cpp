#include "ctl/nearest.hpp"

#include <algorithm>
#include <numeric>
#include <vector>

namespace cluster::ctl {
namespace {

/// Names come from strangers: the table below grows with both lengths, so longer ones are not
/// compared.
constexpr std::size_t kMaxComparedBytes = 128;

/// Edits that turn `a` into `b`: insert, remove or replace a character, or swap two neighbours (the
/// commonest slip of all). Source: optimal string alignment, as in R. Lowrance and R. Wagner, JACM
/// 22(2), 1975, without its long-range swaps.
std::size_t edit_distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> before(b.size() + 1);
    std::vector<std::size_t> last(b.size() + 1);
    std::vector<std::size_t> row(b.size() + 1);
    std::iota(last.begin(), last.end(), std::size_t{0});
    for (std::size_t i = 1; i <= a.size(); ++i) {
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t replaced = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
            row[j] = std::min({replaced, row[j - 1] + 1, last[j] + 1});
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                row[j] = std::min(row[j], before[j - 2] + 1);
            }
        }
        std::swap(before, last);
        std::swap(last, row);
    }
    return last[b.size()];
}

}  // namespace

std::string_view nearest(std::string_view name, std::span<const std::string_view> candidates) {
    if (name.size() > kMaxComparedBytes) return {};
    std::string_view best;
    std::size_t best_distance = kMaxComparedBytes;
    for (const std::string_view candidate : candidates) {
        const std::size_t distance = edit_distance(name, candidate);
        const std::size_t longer = std::max(name.size(), candidate.size());
        if (distance < best_distance && distance <= std::max<std::size_t>(1, longer / 3)) {
            best = candidate;
            best_distance = distance;
        }
    }
    return best;
}

std::string suggestion(std::string_view name, std::span<const std::string_view> candidates) {
    const std::string_view best = nearest(name, candidates);
    if (best.empty()) return {};
    return "; did you mean \"" + std::string(best) + "\"?";
}

}  // namespace cluster::ctl
