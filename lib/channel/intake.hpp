// Lines out of the bytes that a worker has sent. Pure: whoever owns the socket reads into room().
//
// A line is looked at and then taken: the cursor in the record moves behind it before anything is
// done about it, so what a kill interrupts is lost and never applied twice. Lines whose effects are
// added up are kept instead, until the sum is there: a successor that finds them kept asks the
// store whether it is (Sum), so that of these a kill loses none. Lines have a bounded length; the
// rest of a longer one is thrown away as it comes and counted. Only new bytes are searched.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "channel/record.hpp"

namespace cluster::channel {

class Intake {
public:
    explicit Intake(const Memory& memory) : memory_(memory) { searched_ = memory.record().in_done; }

    /// Where the next bytes go, at most `limit` of them. Ends the life of the last line. Never
    /// empty after next_line() has returned nothing.
    [[nodiscard]] Pieces room(std::size_t limit);
    /// So many bytes were put there: the result that the kernel has left in the record.
    void on_received();

    /// The line behind those that are kept, without its newline, the same until it is taken or
    /// kept. It stays valid until room() is called. Nothing: none is whole, or what comes next is too
    /// long and can be thrown away only when no line before it is kept.
    [[nodiscard]] std::optional<std::string_view> peek_line();
    /// Requires: peek_line() has returned a line, and none is kept.
    void take_line();
    /// Both.
    [[nodiscard]] std::optional<std::string_view> next_line();

    /// Requires: peek_line() has returned a line.
    void keep_line();
    /// The sum of the lines that are kept is about to be made, and is written down there.
    [[nodiscard]] StoreAttempt& begin_sum();
    /// It was made: the lines are taken.
    void end_sum();
    /// It was not: the lines come again, so many.
    std::size_t forget_kept();

    /// Of lines that a predecessor kept, where it wrote their sum down.
    [[nodiscard]] StoreAttempt* sum_cut_off();
    /// It was made: the lines are taken; or they come again.
    void settle_sum(bool was_made);
    /// Lines that were read and not handed out yet, or not all of one.
    [[nodiscard]] bool is_empty() const;
    /// The other end is closed: what stands there without a newline will never be a line.
    void on_end();

    /// The line that was handed out last before a kill, if nothing was queued towards the worker
    /// since.
    [[nodiscard]] std::optional<std::string_view> line_cut_off();
    /// The highest place that was used since the ring was empty last: beyond the first pages its
    /// memory may be given back.
    [[nodiscard]] std::uint64_t high_water() const { return high_water_; }
    void forget_high_water() { high_water_ = 0; }

private:
    [[nodiscard]] std::uint64_t begin_of_next() const;
    [[nodiscard]] std::optional<std::uint64_t> find_newline();
    [[nodiscard]] std::string_view text(std::uint64_t begin, std::uint64_t end);

    Memory memory_;
    std::uint64_t searched_;  // no newline between the next line's begin and here
    std::optional<std::uint64_t> newline_;  // of the next line
    std::uint64_t kept_end_ = 0;            // of the last line that is kept
    std::size_t kept_ = 0;
    std::string joined_;      // a line that goes around the end of the ring
    std::uint64_t high_water_ = 0;
};

}  // namespace cluster::channel
