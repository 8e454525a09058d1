// A participant: one thread's right to change a segment, and the trace by which others clean up
// after it.
//
// A participant owns a slot of the segment by a claim word that names its process. Before it
// changes anything it writes down in its slot what it is about to do (the intent), so that after
// its death whoever takes the slot gives back the few blocks that were in its hands. Nobody waits
// for that: every change is complete or absent at every instruction.
//
// Life is proven by the kernel, not by a lock in the segment: the claim holds pid, start time and
// namespaces, and whoever needs a slot looks at /proc. A stopped owner is alive and keeps its slot.
//
// After fork the child owns nothing: the private page is zeroed there, and the next change joins
// again. One participant must be used by one thread at a time, and not from a signal handler that
// may interrupt one of its operations.
#pragma once

#include <utility>

#include "base/result.hpp"
#include "store/segment.hpp"

namespace cluster::store {

/// Memory of a participant that nobody else sees: the hints where free blocks are. It fills at most
/// a page, which is zero in a new participant and in a forked child.
struct PrivatePage {
    static constexpr u32 kDepth = 16;

    u64 joined = 0;  // which joining of this process made it; 0 is none
    u32 slot = 0;
    u32 reserved = 0;
    u64 reclaimed_to = 0;   // bucket from which the next reclaiming of expired entries goes on
    u64 nothing_until = 0;  // coarse ns: there was nothing to reclaim, do not look
    std::array<u64, kClasses> barren_until{};  // coarse ns: no free block was found, do not scan
    std::array<std::uint8_t, kClasses> depth{};
    std::array<std::array<u32, kDepth>, kClasses> stack{};  // granules
};
static_assert(sizeof(PrivatePage) <= kPageBytes);

class Participant {
public:
    /// Takes a free slot or that of a dead process, whose traces it settles first. Requires: the
    /// segment outlives it and is not moved. Errors: {store, EUSERS} when every slot belongs to the
    /// living; {store, EROFS} for a segment attached read-only.
    [[nodiscard]] static Result<Participant> join(Segment& segment);

    ~Participant() { leave(); }
    Participant(Participant&& other) noexcept
        : segment_(std::exchange(other.segment_, nullptr)),
          page_(std::exchange(other.page_, nullptr)),
          joined_(other.joined_) {}
    Participant& operator=(Participant&& other) noexcept {
        if (this != &other) {
            leave();
            segment_ = std::exchange(other.segment_, nullptr);
            page_ = std::exchange(other.page_, nullptr);
            joined_ = other.joined_;
        }
        return *this;
    }
    Participant(const Participant&) = delete;
    Participant& operator=(const Participant&) = delete;

    /// Makes sure that a slot is owned, which it is unless the process has forked since. Every
    /// operation that writes begins with it. Errors: as join.
    [[nodiscard]] Status ensure() {
        if (has_slot()) [[likely]] {
            return {};
        }
        return join_again();
    }
    /// Gives the slot back. In a forked child, where there is none, nothing.
    void leave();

    [[nodiscard]] bool has_slot() const { return page_ != nullptr && page_->joined == joined_; }
    /// Requires: has_slot().
    [[nodiscard]] u32 slot() const { return page_->slot; }
    [[nodiscard]] Segment& segment() const { return *segment_; }
    [[nodiscard]] PrivatePage& page() const { return *page_; }
    [[nodiscard]] Intent& intent() const { return segment_->slot(page_->slot).intent; }

private:
    explicit Participant(Segment* segment) : segment_(segment) {}
    [[nodiscard]] Status join_again();

    Segment* segment_;
    PrivatePage* page_ = nullptr;
    u64 joined_ = 0;  // as in the page, or the page is another participant's by now
};

/// The process that is known to be dead, as its parent knew it.
struct DeadProcess {
    std::int32_t pid = 0;
    u64 start_ticks = 0;
};

struct Settled {
    u32 slots = 0;
    u32 blocks = 0;
};
/// Settles and frees every slot of one dead process. For the daemon, when it has reaped a worker:
/// it needs no slot of its own and no look at /proc beyond its own marks. Requires: the process is
/// dead.
Settled settle(Segment& segment, const DeadProcess& dead);
/// The same for every slot whose process is gone, one look at /proc for each taken slot. `first`
/// and `count`: only those slots, for a loop that must not stay away long.
Settled settle_all_dead(Segment& segment, u32 first = 0, u32 count = UINT32_MAX);

}  // namespace cluster::store
