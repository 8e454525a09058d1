#include "store/blocks.hpp"

#include <algorithm>
#include <cerrno>

#include "store/fault.hpp"
#include "sys/clock.hpp"

namespace cluster::store {
namespace {

constexpr u32 kTakesFromRing = 4;
/// After a scan that found nothing, in coarse nanoseconds. A scan of a full 64 MiB takes some 20
/// ms.
constexpr u64 kBarrenFor = 100'000'000;
/// Classes above the wanted one that are looked at before a class gets its first chunk (up to twice
/// the size, so that a few entries of many sizes do not use up the chunks), and when no chunk is
/// left (up to eight times).
constexpr u32 kClassesBeforeFirst = 4;
constexpr u32 kClassesInNeed = 12;

u64 coarse_ns() {
    return static_cast<u64>(to_ns(sys::monotonic_coarse_now()));
}

/// One search for one block; holds what all its steps need.
class Search {
public:
    Search(Participant& participant, u64* intent)
        : segment_(participant.segment()), page_(participant.page()), intent_(intent) {}

    [[nodiscard]] bool has_chunk(u32 size_class) const {
        return next_chunk(0, size_class) != segment_.geometry().chunk_count;
    }
    [[nodiscard]] bool add_chunk(u32 size_class, bool may_use_reserve);
    Block from_larger(u32 wanted, u32 last, bool is_urgent, u64 now);
    Block from_hints(u32 size_class);
    Block from_scan(u32 size_class, bool may_add_chunk, bool may_use_reserve);

private:
    [[nodiscard]] Block try_take(u64 granule, u32 size_class);
    [[nodiscard]] Block from_stack(u32 size_class);
    [[nodiscard]] Block from_ring(u32 size_class);
    [[nodiscard]] u32 next_chunk(u32 from, u32 size_class) const;
    [[nodiscard]] bool wrap_or_grow(u32 size_class, bool may_add, bool may_use_reserve);
    [[nodiscard]] bool scan_once(u32 size_class, bool* at_end);

