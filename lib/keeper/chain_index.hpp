// Finds a small number (a slot, a custody record) by the hash of its key: chains in arrays of a
// fixed size, so that the keeper looks up in constant time without ever allocating. The caller
// holds the keys and compares them.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

namespace cluster::keeper {

template <std::uint32_t Capacity>
class ChainIndex {
public:
    // The links stay as they are: one is written before it is read, and memory of those that no
    // entry needs is never touched.
    ChainIndex() { heads_.fill(kEnd); }

    /// Requires: `entry` < Capacity and not in the index.
    void insert(std::uint32_t entry, std::uint64_t hash) {
        std::uint32_t& head = heads_[hash % kChains];
        next_[entry] = head;
        head = entry;
    }

    /// Nothing happens when `entry` is not in the chain of `hash`.
    void remove(std::uint32_t entry, std::uint64_t hash) {
        for (std::uint32_t* link = &heads_[hash % kChains]; *link != kEnd; link = &next_[*link]) {
            if (*link != entry) continue;
            *link = next_[entry];
            next_[entry] = kEnd;
            return;
        }
    }

    /// The first entry of the chain for which `is_it(entry)` holds.
    template <class Predicate>
    [[nodiscard]] std::optional<std::uint32_t> find(std::uint64_t hash, Predicate is_it) const {
        for (std::uint32_t entry = heads_[hash % kChains]; entry != kEnd; entry = next_[entry]) {
            if (is_it(entry)) return entry;
        }
        return std::nullopt;
    }

private:
    static constexpr std::uint32_t kEnd = 0xFFFFFFFF;
    /// Chains of four when full, of one or none as a rule.
    static constexpr std::uint32_t kChains = Capacity / 4;
    std::array<std::uint32_t, kChains> heads_;
    std::array<std::uint32_t, Capacity> next_;
};

}  // namespace cluster::keeper
