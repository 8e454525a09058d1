// Our own duplicates of everything that the keeper holds, and a pidfd of every run: what a new
// keeper gets should this one die.
//
// They cost a number each and nothing else, as long as numbers are plentiful. Where the limit of
// open files comes near, all are given up, for good: the daemon works as it would without them, and
// then only the death of the keeper ends it. Owns: the duplicates.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "sys/fd.hpp"
#include "wire/message.hpp"

namespace cluster::supervisor {

class Copies {
public:
    /// `max_descriptors`: what this process may have open.
    explicit Copies(std::uint64_t max_descriptors) : highest_(max_descriptors / 8 * 7) {}

    /// Duplicates `fd`. An equal key is replaced, as the keeper does.
    void keep(const wire::HeldKey& key, int fd);
    /// The same with one that is given away.
    void take(const wire::HeldKey& key, sys::UniqueFd fd);
    void drop(const wire::HeldKey& key);

    /// False: they were given up, or one could not be made.
    [[nodiscard]] bool is_complete() const { return is_complete_; }
    struct Copy {
        wire::HeldKey key;
        sys::UniqueFd fd;
    };
    /// Those that are not open were dropped.
    [[nodiscard]] const std::vector<Copy>& all() const { return copies_; }

private:
    [[nodiscard]] std::vector<Copy>::iterator find(const wire::HeldKey& key);
    void insert(std::vector<Copy>::iterator place, Copy copy);
    void give_up();

    std::uint64_t highest_;
    /// By slot, generation, kind and index. One that was dropped stays, closed, until one that
    /// comes next to it needs its place, which the next run of its slot does: nothing moves then.
    std::vector<Copy> copies_;
    std::size_t dropped_ = 0;
    bool is_complete_ = true;
};

/// The key of a run's pidfd.
[[nodiscard]] wire::HeldKey process_key(Run run);

}  // namespace cluster::supervisor
