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
    ChainIndex() {
        heads_.fill(kEnd);
        next_.fill(kEnd);
    }

    /// Requires: `entry` < Capacity and not in the index.
    void insert(std::uint32_t entry, std::uint64_t hash) {
        std::uint32_t& head = heads_[hash % Capacity];
        next_[entry] = head;
        head = entry;
    }

    /// Nothing happens when `entry` is not in the chain of `hash`.
    void remove(std::uint32_t entry, std::uint64_t hash) {
        for (std::uint32_t* link = &heads_[hash % Capacity]; *link != kEnd; link = &next_[*link]) {
            if (*link != entry) continue;
            *link = next_[entry];
            next_[entry] = kEnd;
            return;
        }
    }

    /// The first entry of the chain for which `is_it(entry)` holds.
    template <class Predicate>
    [[nodiscard]] std::optional<std::uint32_t> find(std::uint64_t hash, Predicate is_it) const {
        for (std::uint32_t entry = heads_[hash % Capacity]; entry != kEnd; entry = next_[entry]) {
            if (is_it(entry)) return entry;
        }
        return std::nullopt;
    }

private:
    static constexpr std::uint32_t kEnd = 0xFFFFFFFF;
    std::array<std::uint32_t, Capacity> heads_;
    std::array<std::uint32_t, Capacity> next_;
};

}  // namespace cluster::keeper
