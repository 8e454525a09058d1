#include "store/participant.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "store/fault.hpp"
#include "store/settle.hpp"
#include "sys/life.hpp"

namespace cluster::store {
namespace {

/// Only the low bits of the start time fit, so that two processes with the same pid look alike when
/// one started a multiple of eleven minutes after the other: a slot is then freed later, never
/// early.
u32 start_mark(u64 start_ticks) {
    if (start_ticks == 0) return 0;  // not known
    const u32 mark = static_cast<u32>(start_ticks) & 0xFFFFU;
    return mark == 0 ? 1 : mark;
}

/// None of it changes while a process lives, and finding it out takes several system calls.
Claim own_claim(const Segment& segment) {
    u64* known = segment.own_claim();
    if (const u64 word = load_relaxed(known); word != 0) return Claim::of(word);
    const sys::LifeMarks marks = sys::own_life_marks();
    const u64 word = Claim{.pid = static_cast<u32>(marks.pid),
                           .start = start_mark(marks.start_ticks),
                           .image = marks.image,
                           .namespaces = marks.namespaces}
                         .word();
    store_relaxed(known, word);
    return Claim::of(word);
}

/// Whether the owner of a slot is known to be gone. In doubt it lives.
bool is_dead(const Claim& owner, const Claim& own) {
    // Its numbers would mean something else here.
    if (owner.namespaces != own.namespaces) return false;
    // The same process before it executed another program: nothing of that runs any more.
    if (owner.pid == own.pid && owner.start == own.start) return owner.image != own.image;
    if (owner.pid == 0) return true;  // no process ever writes that
    const sys::ProcessLook look = sys::look_at_process(static_cast<std::int32_t>(owner.pid));
    switch (look.presence) {
        case sys::Presence::gone:
            return true;
        case sys::Presence::unknown:
            return false;
        case sys::Presence::present:
            return owner.start != 0 && owner.start != start_mark(look.start_ticks);
    }
    return false;
}

/// Makes a slot that was claimed by `expected` ours. Only one of many wins, and whatever the former
/// owner left is settled by the winner alone.
bool take_slot(Segment& segment, u32 index, u64 expected, u64 own) {
    if (!change_word(&segment.slot(index).claim, expected, own)) return false;
    if (!planted(Fault::claim_without_settling)) settle_slot(segment, index);
    return true;
}

void note_highest(Segment& segment, u32 index) {
    u64* high = &segment.live().participants_high;
    u64 seen = load_relaxed(high);
    while (seen <= index) {
        if (compare_exchange(high, seen, index + 1)) return;
    }
}

/// The index of a slot that is ours now; the number of slots when there is none.
u32 find_slot(Segment& segment, const Claim& own) {
    const u32 count = segment.geometry().participants_count;
    // First what this process left before an exec, as nobody else may tell that from the living;
    // then a free slot; then those of the dead.
    for (u32 i = 0; i < count; ++i) {
        const u64 word = load_acquire(&segment.slot(i).claim);
        const Claim owner = Claim::of(word);
        const bool is_own_past = word != 0 && owner.pid == own.pid && is_dead(owner, own);
        if (is_own_past && take_slot(segment, i, word, own.word())) return i;
    }
    for (u32 i = 0; i < count; ++i) {
        if (load_acquire(&segment.slot(i).claim) != 0) continue;
        // First, so that one who dies after this is looked for there.
        note_highest(segment, i);
        if (take_slot(segment, i, 0, own.word())) return i;
    }
    for (u32 i = 0; i < count; ++i) {
        const u64 word = load_acquire(&segment.slot(i).claim);
        if (word != 0 && is_dead(Claim::of(word), own) && take_slot(segment, i, word, own.word())) {
            add_relaxed(&segment.live().settled_participants, 1);
            return i;
        }
    }
    return count;
}

/// Takes the slot of somebody dead for as long as it takes to settle it.
void settle_and_free(Segment& segment, u32 index, u64 word, const Claim& own, Settled& total) {
    if (!change_word(&segment.slot(index).claim, word, own.word())) return;
    total.blocks += settle_slot(segment, index);
    ++total.slots;
    store_release(&segment.slot(index).claim, 0);
    add_relaxed(&segment.live().settled_participants, 1);
}

}  // namespace

Result<Participant> Participant::join(Segment& segment) {
    if (!segment.is_writable()) return fail(Op::store, EROFS);
    Participant participant{&segment};
    if (const auto joined = participant.join_again(); !joined) {
        return tl::unexpected<Error>(joined.error());
    }
    return participant;
}

Status Participant::join_again() {
    const Claim own = own_claim(*segment_);
    const u32 index = find_slot(*segment_, own);
    if (index == segment_->geometry().participants_count) return fail(Op::store, EUSERS);
    page_ = static_cast<PrivatePage*>(segment_->private_page(index));
    std::memset(static_cast<void*>(page_), 0, sizeof(PrivatePage));
    page_->slot = index;
    // A child of fork counts on from here, so that no participant of the parent looks like its own.
    static std::atomic<u64> joinings{0};
    joined_ = joinings.fetch_add(1, std::memory_order_relaxed) + 1;
    page_->joined = joined_;
    return {};
}

void Participant::leave() {
    if (segment_ == nullptr || !has_slot()) return;
    page_->joined = 0;
    // Between two operations the intent is clear, so there is nothing to settle.
    store_release(&segment_->slot(page_->slot).claim, 0);
    page_ = nullptr;
}

Settled settle(Segment& segment, const DeadProcess& dead) {
    const Claim own = own_claim(segment);
    const Claim gone = Claim::of(Claim{.pid = static_cast<u32>(dead.pid),
                                       .start = start_mark(dead.start_ticks),
                                       .namespaces = own.namespaces}
                                     .word());
    Settled total;
    // A thousand slots are as many cache lines; those that were never taken need no look.
    const u64 count = std::min<u64>(segment.geometry().participants_count,
                                    load_relaxed(&segment.live().participants_high));
    for (u32 i = 0; i < count; ++i) {
        const u64 word = load_acquire(&segment.slot(i).claim);
        const Claim owner = Claim::of(word);
        if (owner.pid != gone.pid || owner.namespaces != gone.namespaces) continue;
        // One that could not tell when it started may by now be another process of that number.
        const bool is_it = owner.start == gone.start || (owner.start == 0 && is_dead(owner, own));
        if (word != 0 && is_it) settle_and_free(segment, i, word, own, total);
    }
    return total;
}

Settled settle_all_dead(Segment& segment, u32 first, u32 count) {
    const Claim own = own_claim(segment);
    Settled total;
    const u64 end = std::min<u64>(u64{first} + count, segment.geometry().participants_count);
    for (u32 i = first; i < end; ++i) {
        const u64 word = load_acquire(&segment.slot(i).claim);
        if (word != 0 && is_dead(Claim::of(word), own)) {
            settle_and_free(segment, i, word, own, total);
        }
    }
    return total;
}

}  // namespace cluster::store
