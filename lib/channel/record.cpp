#include "channel/record.hpp"

#include <algorithm>

#include "base/assert.hpp"
#include "channel/outlet.hpp"

namespace cluster::channel {
namespace {

constexpr std::uint64_t kPage = 4096;
/// Behind the longest line, so that it and the beginning of the next are read at once.
constexpr std::uint64_t kReadAhead = std::uint64_t{64} << 10U;
/// Rings of a broken predecessor are not believed beyond it.
constexpr std::uint64_t kMaxRing = std::uint64_t{4} << 30U;

std::uint64_t whole_pages(std::uint64_t bytes) {
    return (bytes + kPage - 1) / kPage * kPage;
}
std::uint64_t in_size(const Sizes& sizes) {
    return whole_pages(sizes.max_line + kReadAhead);
}
std::uint64_t out_size(const Sizes& sizes) {
    return whole_pages(sizes.max_queue);
}

bool is_ring(std::uint64_t begin, std::uint64_t end, std::uint64_t size) {
    return begin <= end && end - begin <= size;
}

bool has_valid_tables(const Record& record) {
    if (record.status_size > kMaxStatusText) return false;
    if (record.cut_off > static_cast<std::uint32_t>(CutOff::no_memory)) return false;
    for (const ClusterPlace& entry : record.cluster_places) {
        if (entry.is_used > 2) return false;
    }
    for (const Subscription& entry : record.subscriptions) {
        if (entry.is_used > 1 || entry.size > kMaxTopic) return false;
    }
    if (record.next_sequence == 0) return true;  // no request: its pages were never touched
    for (const Pending& entry : record.pending) {
        if (entry.is_used > 1 || entry.id_size > kMaxId) return false;
    }
    return true;
}

}  // namespace

Told told_by(const Record& record) {
    Told told{.counts = record.counts,
              .said_ready = record.said_ready,
              .heartbeat_ns = record.heartbeat_ns,
              .status_size = record.status_size,
              .status = {}};
    std::copy_n(record.status, kMaxStatusText, told.status.begin());
    return told;
}

void tell(Record& record, const Told& told) {
    record.counts = told.counts;
    record.said_ready = told.said_ready;
    record.heartbeat_ns = told.heartbeat_ns;
    std::copy_n(told.status.begin(), kMaxStatusText, record.status);
    publish(record.status_size, told.status_size);
}

Memory::Memory(std::span<std::byte> bytes)
    : record_(reinterpret_cast<Record*>(bytes.data())),
      in_(bytes.subspan(sizeof(Record), record_->in_bytes)),
      out_(bytes.subspan(sizeof(Record) + record_->in_bytes, record_->out_bytes)) {}

std::uint64_t Memory::size_for(const Sizes& sizes) {
    return sizeof(Record) + in_size(sizes) + out_size(sizes);
}

Memory Memory::make(std::span<std::byte> bytes, const Sizes& sizes) {
    CLUSTER_ASSERT(bytes.size() == size_for(sizes));
    Record& record = *reinterpret_cast<Record*>(bytes.data());
    record.version = kRecordVersion;
    record.record_bytes = sizeof(Record);
    record.max_line = sizes.max_line;
    record.in_bytes = in_size(sizes);
    record.out_bytes = out_size(sizes);
    publish(record.magic, kRecordMagic);
    return Memory{bytes};
}

std::optional<Memory> Memory::attach(std::span<std::byte> bytes) {
    if (bytes.size() < sizeof(Record)) return std::nullopt;
    Record& record = *reinterpret_cast<Record*>(bytes.data());
    const bool is_ours = record.magic == kRecordMagic && record.version == kRecordVersion &&
                         record.record_bytes == sizeof(Record);
    if (!is_ours || record.in_bytes == 0 || record.in_bytes > kMaxRing || record.out_bytes == 0 ||
        record.out_bytes > kMaxRing || record.max_line >= record.in_bytes ||
        bytes.size() != sizeof(Record) + record.in_bytes + record.out_bytes) {
        return std::nullopt;
    }
    // A call that came back and whose result its caller did not live to take note of.
    publish(record.in_received,
            std::max(record.in_received, record.receiving.base + record.receiving.bytes));
    // A jump to the beginning of a ring (intake.cpp, outlet.cpp) moves what is read from first.
    publish(record.in_received, std::max(record.in_received, record.in_done));
    publish(record.out_queued, std::max(record.out_queued, record.out_sent));
    const bool is_sane = is_ring(record.in_done, record.in_received, record.in_bytes) &&
                         is_ring(record.out_sent, record.out_queued, record.out_bytes) &&
                         has_valid_tables(record);
    if (!is_sane) return std::nullopt;
    Memory memory{bytes};
    settle_sent(memory);
    settle_carried(memory);
    return memory;
}

Pieces pieces(std::span<std::byte> ring, std::uint64_t begin, std::uint64_t end) {
    const std::size_t size = end - begin;
    const std::size_t place = begin % ring.size();
    const std::size_t first = std::min(size, ring.size() - place);
    return {ring.subspan(place, first), ring.subspan(0, size - first)};
}

}  // namespace cluster::channel
