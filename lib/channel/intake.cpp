#include "channel/intake.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace cluster::channel {
namespace {

std::string_view view_of(std::span<const std::byte> bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

Pieces Intake::room(std::size_t limit) {
    Record& record = memory_.record();
    const std::uint64_t size = memory_.in().size();
    publish(record.line_end, 0);
    joined_.clear();
    joined_.shrink_to_fit();
    if (record.in_done == record.in_received && record.in_done % size != 0) {
        // Back to the beginning, so that a channel of short lines never touches more than a page.
        const std::uint64_t beginning = (record.in_done / size + 1) * size;
        publish(record.in_done, beginning);
        publish(record.in_received, beginning);
        searched_ = beginning;
    }
    const std::uint64_t used = record.in_received - record.in_done;
    const std::uint64_t free = std::min<std::uint64_t>(size - used, limit);
    publish(record.receiving.bytes, 0);
    publish(record.receiving.base, record.in_received);
    return pieces(memory_.in(), record.in_received, record.in_received + free);
}

void Intake::on_received() {
    Record& record = memory_.record();
    const std::uint64_t size = memory_.in().size();
    publish(record.in_received, record.receiving.base + record.receiving.bytes);
    const std::uint64_t begin = record.receiving.base % size;
    high_water_ =
        std::max(high_water_, std::min<std::uint64_t>(begin + record.receiving.bytes, size));
}

bool Intake::is_empty() const {
    return memory_.record().in_done == memory_.record().in_received;
}

std::uint64_t Intake::begin_of_next() const {
    return kept_ != 0 ? kept_end_ : memory_.record().in_done;
}

/// The place of the next newline, searched for in bytes that were not looked at before.
std::optional<std::uint64_t> Intake::find_newline() {
    if (newline_) return newline_;
    const Pieces rest = pieces(memory_.in(), searched_, memory_.record().in_received);
    for (const std::span<std::byte> piece : {rest.first, rest.second}) {
        if (piece.empty()) continue;
        const void* const found = std::memchr(piece.data(), '\n', piece.size());
        if (found != nullptr) {
            newline_ = searched_ + static_cast<std::uint64_t>(
                                       static_cast<const std::byte*>(found) - piece.data());
            searched_ = *newline_ + 1;
            return newline_;
        }
        searched_ += piece.size();
    }
    return std::nullopt;
}

std::string_view Intake::text(std::uint64_t begin, std::uint64_t end) {
    const Pieces line = pieces(memory_.in(), begin, end);
    if (line.second.empty()) return view_of(line.first);
    joined_ = view_of(line.first);
    joined_ += view_of(line.second);
    return joined_;
}

std::optional<std::string_view> Intake::peek_line() {
    constexpr std::uint64_t kUnknownEnd = ~std::uint64_t{0};
    Record& record = memory_.record();
    while (true) {
        const std::uint64_t begin = begin_of_next();
        const std::optional<std::uint64_t> newline = find_newline();
        const std::uint64_t length = (newline ? *newline : record.in_received) - begin;
        bool is_skipped = begin < record.skip_until;
        if (!is_skipped && length > record.max_line) {
            if (kept_ != 0) return std::nullopt;
            ++record.counts.too_long;
            publish(record.skip_until, kUnknownEnd);
            is_skipped = true;
        }
        if (!is_skipped && !newline) return std::nullopt;
        if (!newline) {
            publish(record.in_done, record.in_received);
            return std::nullopt;
        }
        if (!is_skipped) return text(begin, *newline);
        publish(record.skip_until, *newline + 1);
        publish(record.in_done, *newline + 1);
        newline_.reset();
    }
}

void Intake::take_line() {
    Record& record = memory_.record();
    const std::uint64_t end = *newline_ + 1;
    publish(record.line_begin, record.in_done);
    publish(record.line_queued, record.out_queued);
    publish(record.line_end, end);
    publish(record.in_done, end);
    ++record.counts.received;
    newline_.reset();
}

std::optional<std::string_view> Intake::next_line() {
    const auto line = peek_line();
    if (line) take_line();
    return line;
}

void Intake::keep_line() {
    kept_end_ = *newline_ + 1;
    ++kept_;
    newline_.reset();
}

StoreAttempt& Intake::begin_sum() {
    Sum& sum = memory_.record().sum;
    publish(sum.attempt.front(), 0);
    publish(sum.end, kept_end_);
    return sum.attempt;
}

void Intake::end_sum() {
    Record& record = memory_.record();
    publish(record.in_done, kept_end_);
    publish(record.sum.end, 0);
    record.counts.received += std::exchange(kept_, 0);
}

std::size_t Intake::forget_kept() {
    Record& record = memory_.record();
    publish(record.sum.end, 0);
    searched_ = record.in_done;
    newline_.reset();
    return std::exchange(kept_, 0);
}

StoreAttempt* Intake::sum_cut_off() {
    Record& record = memory_.record();
    const bool is_there = record.sum.end > record.in_done && record.sum.end <= record.in_received;
    return is_there ? &record.sum.attempt : nullptr;
}

void Intake::settle_sum(bool was_made) {
    Record& record = memory_.record();
    const std::uint64_t end = record.sum.end;
    while (was_made && begin_of_next() < end && peek_line()) keep_line();
    if (kept_ == 0) return publish(record.sum.end, 0);
    end_sum();
}

void Intake::on_end() {
    Record& record = memory_.record();
    if (!is_empty() || record.in_done < record.skip_until) ++record.counts.unfinished;
    publish(record.in_done, record.in_received);
    searched_ = record.in_received;
}

std::optional<std::string_view> Intake::line_cut_off() {
    const Record& record = memory_.record();
    const std::uint64_t size = record.line_end - record.line_begin;
    const bool is_last = record.line_end == record.in_done && record.line_begin < record.line_end;
    if (!is_last || size > record.max_line + 1 || record.line_queued != record.out_queued) {
        return std::nullopt;
    }
    return text(record.line_begin, record.line_end - 1);
}

}  // namespace cluster::channel
