// All that a worker has sent, line by line: what can be is added up.

#include <optional>
#include <utility>

#include "channel/router.hpp"

namespace cluster::channel {

/// Whoever watches messages sees them when they are applied.
std::optional<Addition> Router::addition_of(const Reading& reading) const {
    if (reading.from == nullptr || world_.is_observed()) return std::nullopt;
    if (reading.known != nullptr) return addition_by(spec_.rules, *reading.known);
    return reading.is_application() ? addition_by(spec_.rules, json_) : std::nullopt;
}

std::size_t Router::on_lines(Run from, Intake& intake, Instant now) {
    std::size_t count = 0;
    std::optional<Addition> sum;       // of the lines that are kept
    std::optional<Addition> addition;  // of the line before
    bool is_known = false;             // that one is what a repeated line repeats
    while (true) {
        const auto line = intake.peek_line();
        if (!line && !sum) return count;
        if (line) {
            const Reading reading = read(from, *line);
            if (reading.known == nullptr || !is_known) addition = addition_of(reading);
            is_known = reading.known != nullptr || addition;
            if (addition && (!sum || sum->add(*addition))) {
                if (!sum) sum = addition;
                intake.keep_line();
                ++count;
                continue;
            }
            if (!sum) {
                intake.take_line();
                apply(reading, *line, now);
                ++count;
                continue;
            }
        }
        // The line is looked at again when what stands before it is done.
        store_sum(from, intake, *std::exchange(sum, {}), now);
        is_known = false;
    }
}

/// Where the store refuses it each line is applied by itself, as far as that goes.
void Router::store_sum(Run from, Intake& intake, const Addition& sum, Instant now) {
    StoreDoor* const store = world_.store_of(from);
    if (store != nullptr && store->increment(sum.key, sum.by, intake.begin_sum())) {
        intake.end_sum();
        return;
    }
    for (std::size_t left = intake.forget_kept(); left > 0; --left) {
        if (const auto line = intake.next_line()) on_line(from, *line, now);
    }
}

void Router::settle_sum(Run from, Intake& intake) {
    StoreAttempt* const attempt = intake.sum_cut_off();
    if (attempt == nullptr) return;
    StoreDoor* const store = world_.store_of(from);
    // At most once, where nobody can tell any more.
    intake.settle_sum(store == nullptr || store->may_have_made(*attempt));
}

}  // namespace cluster::channel
