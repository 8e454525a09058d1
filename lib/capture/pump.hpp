// Moves what a worker writes from its pipe into its log file, without losing or doubling a byte
// over a kill -9.
//
// splice(2) takes bytes from the pipe and puts them into the file in one step, so the file's size
// is the only truth: a successor opens the file, takes its size as the offset, and goes on. Where
// the file cannot be spliced to, bytes are copied through memory; a kill between read and write can
// then lose what was in flight (mode() tells). The file is opened without O_APPEND (splice refuses
// that); there is one writing process. The file stays the same when its name is removed or given to
// another file. Through a relay (relay.hpp) a busy worker goes on writing meanwhile. A log that has
// reached its limit is finished at the end of a line: the pump peeks into the pipe for that end and
// takes no byte more. Nothing here knows why a worker writes.
// Requires: SIGXFSZ ignored where a file size limit may exist, else that limit kills the process
// instead of `blocked`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "capture/log_file.hpp"
#include "capture/relay.hpp"
#include "capture/staging.hpp"
#include "sys/fd.hpp"

namespace cluster::capture {

/// What one call of pump() came to.
enum class Pumped : std::uint8_t {
    idle,     // the pipe is empty for now
    more,     // the budget is used up; there may be more
    ended,    // every writer is gone and the pipe is empty: close it
    full,     // the log has reached its limit, mostly at the end of a line: rotate it, call again
    blocked,  // the file takes nothing (disk full, I/O error): see `last_error`; no byte is lost,
              // try again later
};

class Pump {
public:
    enum class Mode : std::uint8_t { splice, copy };

    /// Opens (creates, mode 0640) the log file; its present size is where writing goes on.
    /// Errors: those of open and stat. `pipe` is closed then: keep a duplicate where it must
    /// outlive a failure.
    [[nodiscard]] static Result<Pump> open(sys::UniqueFd pipe, std::string path);
    /// Writes to a log that other pumps of this process may write to as well.
    Pump(sys::UniqueFd pipe, std::shared_ptr<LogFile> log);

    Pump(Pump&&) noexcept = default;
    Pump& operator=(Pump&&) noexcept = default;

    /// Moves at most `budget` bytes.
    [[nodiscard]] Pumped pump(std::size_t budget);
    /// Moves everything that is in the pipe now: at most 64 KiB more than that, however fast a
    /// writer goes on.
    [[nodiscard]] Pumped drain();
    /// The budget with which pump() does that.
    [[nodiscard]] std::size_t drain_budget() const;

    [[nodiscard]] int pipe() const { return pipe_.get(); }
    /// From now on bytes go through `relay`. Requires: not staged, and mode() is splice.
    void use(Relay relay) { relay_ = std::make_unique<Relay>(std::move(relay)); }
    [[nodiscard]] bool has_relay() const { return relay_ != nullptr; }
    /// Bytes in the relay.
    [[nodiscard]] std::size_t relayed() const { return relay_ ? relay_->waiting() : 0; }
    /// Requires: relayed() is 0.
    void give_up_relay() { relay_.reset(); }
    /// Throws away at most `limit` bytes, those in the relay first; what was read of them already
    /// (staged, or to be copied) stays. 0: the pipe has ended. Errors: EAGAIN (there are none).
    [[nodiscard]] Result<std::size_t> discard(std::size_t limit);
    /// From now on lines are looked at: bytes go through `staging`, whose unfinished batch has been
    /// recovered. `wall_ms`: the time that lines get. Requires: no relay.
    void stage(Staging staging, const LineFormat& format, std::int64_t (*wall_ms)());
    [[nodiscard]] bool is_staged() const { return staged_ != nullptr; }
    /// Requires: is_staged().
    void set_format(const LineFormat& format) { staged_->format = format; }
    /// The beginning of a line of a shared log waits for its end; see flush().
    [[nodiscard]] bool has_partial() const { return staged_ && staged_->staging.waiting() > 0; }
    /// Bytes of the pipe that are here and not in the log, of a pump that is not staged.
    [[nodiscard]] std::size_t taken() const {
        return relayed() + (copied_ ? copied_->unwritten() : 0);
    }
    /// Something of the pipe is here, or may be, and not in the log.
    [[nodiscard]] bool has_taken() const { return is_staged() || taken() > 0; }
    /// Writes what is taken or staged, unfinished lines too: idle when all of it is in the log.
    [[nodiscard]] Pumped flush();
    /// Bytes go straight to the log again. Requires: flush() has said idle.
    void unstage() { staged_.reset(); }
    /// Another log from now on. Requires: as unstage().
    void set_log(std::shared_ptr<LogFile> log) { log_ = std::move(log); }

    [[nodiscard]] LogFile& log() const { return *log_; }
    [[nodiscard]] const std::string& path() const { return log_->path(); }
    [[nodiscard]] std::uint64_t bytes_written() const { return bytes_; }
    [[nodiscard]] Error last_error() const { return error_; }
    /// Known after the first pump that found bytes; of a pump that is not staged.
    [[nodiscard]] Mode mode() const { return copied_ ? Mode::copy : Mode::splice; }

private:
    struct Staged {
        Staging staging;
        LineFormat format;
        std::int64_t (*wall_ms)();
    };
    /// Read from the pipe, and in the file up to `begin`.
    struct Copied {
        std::vector<std::byte> bytes;
        std::size_t begin = 0;
        [[nodiscard]] std::size_t unwritten() const { return bytes.size() - begin; }
        [[nodiscard]] bool is_written() const { return unwritten() == 0; }
    };

    /// Bytes that came into the file, at most `limit`; 0 when the pipe has ended.
    Result<std::size_t> move_some(std::size_t limit);
    Result<std::size_t> copy_some(std::size_t limit);
    /// Where the oldest bytes are that are not in the log.
    [[nodiscard]] int source() const;
    /// As much of `limit` as may be asked of it.
    [[nodiscard]] std::size_t within_source(std::size_t limit) const;
    void note_taken(std::size_t bytes);
    [[nodiscard]] Pumped pump_staged(std::size_t budget);
    [[nodiscard]] Pumped write_staged(bool takes_partial);
    /// The log has reached its limit: how much of the pipe belongs to its last line; 0: it is full.
    Result<std::size_t> rest_of_line() const;

    sys::UniqueFd pipe_;
    Error error_;
    std::shared_ptr<LogFile> log_;
    std::unique_ptr<Staged> staged_;  // few pumps have one
    std::unique_ptr<Relay> relay_;    // likewise
    std::unique_ptr<Copied> copied_;  // copy mode
    std::int64_t offset_ = 0;
    std::uint64_t bytes_ = 0;
};

}  // namespace cluster::capture
