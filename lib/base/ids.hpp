// Small typed numbers that the rooms pass to one another, so that one cannot stand where another is
// meant.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>

namespace cluster {

/// A number with a meaning. Distinct tags are distinct types; the value is only reached by name.
template <class Tag, class Rep>
struct Id {
    Rep value{};

    friend auto operator<=>(const Id&, const Id&) = default;
    friend bool operator==(const Id&, const Id&) = default;
};

/// The keeper's place for one process. Bounds: 0 ≤ value < wire::kMaxSlots.
using Slot = Id<struct SlotTag, std::uint32_t>;

/// Counts the runs of one slot from 1; 0 means that the slot never ran. It never goes back, not
/// even when the slot passes to another instance.
using Generation = Id<struct GenerationTag, std::uint64_t>;

/// Counts the changes of desired state over the whole daemon; it is also the id of the operation
/// that asked for the change. 0 means none.
using Epoch = Id<struct EpochTag, std::uint64_t>;

/// Identity of one process over its whole life. A pid is never that.
struct Run {
    Slot slot;
    Generation generation;

    friend auto operator<=>(const Run&, const Run&) = default;
    friend bool operator==(const Run&, const Run&) = default;
};

}  // namespace cluster

template <class Tag, class Rep>
struct std::hash<cluster::Id<Tag, Rep>> {
    std::size_t operator()(const cluster::Id<Tag, Rep>& id) const noexcept {
        return std::hash<Rep>{}(id.value);
    }
};

template <>
struct std::hash<cluster::Run> {
    std::size_t operator()(const cluster::Run& run) const noexcept {
        return std::hash<std::uint64_t>{}(run.generation.value * 0x9E3779B97F4A7C15U +
                                          run.slot.value);
    }
};
