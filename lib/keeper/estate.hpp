// What a predecessor left, as this process inherited it: see wire/estate.hpp.
#pragma once

#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "sys/fd.hpp"
#include "sys/memory.hpp"
#include "wire/message.hpp"
#include "wire/table.hpp"

namespace cluster::keeper {

struct Estate {
    struct Item {
        wire::HeldKey key;
        sys::UniqueFd fd;
    };
    sys::Mapping table;      // as the predecessor left it, to be read only
    sys::UniqueFd witness;   // who waits to hear that we have taken over
    std::vector<Item> items;

    [[nodiscard]] const wire::Table& old_table() const { return *table.as<const wire::Table>(); }
};

/// Takes over the descriptors that the memfd `file` names, and marks them close-on-exec. Nobody has
/// noticed anything yet when this fails: what was inherited is closed with the process.
/// Errors: those of wire::check_estate; {estate, EBADF} a descriptor is not open or named twice;
/// {estate, EPROTO} a table of another version; {map, errno}.
[[nodiscard]] Result<Estate> receive_estate(int file);

/// Whether this build could follow a keeper of these versions: `versions` is what
/// wire::succession_versions() says there, and behind a slash what is for the supervisor to judge.
[[nodiscard]] bool can_succeed(std::string_view versions);

}  // namespace cluster::keeper
