#include "store/areas.hpp"

#include <cerrno>

#include "store/registry.hpp"

namespace cluster::store {

Result<std::span<std::byte>> open_area(const Segment& segment, Participant& me,
                                       std::string_view name, u64 bytes) {
    if (bytes == 0) return fail(Op::store, EINVAL);
    if (bytes > kMaxAreaBytes) return fail(Op::store, EFBIG);
    // Whoever finds it writes to it, too.
    if (!segment.is_writable()) return fail(Op::store, EROFS);
    const auto named = open_name(segment, me, name, NameKind::area, static_cast<u32>(bytes));
    if (!named) return tl::unexpected<Error>(named.error());
    if (named->match.lengths.value != bytes) return fail(Op::store, EMEDIUMTYPE);
    u64* words = key_words_of(segment.block(named->match.granule)) + named->match.lengths.key_words();
    return std::span{reinterpret_cast<std::byte*>(words), static_cast<std::size_t>(bytes)};
}

}  // namespace cluster::store