    Segment& segment_;
    PrivatePage& page_;
    u64* intent_;
    bool has_wrapped_ = false;
};

Block Search::try_take(u64 granule, u32 size_class) {
    u64* state_word = segment_.block(granule);
    const u64 state = load_acquire(state_word);
    if (BlockState::is_used(state)) return {};
    u64 taken = BlockState::taken(state, page_.slot);
    if (planted(Fault::version_not_advanced)) taken -= u64{1} << 24U;
    if (!planted(Fault::missing_fresh_intent)) {
        store_release(intent_, Incarnation::of(taken, granule));
    }
    if (planted(Fault::take_fence_missing)) store_relaxed(state_word + kHashWord, 0);
    if (!change_word(state_word, state, taken)) return {};
    // Nothing of the new contents may be seen before the block is: a store may otherwise pass the
    // store half of the exchange on ARM.
    std::atomic_thread_fence(std::memory_order_release);
    return {.granule = granule, .state = taken, .size_class = size_class};
}

Block Search::from_stack(u32 size_class) {
    std::uint8_t& depth = page_.depth[size_class];
    while (depth != 0) {
        const u64 granule = page_.stack[size_class][--depth];
        if (const Block block = try_take(granule, size_class); block.granule != 0) return block;
    }
    return {};
}

Block Search::from_ring(u32 size_class) {
    ClassHints& hints = segment_.hints(size_class);
    for (u32 i = 0; i < kTakesFromRing; ++i) {
        const u64 taken = load_relaxed(&hints.take);
        if (static_cast<std::int64_t>(load_relaxed(&hints.put) - taken) <= 0) return {};
        const u64 place = add_relaxed(&hints.take, 1);
        u64* hint = &hints.ring[place % kHintRing];
        const u64 granule = std::atomic_ref<u64>(*hint).exchange(0, std::memory_order_relaxed);
        // A hint is somebody's word: it must be the start of a block of this class.
        if (granule == 0 || segment_.class_of_block(granule) != size_class) continue;
        if (const Block block = try_take(granule, size_class); block.granule != 0) return block;
    }
    return {};
}

Block Search::from_hints(u32 size_class) {
    if (const Block block = from_stack(size_class); block.granule != 0) return block;
    return from_ring(size_class);
}

/// The first chunk of the class from here on; the number of chunks when there is none.
u32 Search::next_chunk(u32 from, u32 size_class) const {
    const u32 count = segment_.geometry().chunk_count;
    for (u32 chunk = from; chunk < count; ++chunk) {
        if (segment_.class_of_chunk(chunk) == size_class) return chunk;
    }
    return count;
}

/// Gives the class another chunk, for good. The last one is left to those that free memory.
bool Search::add_chunk(u32 size_class, bool may_use_reserve) {
    const u32 count = segment_.geometry().chunk_count;
    u32 candidate = count;
    u32 left = 0;
    for (u32 chunk = 0; chunk < count && left < 2; ++chunk) {
        if (load_acquire(segment_.chunk_class(chunk)) != 0) continue;
        if (left == 0) candidate = chunk;
        ++left;
    }
    if (left == 0 || (left == 1 && !may_use_reserve)) return false;
    if (!change_word(segment_.chunk_class(candidate), 0, u64{size_class} + 1)) return true;
    store_relaxed(&segment_.hints(size_class).cursor, u64{candidate} << 32U);
    return true;
}

/// At the end of a pass: look again where blocks were forgotten, or add memory. False when neither
/// can help.
bool Search::wrap_or_grow(u32 size_class, bool may_add, bool may_use_reserve) {
    ClassHints& hints = segment_.hints(size_class);
    const bool pays = load_relaxed(&hints.lost) >= blocks_per_chunk(size_class);
    if (!pays && may_add && add_chunk(size_class, may_use_reserve)) return true;
    if (has_wrapped_) return may_add && add_chunk(size_class, may_use_reserve);
    has_wrapped_ = true;
    store_relaxed(&hints.lost, 0);
    store_relaxed(&hints.cursor, 0);
    return true;
}

/// Looks at the next few blocks of the class and puts the free ones on the stack.
bool Search::scan_once(u32 size_class, bool* at_end) {
    ClassHints& hints = segment_.hints(size_class);
    const u32 blocks = blocks_per_chunk(size_class);
    u64 cursor = load_relaxed(&hints.cursor);
    u64 chunk = cursor >> 32U;
    u64 first = cursor & UINT32_MAX;
    const u32 count = segment_.geometry().chunk_count;
    const bool is_inside = chunk < count && first < blocks &&
                           segment_.class_of_chunk(static_cast<u32>(chunk)) == size_class;
    if (!is_inside) {
        const u64 from = first >= blocks ? chunk + 1 : chunk;
        chunk = from < count ? next_chunk(static_cast<u32>(from), size_class) : count;
        first = 0;
        *at_end = chunk == count;
        if (*at_end) return false;
    }
    const u64 last = std::min<u64>(first + PrivatePage::kDepth, blocks);
    // Whoever was faster looks at these; we look at the next ones.
    if (!compare_exchange(&hints.cursor, cursor, (chunk << 32U) | last)) return false;
    const u32 granules = class_granules(size_class);
    std::uint8_t& depth = page_.depth[size_class];
    for (u64 i = last; i > first && depth < PrivatePage::kDepth; --i) {
        const u64 granule = segment_.chunk_granule(static_cast<u32>(chunk)) + (i - 1) * granules;
        if (BlockState::is_used(load_relaxed(segment_.block(granule)))) continue;
        page_.stack[size_class][depth++] = static_cast<u32>(granule);
    }
    return depth != 0;
}

Block Search::from_scan(u32 size_class, bool may_add_chunk, bool may_use_reserve) {
    ClassHints& hints = segment_.hints(size_class);
    const u32 chunks = segment_.geometry().chunk_count;
    const u64 steps_of_chunk = blocks_per_chunk(size_class) / PrivatePage::kDepth + 2;
    const u64 limit = 2 * (u64{chunks} + 1) * steps_of_chunk + 64;
    for (u64 step = 0; step < limit; ++step) {
        bool at_end = false;
        if (scan_once(size_class, &at_end)) {
            const Block block = from_stack(size_class);
            if (block.granule == 0) continue;
            if (load_relaxed(&hints.hungry) != 0) store_relaxed(&hints.hungry, 0);
            return block;
        }
        if (at_end && !wrap_or_grow(size_class, may_add_chunk, may_use_reserve)) break;
    }
    if (load_relaxed(&hints.hungry) == 0) store_relaxed(&hints.hungry, 1);
    return {};
}

/// From a class that has chunks already, without adding any.
Block Search::from_larger(u32 wanted, u32 last, bool is_urgent, u64 now) {
    for (u32 size_class = wanted + 1; size_class <= std::min(last, kClasses - 1); ++size_class) {
        Block block = from_hints(size_class);
        if (block.granule != 0) return block;
        if (page_.barren_until[size_class] > now && !is_urgent) continue;
        if (!has_chunk(size_class)) continue;
        has_wrapped_ = false;
        block = from_scan(size_class, false, false);
        if (block.granule != 0) return block;
        page_.barren_until[size_class] = now + kBarrenFor;
    }
    return {};
}

void leave_hint(Segment& segment, PrivatePage& page, u64 granule) {
    const u32 size_class = segment.class_of_block(granule);
    if (size_class == kClasses) return;
    ClassHints& hints = segment.hints(size_class);
    page.barren_until[size_class] = 0;
    std::uint8_t& depth = page.depth[size_class];
    if (depth < PrivatePage::kDepth && load_relaxed(&hints.hungry) == 0) {
        page.stack[size_class][depth++] = static_cast<u32>(granule);
        return;
    }
    u64* place = &hints.ring[add_relaxed(&hints.put, 1) % kHintRing];
    const u64 former = std::atomic_ref<u64>(*place).exchange(granule, std::memory_order_relaxed);
    if (former != 0) add_relaxed(&hints.lost, 1);
}

}  // namespace

Result<Block> take_block(Participant& participant, u64* intent, u64 bytes, Need need) {
    const u32 wanted = class_for(bytes);
    if (wanted == kClasses) return fail(Op::store, EFBIG);
    Search search{participant, intent};
    if (const Block block = search.from_hints(wanted); block.granule != 0) return block;

    PrivatePage& page = participant.page();
    const u64 now = coarse_ns();
    const bool is_urgent = need == Need::to_free;
    if (!search.has_chunk(wanted)) {
        const Block block = search.from_larger(wanted, wanted + kClassesBeforeFirst, false, now);
        if (block.granule != 0) return block;
    }
    const bool may_scan = page.barren_until[wanted] <= now || is_urgent;
    if (may_scan || search.add_chunk(wanted, false)) {
        const Block block = Search{participant, intent}.from_scan(wanted, true, is_urgent);
        if (block.granule != 0) return block;
        page.barren_until[wanted] = now + kBarrenFor;
    }
    const u32 last = is_urgent ? kClasses - 1 : wanted + kClassesInNeed;
    if (const Block block = search.from_larger(wanted, last, is_urgent, now); block.granule != 0) {
        return block;
    }
    return fail(Op::store, ENOSPC);
}

bool free_block(Participant& participant, u64 granule, u64 state) {
    Segment& segment = participant.segment();
    if (!change_word(segment.block(granule), state, BlockState::freed(state))) return false;
    leave_hint(segment, participant.page(), granule);
    return true;
}

}  // namespace cluster::store
