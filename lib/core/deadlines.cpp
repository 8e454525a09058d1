#include "core/deadlines.hpp"

#include <algorithm>

#include "base/assert.hpp"

namespace cluster::core {

void Deadlines::set(Slot slot, std::optional<Instant> at) {
    CLUSTER_ASSERT(slot.value < position_.size());
    const std::uint32_t index = position_[slot.value];
    if (!at) {
        if (index != kAbsent) remove(index);
        return;
    }
    const Entry entry{*at, slot};
    if (index == kAbsent) {
        heap_.push_back(entry);
        sift_up(heap_.size() - 1, entry);
    } else if (entry < heap_[index]) {
        sift_up(index, entry);
    } else {
        sift_down(index, entry);
    }
}

std::optional<Instant> Deadlines::next() const {
    if (heap_.empty()) return std::nullopt;
    return heap_.front().at;
}

void Deadlines::collect_due(Instant now, std::vector<Slot>& due) const {
    // A node that is not due has no due descendant: only due nodes and their children are visited.
    if (heap_.empty() || heap_.front().at > now) return;
    std::vector<Entry> found{heap_.front()};
    for (std::size_t visited = 0; visited < found.size(); ++visited) {
        const std::size_t index = position_[found[visited].slot.value];
        for (std::size_t child = 2 * index + 1; child <= 2 * index + 2; ++child) {
            if (child < heap_.size() && heap_[child].at <= now) found.push_back(heap_[child]);
        }
    }
    std::sort(found.begin(), found.end());
    for (const Entry& entry : found) due.push_back(entry.slot);
}

void Deadlines::place(std::size_t index, Entry entry) {
    heap_[index] = entry;
    position_[entry.slot.value] = static_cast<std::uint32_t>(index);
}

void Deadlines::sift_up(std::size_t index, Entry entry) {
    while (index > 0) {
        const std::size_t parent = (index - 1) / 2;
        if (heap_[parent] < entry) break;
        place(index, heap_[parent]);
        index = parent;
    }
    place(index, entry);
}

void Deadlines::sift_down(std::size_t index, Entry entry) {
    for (std::size_t child = 2 * index + 1; child < heap_.size(); child = 2 * index + 1) {
        if (child + 1 < heap_.size() && heap_[child + 1] < heap_[child]) ++child;
        if (entry < heap_[child]) break;
        place(index, heap_[child]);
        index = child;
    }
    place(index, entry);
}

void Deadlines::remove(std::size_t index) {
    position_[heap_[index].slot.value] = kAbsent;
    const Entry last = heap_.back();
    heap_.pop_back();
    if (index == heap_.size()) return;
    if (index > 0 && last < heap_[(index - 1) / 2]) {
        sift_up(index, last);
    } else {
        sift_down(index, last);
    }
}

}  // namespace cluster::core
