#include "supervisor/copies.hpp"

#include <algorithm>
#include <iterator>
#include <tuple>
#include <utility>

#include "supervisor/log.hpp"
#include "sys/file.hpp"

namespace cluster::supervisor {
namespace {

auto order_of(const wire::HeldKey& key) {
    return std::make_tuple(key.slot, key.generation, key.kind, key.index);
}

}  // namespace

wire::HeldKey process_key(Run run) {
    return {.kind = wire::HeldKind::process,
            .index = 0,
            .slot = run.slot.value,
            .generation = run.generation.value};
}

std::vector<Copies::Copy>::iterator Copies::find(const wire::HeldKey& key) {
    return std::lower_bound(
        copies_.begin(), copies_.end(), key,
        [](const Copy& copy, const wire::HeldKey& wanted) {
            return order_of(copy.key) < order_of(wanted);
        });
}

void Copies::keep(const wire::HeldKey& key, int fd) {
    if (!is_complete_) return;
    auto copy = sys::duplicate(fd);
    if (!copy) return give_up();
    take(key, std::move(*copy));
}

void Copies::take(const wire::HeldKey& key, sys::UniqueFd fd) {
    if (!is_complete_ || !fd.is_open()) return;
    // The kernel gives the lowest number that is free.
    if (static_cast<std::uint64_t>(fd.get()) >= highest_) return give_up();
    const auto place = find(key);
    insert(place, {.key = key, .fd = std::move(fd)});
}

/// `place`: as find() gives it for the key.
void Copies::insert(std::vector<Copy>::iterator place, Copy copy) {
    const bool is_there = place != copies_.end() && place->key == copy.key;
    if (!is_there && place != copies_.begin() && !std::prev(place)->fd.is_open()) --place;
    const bool is_free = place != copies_.end() && !place->fd.is_open();
    if (is_free) --dropped_;
    if (is_free || is_there) {
        *place = std::move(copy);
    } else {
        copies_.insert(place, std::move(copy));
    }
}

void Copies::drop(const wire::HeldKey& key) {
    const auto place = find(key);
    if (place == copies_.end() || !(place->key == key) || !place->fd.is_open()) return;
    place->fd.reset();
    ++dropped_;
    if (dropped_ <= copies_.size() / 2) return;
    const auto is_dropped = [](const Copy& copy) { return !copy.fd.is_open(); };
    copies_.erase(std::remove_if(copies_.begin(), copies_.end(), is_dropped), copies_.end());
    copies_.shrink_to_fit();
    dropped_ = 0;
}

void Copies::give_up() {
    log::warn(
        "the limit of open files is near: this daemon would not survive the death of its keeper "
        "(clusterd); raise the limit (ulimit -Hn, LimitNOFILE=)");
    copies_.clear();
    copies_.shrink_to_fit();
    dropped_ = 0;
    is_complete_ = false;
}

}  // namespace cluster::supervisor
