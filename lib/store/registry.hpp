// The registry: names that are inserted once and stay for the life of the segment.
//
// A name stands for a counter, or for an area of memory, as the flags of its entry say; the value of
// that entry, if it has one, is the area. Names are 1 to 128 bytes of UTF-8 without NUL.
#pragma once

#include <string_view>

#include "store/change.hpp"
#include "store/entry.hpp"

namespace cluster::store {

/// What a name stands for; the flags of its entry.
enum class NameKind : std::uint8_t { atomic_counter = 1, striped_counter = 2, area = 3 };

struct Named {
    u32 place = 0;
    Match match;
};

/// The name, if it is there as that kind. Needs no participant. Errors: {store, EINVAL} empty name;
/// {store, ENAMETOOLONG}; {store, EILSEQ} not UTF-8; {store, ENOENT}; {store, EMEDIUMTYPE} when it
/// stands for something else.
[[nodiscard]] Result<Named> find_name(const Segment& segment, std::string_view name, NameKind kind);

/// The same, inserted if it is not there, with `value_bytes` bytes of 0 behind it. Errors: as
/// find_name; {store, ENFILE} when every place is taken; {store, ENOSPC} when there is no memory;
/// {store, EROFS} and {store, EUSERS} as Participant::ensure.
[[nodiscard]] Result<Named> open_name(const Segment& segment, Participant& me, std::string_view name,
                                      NameKind kind, u32 value_bytes = 0);

}  // namespace cluster::store
