// Areas: memory with a name, which begins as zero and which everybody who opens it has in common.
//
// It stays for the life of the segment, at its place; what its bytes mean is up to those who share it, and so is how they
// change them: with atomic instructions, as for any memory of several threads.
#pragma once

#include <span>
#include <string_view>

#include "store/participant.hpp"

namespace cluster::store {

inline constexpr u64 kMaxAreaBytes = kMaxBlockBytes - kEntryHeaderBytes - kMaxCounterName;

/// The area of that name, aligned to 8, which is made if there is none. Requires: the segment outlives
/// what comes back. Errors: {store, EFBIG} for more than kMaxAreaBytes; {store, EINVAL} for an empty
/// name, or no byte; {store, ENAMETOOLONG}; {store, EILSEQ} not UTF-8; {store, EMEDIUMTYPE} when the
/// name stands for something else, or for another size; {store, ENFILE} when every place for a name
/// is taken; {store, ENOSPC} when there is no memory; {store, EROFS} and {store, EUSERS} as
/// Participant::ensure.
[[nodiscard]] Result<std::span<std::byte>> open_area(const Segment& segment, Participant& me,
                                                     std::string_view name, u64 bytes);

}  // namespace cluster::store
