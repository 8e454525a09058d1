// The next deadline of every slot, with the earliest on top: a binary heap that knows where each
// slot stands in it.
//
// Setting, moving and removing cost log n and allocate nothing once the arrays have grown; equal
// deadlines come out in the order of their slots, so that the same input always gives the same
// output.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/ids.hpp"
#include "base/time.hpp"

namespace cluster::core {

class Deadlines {
public:
    explicit Deadlines(std::uint32_t slots) : position_(slots, kAbsent) {}

    /// The slot's only deadline from now on; none: it has no deadline. Requires: the slot is within
    /// the bounds.
    void set(Slot slot, std::optional<Instant> at);

    [[nodiscard]] std::optional<Instant> next() const;

    /// Appends every slot whose deadline is at or before `now`. They keep their deadlines.
    void collect_due(Instant now, std::vector<Slot>& due) const;

private:
    struct Entry {
        Instant at;
        Slot slot;
        friend auto operator<=>(const Entry&, const Entry&) = default;
    };
    static constexpr std::uint32_t kAbsent = ~0U;

    void place(std::size_t index, Entry entry);
    void sift_up(std::size_t index, Entry entry);
    void sift_down(std::size_t index, Entry entry);
    void remove(std::size_t index);

    std::vector<Entry> heap_;
    std::vector<std::uint32_t> position_;  // by slot: index in heap_
};

}  // namespace cluster::core
