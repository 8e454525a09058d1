// What happened in a simulation: a hash over all of it, and the newest part to print when a rule
// breaks.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <ostream>

#include "base/ids.hpp"
#include "base/time.hpp"

namespace cluster::sim {

class Trace {
public:
    /// `what` is a text that lives for ever; `detail` is whatever number tells two such things
    /// apart.
    void note(const char* what, Slot slot, std::uint64_t generation, std::int64_t detail,
              Instant now) {
        mix(static_cast<unsigned char>(what[0]) + 256U * static_cast<unsigned char>(what[1]));
        mix(slot.value);
        mix(generation);
        mix(static_cast<std::uint64_t>(detail));
        mix(static_cast<std::uint64_t>(to_ns(now)));
        lines_[count_ % lines_.size()] = {what, slot, generation, detail, now};
        ++count_;
    }

    [[nodiscard]] std::uint64_t hash() const { return hash_; }

    void print(std::ostream& out) const {
        const std::size_t shown = count_ < lines_.size() ? count_ : lines_.size();
        for (std::size_t i = count_ - shown; i < count_; ++i) {
            const Line& line = lines_[i % lines_.size()];
            out << "  " << to_ns(line.now) / 1000 << " us  slot " << line.slot.value << "  run "
                << line.generation << "  " << line.what << " (" << line.detail << ")\n";
        }
    }

private:
    struct Line {
        const char* what = "";
        Slot slot;
        std::uint64_t generation = 0;
        std::int64_t detail = 0;
        Instant now;
    };

    void mix(std::uint64_t value) {
        hash_ = (hash_ ^ value) * 0x9E3779B97F4A7C15U;
        hash_ ^= hash_ >> 32U;
    }

    std::array<Line, 100> lines_{};
    std::size_t count_ = 0;
    std::uint64_t hash_ = 0;
};

}  // namespace cluster::sim
