// A worker's bytes on their way from the pipe to a log in which lines are looked at: kept in a
// memfd until their transformed text is in the log.
//
// STAGING.md has the layout and the reason why a kill at any instruction loses and doubles nothing.
// The memfd must be in the keeper's custody before the first byte is taken. Owns: its duplicate of
// the memfd, the mapping of its header.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "base/result.hpp"
#include "capture/log_file.hpp"
#include "capture/transform.hpp"
#include "sys/fd.hpp"
#include "sys/memory.hpp"

namespace cluster::capture {

struct StageRecord {
    std::uint64_t magic;
    std::uint64_t done;
    std::uint64_t batch_end;
    std::uint64_t log_inode;
    std::uint64_t log_offset;
    std::int64_t stamp_ms;
    std::uint64_t line_bytes;
    std::uint64_t max_line;
    std::uint8_t has_stamps;
    std::uint8_t is_shared;
    std::uint8_t ends_foreign_line;
    std::uint8_t reserved[13];
};
static_assert(sizeof(StageRecord) == 80 && std::is_trivially_copyable_v<StageRecord>);

class Staging {
public:
    /// As much as is taken from the pipe at once, and as a batch takes besides one long line.
    static constexpr std::size_t kBatchBytes = std::size_t{64} << 10U;

    [[nodiscard]] static Result<Staging> create();
    /// Errors: {map, EPROTO} it is no staging file.
    [[nodiscard]] static Result<Staging> attach(sys::UniqueFd file);

    [[nodiscard]] int descriptor() const { return file_.get(); }
    /// Of the last batch.
    [[nodiscard]] LineFormat format() const;

    /// Finishes the batch that a kill has cut off, in the file that it was meant for: `log`, where
    /// output goes to now, or one of `former`, the paths where it may have gone to before. Where
    /// that file is not to be found it is begun anew in `log`. Call before anybody writes to the
    /// log. Errors: those of reading and writing.
    [[nodiscard]] Status recover(LogFile& log, const std::vector<std::string>& former);

    /// Bytes that are not in the log yet.
    [[nodiscard]] std::uint64_t waiting() const { return size_ - record_.done; }
    /// Takes bytes out of the pipe; 0 when it has ended. Errors: EAGAIN (empty), ENOMEM …
    [[nodiscard]] Result<std::size_t> take(int pipe, std::size_t limit);

    enum class Wrote : std::uint8_t {
        all,      // nothing waits any more
        some,     // more may be written now
        partial,  // what waits is the beginning of a line of a shared log
        full,     // the log has reached its limit
    };
    /// Writes one batch to the log. Errors: those of writing; nothing of the batch is in the log.
    [[nodiscard]] Result<Wrote> write_batch(LogFile& log, const LineFormat& format,
                                            std::int64_t now_ms, bool takes_partial);

private:
    Staging(sys::UniqueFd file, sys::Mapping header, std::uint64_t size);
    void load();
    void store();
    [[nodiscard]] Result<std::string> read(std::uint64_t begin, std::uint64_t end) const;
    [[nodiscard]] Status write(LogFile& log, std::string_view waiting);
    void trim();

    sys::UniqueFd file_;
    sys::Mapping header_;
    std::uint64_t size_;
    StageRecord record_{};
    std::uint64_t sequence_ = 0;
    std::uint64_t trimmed_;  // holes up to here
};

}  // namespace cluster::capture
