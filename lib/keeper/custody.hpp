// Custody: the descriptors that must outlive every supervisor, with a record of each in the shared
// table.
//
// A descriptor is held under a key (kind, slot, generation, index); holding an equal key replaces
// it. The position of a record is stable while it is held, so a list by position (batch) is
// complete whatever is held or dropped meanwhile by the same reader. Owns: what it holds. Large;
// allocated once at the start of the keeper.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/result.hpp"
#include "keeper/chain_index.hpp"
#include "sys/fd.hpp"
#include "wire/message.hpp"
#include "wire/table.hpp"

namespace cluster::keeper {

class Custody {
public:
    /// Requires: the records of `shared` are zeroed; it outlives this.
    explicit Custody(wire::Table& shared);
    Custody(const Custody&) = delete;
    Custody& operator=(const Custody&) = delete;

    /// Errors: {message, EINVAL} kind none; {limit_reached, ENOSPC} every record is in use.
    [[nodiscard]] Status hold(const wire::HeldKey& key, sys::UniqueFd fd);
    /// Errors: {not_held, ENOENT}.
    [[nodiscard]] Status drop(const wire::HeldKey& key);
    /// The descriptor, still owned here; -1 when nothing is held under the key.
    [[nodiscard]] int find(const wire::HeldKey& key) const;

    struct Batch {
        std::uint32_t count = 0;  // records covered; 0: nothing is held from there on
        std::array<int, wire::kMaxFdsPerMessage> fds{};
        std::size_t fd_count = 0;
    };
    /// What is held from record `first` on, as much as one message carries.
    [[nodiscard]] Batch batch(std::uint32_t first) const;

    [[nodiscard]] std::uint32_t count() const {
        return static_cast<std::uint32_t>(fds_.size()) - free_count_;
    }

private:
    [[nodiscard]] std::optional<std::uint32_t> index_of(const wire::HeldKey& key) const;

    wire::Table& shared_;
    ChainIndex<wire::kMaxHeld> index_;
    // Room for all is taken at the start, and touched as far as it is used.
    std::vector<sys::UniqueFd> fds_;                  // by position
    std::array<std::uint32_t, wire::kMaxHeld> free_;  // a stack of positions that were given back
    std::uint32_t free_count_ = 0;
};

}  // namespace cluster::keeper
