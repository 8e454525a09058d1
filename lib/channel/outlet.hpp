// The lines that wait for a worker to read them: a bounded queue, whole lines only. Pure: whoever
// owns the socket sends next_chunk().
//
// Where the queue is full, either the oldest lines make room, and a notice with their number is
// delivered, or the channel is to be closed. A line of which a part was sent is always completed.
// What the worker waits for (NODE_HANDLE_ACK and its like) is never dropped; it moves to the end.
//
// A line may carry a descriptor, which the queue knows as a number of its owner's. Such a line is a
// chunk of its own: Node.js gives a descriptor to the line whose bytes it came with.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "channel/record.hpp"
#include "core/spec.hpp"

namespace cluster::channel {

class Outlet {
public:
    /// One call sends so many bytes of short lines at most. Why: the kernel takes up to 32 KiB on a
    /// UNIX stream whole or not at all (unix_stream_sendmsg), so a full socket never cuts a line.
    static constexpr std::size_t kChunk = std::size_t{32} << 10U;

    Outlet(const Memory& memory, core::SlowReader policy);

    enum class Pushed : std::uint8_t {
        queued,
        dropped,   // queued, and older ones made room
        refused,   // it is longer than the queue, or has to give way itself
        overflow,  // the queue is full, and the worker is to be disconnected for it
    };
    /// Requires: one line with its newline at the end, and none before it; with a `descriptor`
    /// other than 0 it begins as Node.js' own do, and is shorter than kChunk.
    [[nodiscard]] Pushed push(std::string_view line, std::uint64_t descriptor = 0);

    /// Whoever would have read it is gone: all that waits is thrown away and counted as dropped.
    void discard();

    [[nodiscard]] bool is_empty() const;
    /// What is to be sent next. Requires: !is_empty().
    [[nodiscard]] Pieces next_chunk();
    /// What goes with the next chunk; 0: nothing does.
    [[nodiscard]] std::uint64_t next_descriptor() const;
    /// Throws the next chunk away: its descriptor is gone. Requires: next_descriptor() != 0.
    void skip_chunk();
    /// So many bytes were: the result that the kernel has left in the record.
    void on_sent();

    [[nodiscard]] std::uint64_t high_water() const { return high_water_; }
    void forget_high_water() { high_water_ = 0; }

private:
    /// Lines that move to the end, with the descriptors of those that carry one, by their places.
    struct Kept {
        std::string text;
        std::vector<std::pair<std::size_t, std::uint64_t>> carried;
    };
    [[nodiscard]] std::uint64_t free() const;
    [[nodiscard]] bool is_partial() const;
    [[nodiscard]] std::uint64_t line_end(std::uint64_t begin) const;
    void drop_oldest(Kept& kept);
    void append(std::string_view lines, const Kept& carried = {});
    [[nodiscard]] bool can_carry() const;
    void append_notice();

    Memory memory_;
    core::SlowReader policy_;
    std::uint64_t high_water_ = 0;
};

/// Takes note of what a call has sent: moves the cursor behind it and remembers where the line ends
/// that it was cut off in.
void settle_sent(const Memory& memory);
/// Forgets descriptors of lines that were not queued any more when their owner was killed.
void settle_carried(const Memory& memory);

}  // namespace cluster::channel
