// The lines that wait for a worker to read them: a bounded queue, whole lines only. Pure: whoever
// owns the socket sends next_chunk().
//
// Where the queue is full, either the oldest lines make room, and a notice with their number is
// delivered, or the channel is to be closed. A line of which a part was sent is always completed.
// What the worker waits for (NODE_HANDLE_ACK and its like) is never dropped; it moves to the end.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

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
    /// Requires: one line with its newline at the end, and none before it.
    [[nodiscard]] Pushed push(std::string_view line);

    [[nodiscard]] bool is_empty() const;
    /// What is to be sent next. Requires: !is_empty().
    [[nodiscard]] Pieces next_chunk();
    /// So many bytes were: the result that the kernel has left in the record.
    void on_sent();

    [[nodiscard]] std::uint64_t high_water() const { return high_water_; }
    void forget_high_water() { high_water_ = 0; }

private:
    [[nodiscard]] std::uint64_t free() const;
    [[nodiscard]] bool is_partial() const;
    [[nodiscard]] std::uint64_t line_end(std::uint64_t begin) const;
    void drop_oldest(std::string& kept);
    void append(std::string_view line);
    void append_notice();

    Memory memory_;
    core::SlowReader policy_;
    std::uint64_t high_water_ = 0;
};

/// Takes note of what a call has sent: moves the cursor behind it and remembers where the line ends
/// that it was cut off in.
void settle_sent(const Memory& memory);

}  // namespace cluster::channel
