#include "supervisor/stored_fds.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>
#include <utility>
#include <variant>

#include "supervisor/log.hpp"
#include "supervisor/records.hpp"
#include "sys/file.hpp"
#include "sys/memory.hpp"

namespace cluster::supervisor {
namespace {

wire::HeldKey key_of(wire::HeldKind kind, std::uint64_t id) {
    return {.kind = kind, .index = 0, .slot = wire::kNoSlot, .generation = id};
}

/// Nobody means to bring it back by itself.
bool is_at_rest(const core::Instance& instance) {
    return std::holds_alternative<core::Stopped>(instance.state) ||
           std::holds_alternative<core::Exited>(instance.state) ||
           std::holds_alternative<core::Fatal>(instance.state);
}

bool is_kept(const core::Fleet& fleet, const StoredFds::Owner& owner) {
    const core::Worker* const worker = fleet.find_worker(owner.worker);
    if (worker == nullptr || owner.number >= worker->slots.size()) return false;
    const core::Place* const place = fleet.find(worker->slots[owner.number]);
    return place != nullptr && !is_at_rest(place->instance);
}

/// What the memfd beside a descriptor says: four lines.
std::string label_text(const StoredFds::Owner& owner, const std::string& name, bool is_polled) {
    return fmt::format("{}\n{}\n{}\n{}", owner.worker, owner.number, is_polled ? 1 : 0, name);
}

struct Label {
    StoredFds::Owner owner;
    bool is_polled = true;
    std::string name;
};
std::optional<Label> parse_label(std::string_view text) {
    std::vector<std::string_view> lines;
    for (std::size_t i = 0; i < 3; ++i) {
        const std::size_t end = text.find('\n');
        if (end == std::string_view::npos) return std::nullopt;
        lines.push_back(text.substr(0, end));
        text.remove_prefix(end + 1);
    }
    std::uint32_t number = 0;
    const char* const end = lines[1].data() + lines[1].size();
    const auto [rest, error] = std::from_chars(lines[1].data(), end, number);
    if (error != std::errc{} || rest != end) return std::nullopt;
    return Label{.owner = {std::string(lines[0]), number},
                 .is_polled = lines[2] == "1",
                 .name = std::string(text)};
}

}  // namespace

bool StoredFds::has(const Owner& owner, int fd) const {
    return std::any_of(entries_.begin(), entries_.end(), [&](const Entry& entry) {
        return entry.owner == owner && sys::is_same_open_file(entry.fd.get(), fd);
    });
}

std::size_t StoredFds::add(const Owner& owner, std::uint32_t most, const std::string& name,
                           bool is_polled, std::span<sys::UniqueFd> fds) {
    std::size_t refused = 0;
    for (sys::UniqueFd& fd : fds) {
        if (!fd.is_open() || has(owner, fd.get())) continue;
        const auto count = std::count_if(entries_.begin(), entries_.end(),
                                         [&](const Entry& entry) { return entry.owner == owner; });
        Entry entry{.id = last_id_ + 1,
                    .owner = owner,
                    .name = name,
                    .is_polled = is_polled,
                    .fd = std::move(fd),
                    .watch = {}};
        if (static_cast<std::uint32_t>(count) >= most || !hold(entry)) {
            ++refused;
            continue;
        }
        ++last_id_;
        watch(entries_.emplace_back(std::move(entry)));
    }
    return refused;
}

Status StoredFds::hold(const Entry& entry) {
    const auto file = sys::make_sealed_file(
        "clusterd-stored", label_text(entry.owner, entry.name, entry.is_polled));
    if (!file) return tl::unexpected(file.error());
    // First: a descriptor without it would be a stranger.
    keeper_.hold(key_of(wire::HeldKind::stored_label, entry.id), file->get());
    keeper_.hold(key_of(wire::HeldKind::stored, entry.id), entry.fd.get());
    return {};
}

/// What cannot be watched, such as a file, does not hang up either.
void StoredFds::watch(Entry& entry) {
    if (!entry.is_polled) return;
    auto watched = loop_.add(
        entry.fd.get(), {.readable = false, .writable = false},
        [this, id = entry.id](const ev::Ready&) {
            const auto found = std::find_if(entries_.begin(), entries_.end(),
                                            [&](const Entry& each) { return each.id == id; });
            if (found == entries_.end()) return;
            log::info(fmt::format("{}.{}: the stored descriptor \"{}\" has hung up and is dropped",
                                  found->owner.worker, found->owner.number, found->name));
            drop(found);
        });
    if (watched) entry.watch = *watched;
}

StoredFds::Entries::iterator StoredFds::drop(Entries::iterator entry) {
    loop_.remove(entry->watch);
    keeper_.drop(key_of(wire::HeldKind::stored, entry->id));
    keeper_.drop(key_of(wire::HeldKind::stored_label, entry->id));
    return entries_.erase(entry);
}

void StoredFds::remove(const Owner& owner, std::string_view name) {
    for (auto entry = entries_.begin(); entry != entries_.end();) {
        const bool is_meant = entry->owner == owner && entry->name == name;
        entry = is_meant ? drop(entry) : std::next(entry);
    }
}

void StoredFds::hand_over(const Owner& owner, Inheritance& inheritance) const {
    for (const Entry& entry : entries_) {
        if (entry.owner == owner) inheritance.add_stored(entry.name, entry.fd.get());
    }
}

void StoredFds::resume(std::vector<HeldDescriptor>& held) {
    std::map<std::uint64_t, sys::UniqueFd> fds;
    std::map<std::uint64_t, Label> labels;
    std::vector<std::uint64_t> ids;
    for (HeldDescriptor& item : held) {
        const bool is_label = item.key.kind == wire::HeldKind::stored_label;
        if (!is_label && item.key.kind != wire::HeldKind::stored) continue;
        const std::uint64_t id = item.key.generation;
        last_id_ = std::max(last_id_, id);
        ids.push_back(id);
        if (!is_label) {
            fds[id] = std::move(item.fd);
        } else if (auto label = parse_label(read_held_text(item.fd.get()).value_or(""))) {
            labels[id] = std::move(*label);
        }
    }
    std::sort(ids.begin(), ids.end());
    ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
    for (const std::uint64_t id : ids) {
        const bool is_whole = fds.count(id) > 0 && labels.count(id) > 0;
        Label& label = labels[id];
        Entry& entry = entries_.emplace_back(Entry{.id = id,
                                                   .owner = label.owner,
                                                   .name = label.name,
                                                   .is_polled = label.is_polled,
                                                   .fd = std::move(fds[id]),
                                                   .watch = {}});
        if (is_whole) {
            watch(entry);
        } else {
            drop(std::prev(entries_.end()));  // the predecessor was killed between the two
        }
    }
}

void StoredFds::follow(const core::Fleet& fleet) {
    for (auto entry = entries_.begin(); entry != entries_.end();) {
        entry = is_kept(fleet, entry->owner) ? std::next(entry) : drop(entry);
    }
}

std::vector<std::string> StoredFds::names(const Owner& owner) const {
    std::vector<std::string> names;
    for (const Entry& entry : entries_) {
        if (entry.owner == owner) names.push_back(entry.name);
    }
    return names;
}

}  // namespace cluster::supervisor
