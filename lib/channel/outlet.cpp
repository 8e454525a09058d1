#include "channel/outlet.hpp"

#include <algorithm>
#include <cstring>
#include <iterator>

#include "base/assert.hpp"

namespace cluster::channel {
namespace {

/// {"cluster":"dropped","count":4294967295} and its newline.
constexpr std::size_t kNoticeRoom = 64;
/// What a worker's own IPC layer waits for.
constexpr std::string_view kInternal = "{\"cmd\":\"NODE_";

std::string_view view_of(std::span<const std::byte> bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// Behind the first newline in [begin, end); `end` when there is none.
std::uint64_t behind_newline(std::span<std::byte> ring, std::uint64_t begin, std::uint64_t end) {
    const Pieces rest = pieces(ring, begin, end);
    std::uint64_t at = begin;
    for (const std::span<std::byte> piece : {rest.first, rest.second}) {
        const std::size_t found = view_of(piece).find('\n');
        if (found != std::string_view::npos) return at + found + 1;
        at += piece.size();
    }
    return end;
}

/// Behind the last newline in [begin, end); `begin` when there is none.
std::uint64_t behind_last_newline(std::span<std::byte> ring, std::uint64_t begin,
                                  std::uint64_t end) {
    const Pieces rest = pieces(ring, begin, end);
    const std::size_t second = view_of(rest.second).rfind('\n');
    if (second != std::string_view::npos) return begin + rest.first.size() + second + 1;
    const std::size_t first = view_of(rest.first).rfind('\n');
    return first == std::string_view::npos ? begin : begin + first + 1;
}

bool is_queued(const Record& record, const Carried& entry) {
    return entry.descriptor != 0 && entry.begin >= record.out_sent &&
           entry.begin < record.out_queued;
}

bool is_free(const Record& record, const Carried& entry) {
    return entry.descriptor == 0 || entry.begin < record.out_sent;
}

/// Of the queued lines with descriptors the one that is next; null: there is none.
const Carried* first_carried(const Record& record) {
    const Carried* first = nullptr;
    for (const Carried& entry : record.carried) {
        if (!is_queued(record, entry)) continue;
        if (first == nullptr || entry.begin < first->begin) first = &entry;
    }
    return first;
}

/// Requires: there is a free place.
void note_carried(Record& record, std::uint64_t begin, std::uint64_t descriptor) {
    for (Carried& entry : record.carried) {
        if (!is_free(record, entry)) continue;
        publish(entry.descriptor, 0);
        publish(entry.begin, begin);
        publish(entry.descriptor, descriptor);
        return;
    }
    CLUSTER_ASSERT(false);
}

}  // namespace

void settle_carried(const Memory& memory) {
    Record& record = memory.record();
    for (Carried& entry : record.carried) {
        if (entry.descriptor != 0 && !is_queued(record, entry)) publish(entry.descriptor, 0);
    }
}

void settle_sent(const Memory& memory) {
    Record& record = memory.record();
    const std::uint64_t sent = record.sending.base + record.sending.bytes;
    if (record.sending.bytes == 0 || sent <= record.out_sent || sent > record.out_queued) return;
    const std::span<std::byte> ring = memory.out();
    const bool is_line_end = ring[(sent - 1) % ring.size()] == std::byte{'\n'};
    publish(record.partial_end, is_line_end ? 0 : behind_newline(ring, sent, record.out_queued));
    publish(record.out_sent, sent);
}

Outlet::Outlet(const Memory& memory, core::SlowReader policy) : memory_(memory), policy_(policy) {
    // A predecessor may have emptied the queue and not lived to tell what is missing from it.
    if (is_empty()) append_notice();
}

bool Outlet::is_empty() const {
    return memory_.record().out_sent == memory_.record().out_queued;
}

std::uint64_t Outlet::free() const {
    const Record& record = memory_.record();
    return memory_.out().size() - (record.out_queued - record.out_sent);
}

bool Outlet::is_partial() const {
    return memory_.record().out_sent < memory_.record().partial_end;
}

std::uint64_t Outlet::line_end(std::uint64_t begin) const {
    return behind_newline(memory_.out(), begin, memory_.record().out_queued);
}

bool Outlet::can_carry() const {
    const Record& record = memory_.record();
    return std::any_of(std::begin(record.carried), std::end(record.carried),
                       [&](const Carried& entry) { return is_free(record, entry); });
}

Outlet::Pushed Outlet::push(std::string_view line, std::uint64_t descriptor) {
    CLUSTER_ASSERT(!line.empty() && line.back() == '\n');
    Record& record = memory_.record();
    const bool is_unfit = descriptor != 0 && (line.size() > kChunk || !can_carry());
    if (is_unfit || line.size() + kNoticeRoom > memory_.out().size()) {
        ++record.counts.undeliverable;
        return Pushed::refused;
    }
    Kept own;
    if (descriptor != 0) own.carried.emplace_back(0, descriptor);
    if (free() >= line.size() + (record.notice_count > 0 ? kNoticeRoom : 0)) {
        append_notice();
        append(line, own);
        ++record.counts.sent;
        return Pushed::queued;
    }
    if (policy_ == core::SlowReader::disconnect) return Pushed::overflow;
    Kept kept;
    while (!is_partial() && !is_empty() && free() < line.size() + kept.text.size() + kNoticeRoom) {
        drop_oldest(kept);
    }
    const bool has_room = free() >= line.size() + kept.text.size() + kNoticeRoom;
    if (!has_room) {
        ++record.counts.dropped;
        ++record.notice_count;
    }
    if (!kept.text.empty()) append(kept.text, kept);
    append_notice();
    if (!has_room) return Pushed::refused;
    append(line, own);
    ++record.counts.sent;
    return Pushed::dropped;
}

void Outlet::discard() {
    Record& record = memory_.record();
    const Pieces waiting = pieces(memory_.out(), record.out_sent, record.out_queued);
    for (const std::span<std::byte> piece : {waiting.first, waiting.second}) {
        record.counts.dropped += static_cast<std::uint64_t>(
            std::count(piece.begin(), piece.end(), std::byte{'\n'}));
    }
    publish(record.out_sent, record.out_queued);
}

void Outlet::drop_oldest(Kept& kept) {
    Record& record = memory_.record();
    const std::uint64_t end = line_end(record.out_sent);
    const Pieces line = pieces(memory_.out(), record.out_sent, end);
    std::string start{view_of(line.first).substr(0, kInternal.size())};
    start += view_of(line.second).substr(0, kInternal.size() - start.size());
    if (record.notice_value != 0 && record.notice_end == end) {
        record.notice_count += record.notice_value;
        publish(record.notice_value, 0);
    } else if (start == kInternal) {
        if (const std::uint64_t descriptor = next_descriptor()) {
            kept.carried.emplace_back(kept.text.size(), descriptor);
        }
        kept.text += view_of(line.first);
        kept.text += view_of(line.second);
    } else {
        ++record.counts.dropped;
        ++record.notice_count;
    }
    publish(record.out_sent, end);
}

/// Requires: there is room.
void Outlet::append(std::string_view line, const Kept& carried) {
    Record& record = memory_.record();
    const std::uint64_t size = memory_.out().size();
    if (is_empty() && record.out_sent % size != 0) {
        const std::uint64_t beginning = (record.out_sent / size + 1) * size;
        publish(record.out_sent, beginning);
        publish(record.out_queued, beginning);
    }
    const std::uint64_t end = record.out_queued + line.size();
    const Pieces place = pieces(memory_.out(), record.out_queued, end);
    std::memcpy(place.first.data(), line.data(), place.first.size());
    if (!place.second.empty()) {
        std::memcpy(place.second.data(), line.data() + place.first.size(), place.second.size());
    }
    high_water_ =
        std::max(high_water_, place.second.empty() ? record.out_queued % size + line.size() : size);
    // First: a line without its descriptor would be one that Node.js cannot understand.
    for (const auto& [offset, descriptor] : carried.carried) {
        note_carried(record, record.out_queued + offset, descriptor);
    }
    publish(record.out_queued, end);
}

/// One at a time is in the queue, so that a worker that never reads is not sent notices alone.
void Outlet::append_notice() {
    Record& record = memory_.record();
    const bool is_queued = record.notice_value != 0 && record.out_sent < record.notice_end;
    if (record.notice_count == 0 || is_queued || free() < kNoticeRoom) return;
    const std::uint32_t count = record.notice_count;
    std::string line = "{\"cluster\":\"dropped\",\"count\":";
    line += std::to_string(count);
    line += "}\n";
    publish(record.notice_value, 0);
    append(line);
    publish(record.notice_end, record.out_queued);
    publish(record.notice_value, count);
    publish(record.notice_count, record.notice_count - count);
}

Pieces Outlet::next_chunk() {
    Record& record = memory_.record();
    const std::uint64_t begin = record.out_sent;
    std::uint64_t end = std::min(record.out_queued, begin + kChunk);
    const Carried* const carried = first_carried(record);
    if (carried != nullptr && carried->begin > begin) end = std::min(end, carried->begin);
    if (carried != nullptr && carried->begin == begin) {
        end = line_end(begin);
    } else if (is_partial()) {
        end = record.partial_end;
    } else if (const std::uint64_t whole = behind_last_newline(memory_.out(), begin, end);
               whole > begin) {
        end = whole;
    } else {
        end = line_end(begin);
    }
    publish(record.sending.bytes, 0);
    publish(record.sending.base, begin);
    return pieces(memory_.out(), begin, end);
}

std::uint64_t Outlet::next_descriptor() const {
    const Record& record = memory_.record();
    const Carried* const carried = first_carried(record);
    return carried != nullptr && carried->begin == record.out_sent ? carried->descriptor : 0;
}

void Outlet::skip_chunk() {
    CLUSTER_ASSERT(next_descriptor() != 0);
    ++memory_.record().counts.undeliverable;
    publish(memory_.record().out_sent, line_end(memory_.record().out_sent));
    if (is_empty()) append_notice();
}

void Outlet::on_sent() {
    settle_sent(memory_);
    if (is_empty()) append_notice();
}

}  // namespace cluster::channel
