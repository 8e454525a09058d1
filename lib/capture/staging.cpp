#include "capture/staging.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <span>
#include <utility>

#include "sys/failpoint.hpp"
#include "sys/file.hpp"

namespace cluster::capture {
namespace {

constexpr std::uint64_t kMagic = 0x3145474154534C43;  // "CLSTAGE1" in memory
constexpr std::uint64_t kHeaderBytes = 4096;
constexpr std::size_t kHalfDistance = 128;
/// Given back at once: fewer calls for a flood, and no more than this kept for an idle worker.
constexpr std::uint64_t kTrimBytes = std::uint64_t{64} << 10U;
constexpr std::uint64_t kPage = 4096;
/// No line can be so long; what claims to be longer is no record of ours.
constexpr std::uint64_t kMaxBatchBytes = std::uint64_t{4} << 20U;
/// Where a log is full, a line that is so long already is cut.
constexpr std::uint64_t kLongestEnd = std::uint64_t{64} << 10U;

struct Half {
    std::uint64_t sequence;
    std::uint64_t checksum;
    StageRecord record;
};
static_assert(sizeof(Half) == 96 && sizeof(Half) <= kHalfDistance);

std::uint64_t checksum_of(std::uint64_t sequence, const StageRecord& record) {
    std::uint64_t words[sizeof(StageRecord) / 8];
    std::memcpy(words, &record, sizeof record);
    std::uint64_t hash = 0xCBF29CE484222325U;
    const auto mix = [&hash](std::uint64_t word) { hash = (hash ^ word) * 0x100000001B3U; };
    mix(sequence);
    for (const std::uint64_t word : words) mix(word);
    return hash;
}

/// The half at `index`; sequence 0 when it does not count.
Half read_half(const sys::Mapping& header, std::size_t index) {
    Half half;
    std::memcpy(&half, header.as<const std::byte>() + index * kHalfDistance, sizeof half);
    if (half.checksum != checksum_of(half.sequence, half.record)) half.sequence = 0;
    return half;
}

}  // namespace

Result<Staging> Staging::create() {
    auto file = sys::open_memory_file("clusterd-staging", kHeaderBytes);
    if (!file) return tl::unexpected(file.error());
    auto header = sys::map_shared(file->get(), kHeaderBytes, true);
    if (!header) return tl::unexpected(header.error());
    Staging staging{std::move(*file), std::move(*header), kHeaderBytes};
    staging.record_.magic = kMagic;
    staging.record_.done = staging.record_.batch_end = kHeaderBytes;
    staging.store();
    return staging;
}

Result<Staging> Staging::attach(sys::UniqueFd file) {
    const auto size = sys::file_size(file.get());
    if (!size) return tl::unexpected(size.error());
    if (*size < kHeaderBytes) return fail(Op::map, EPROTO);
    auto header = sys::map_shared(file.get(), kHeaderBytes, true);
    if (!header) return tl::unexpected(header.error());
    Staging staging{std::move(file), std::move(*header), *size};
    staging.load();
    const StageRecord& record = staging.record_;
    const bool is_ours = staging.sequence_ != 0 && record.magic == kMagic;
    const bool is_whole = is_ours && record.done >= kHeaderBytes &&
                          record.done <= record.batch_end && record.batch_end <= *size &&
                          record.batch_end - record.done <= kMaxBatchBytes;
    if (!is_whole) return fail(Op::map, EPROTO);
    return staging;
}

Staging::Staging(sys::UniqueFd file, sys::Mapping header, std::uint64_t size)
    : file_(std::move(file)), header_(std::move(header)), size_(size), trimmed_(kHeaderBytes) {}

LineFormat Staging::format() const {
    return {.has_stamps = record_.has_stamps != 0,
            .is_shared = record_.is_shared != 0,
            .max_line = record_.max_line};
}

void Staging::load() {
    const Half first = read_half(header_, 0);
    const Half second = read_half(header_, 1);
    const Half& newer = first.sequence > second.sequence ? first : second;
    sequence_ = newer.sequence;
    record_ = newer.record;
}

void Staging::store() {
    Half half{.sequence = ++sequence_, .checksum = 0, .record = record_};
    half.checksum = checksum_of(half.sequence, half.record);
    // Into the half that does not count now. A kill keeps program order, so keeping the compiler
    // from moving the stores is enough.
    std::byte* place = header_.as<std::byte>() + (sequence_ % 2) * kHalfDistance;
    std::atomic_signal_fence(std::memory_order_seq_cst);
    std::memcpy(place, &half, sizeof half);
    std::atomic_signal_fence(std::memory_order_seq_cst);
}

Result<std::string> Staging::read(std::uint64_t begin, std::uint64_t end) const {
    std::string bytes(static_cast<std::size_t>(end - begin), '\0');
    for (std::size_t done = 0; done < bytes.size();) {
        const auto rest = std::as_writable_bytes(std::span(bytes)).subspan(done);
        const auto count = sys::read_at(file_.get(), rest, begin + done);
        if (!count) return tl::unexpected(count.error());
        if (*count == 0) return fail(Op::read, EIO);
        done += *count;
    }
    return bytes;
}

Result<std::size_t> Staging::take(int pipe, std::size_t limit) {
    auto offset = static_cast<std::int64_t>(size_);
    const auto moved = sys::splice_to_file(pipe, file_.get(), &offset, limit);
    sys::pass(Failpoint::lines_staged);
    if (moved) size_ += *moved;
    return moved;
}

Status Staging::recover(LogFile& log, const std::vector<std::string>& former) {
    if (record_.batch_end == record_.done) return {};
    const auto waiting = read(record_.done, record_.batch_end);
    if (!waiting) return tl::unexpected(waiting.error());
    const auto is_meant = [this](const Result<sys::FileInfo>& info) {
        return info && info->inode == record_.log_inode && info->size >= record_.log_offset;
    };
    if (is_meant(sys::file_info(log.descriptor()))) return write(log, *waiting);
    for (const std::string& path : former) {
        if (!is_meant(sys::file_info(path))) continue;
        auto other = LogFile::open(path);
        if (other) return write(*other, *waiting);
    }
    // It was moved or emptied while nobody looked.
    const auto size = log.size();
    if (!size) return tl::unexpected(size.error());
    record_.ends_foreign_line = log.is_at_line_start(*size) ? 0 : 1;
    record_.line_bytes = 0;
    record_.log_inode = log.inode();
    record_.log_offset = *size;
    store();
    return write(log, *waiting);
}

Result<Staging::Wrote> Staging::write_batch(LogFile& log, const LineFormat& format,
                                            std::int64_t now_ms, bool takes_partial) {
    if (waiting() == 0) return Wrote::all;
    const auto size = log.size();
    if (!size) return tl::unexpected(size.error());
    // Our last line is open only if nothing was written behind it.
    const bool is_ours = log.inode() == record_.log_inode && *size == record_.log_offset;
    const std::uint64_t line_bytes = is_ours ? record_.line_bytes : 0;
    const bool is_foreign_open = !is_ours && !log.is_at_line_start(*size);
    const bool is_over = *size >= log.limit();
    // The length of the line counts, not how far the log is over: a single batch may go that far.
    const bool is_cut = is_over && line_bytes >= kLongestEnd;
    if (is_over && (line_bytes == 0 || is_cut)) return Wrote::full;

    const std::uint64_t most =
        std::min(kBatchBytes + (format.is_shared ? format.max_line : 0), kMaxBatchBytes);
    const std::uint64_t end = std::min(size_, record_.done + most);
    auto bytes = read(record_.done, end);
    if (!bytes) return tl::unexpected(bytes.error());
    std::size_t count = batch_size(*bytes, format, takes_partial);
    if (count == 0) return Wrote::partial;
    const std::uint64_t room = log.limit() - std::min(log.limit(), *size);
    count = size_until_full(std::string_view(*bytes).substr(0, count), format, room);
    bytes->resize(count);

    record_.batch_end = record_.done + count;
    record_.log_inode = log.inode();
    record_.log_offset = *size;
    record_.stamp_ms = now_ms;
    record_.line_bytes = line_bytes;
    record_.max_line = format.max_line;
    record_.has_stamps = format.has_stamps ? 1 : 0;
    record_.is_shared = format.is_shared ? 1 : 0;
    record_.ends_foreign_line = is_foreign_open ? 1 : 0;
    store();
    if (const auto written = write(log, *bytes); !written) return tl::unexpected(written.error());
    return waiting() == 0 ? Wrote::all : Wrote::some;
}

/// Writes the batch of the record. Requires: the record is stored.
Status Staging::write(LogFile& log, std::string_view waiting) {
    const Batch batch{.format = format(),
                      .stamp_ms = record_.stamp_ms,
                      .line_bytes = record_.line_bytes,
                      .ends_foreign_line = record_.ends_foreign_line != 0};
    const Transformed result = transform(waiting, batch);
    const auto bytes = std::as_bytes(std::span(result.text));
    for (std::size_t done = 0; done < bytes.size();) {
        auto count =
            sys::write_at(log.descriptor(), bytes.subspan(done), record_.log_offset + done);
        if (count && *count > 0) {
            done += *count;
            continue;
        }
        // Taken back, so that the log may be rotated meanwhile, and whoever reads it sees no half.
        static_cast<void>(sys::truncate(log.descriptor(), record_.log_offset));
        record_.batch_end = record_.done;
        store();
        return count ? Status{fail(Op::write, EIO)} : tl::unexpected(count.error());
    }
    record_.done = record_.batch_end;
    record_.log_offset += bytes.size();
    record_.line_bytes = result.line_bytes;
    store();
    trim();
    return {};
}

void Staging::trim() {
    const std::uint64_t end = record_.done / kPage * kPage;
    if (end <= trimmed_ || (end - trimmed_ < kTrimBytes && waiting() > 0)) return;
    if (sys::punch_hole(file_.get(), trimmed_, end - trimmed_)) trimmed_ = end;
}

}  // namespace cluster::capture
