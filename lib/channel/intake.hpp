// Lines out of the bytes that a worker has sent. Pure: whoever owns the socket reads into room().
//
// A line is handed out once: the cursor in the record moves behind it before the caller sees it, so
// what a kill interrupts is lost and never applied twice. Lines have a bounded length; the rest of
// a longer one is thrown away as it comes and counted. Only new bytes are searched.
#pragma once

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

    /// The next line without its newline. It stays valid until room() is called.
    [[nodiscard]] std::optional<std::string_view> next_line();
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
    [[nodiscard]] std::optional<std::uint64_t> find_newline();
    [[nodiscard]] std::string_view text(std::uint64_t begin, std::uint64_t end);

    Memory memory_;
    std::uint64_t searched_;  // no newline between in_done and here
    std::string joined_;      // a line that goes around the end of the ring
    std::uint64_t high_water_ = 0;
};

}  // namespace cluster::channel
