#include "keeper/estate.hpp"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <span>

#include "keeper/window.hpp"
#include "sys/file.hpp"
#include "sys/succession.hpp"
#include "wire/estate.hpp"

namespace cluster::keeper {

namespace {

Result<std::vector<std::uint64_t>> read_whole(int file) {
    const auto size = sys::file_size(file);
    if (!size) return tl::unexpected(size.error());
    if (*size > wire::kMaxEstateBytes || *size % sizeof(std::uint64_t) != 0) {
        return fail(Op::estate, EINVAL);
    }
    std::vector<std::uint64_t> words(*size / sizeof(std::uint64_t));
    const auto filled = sys::fill_from(file, std::as_writable_bytes(std::span(words)));
    if (!filled) return tl::unexpected(filled.error());
    return words;
}

/// All of them are open, none of them twice, and none lives on in a child.
Status claim(const wire::EstateView& view) {
    std::vector<std::int32_t> numbers{view.header->table, view.header->witness};
    for (const wire::EstateEntry& entry : view.entries) numbers.push_back(entry.fd);
    std::sort(numbers.begin(), numbers.end());
    if (std::adjacent_find(numbers.begin(), numbers.end()) != numbers.end()) {
        return fail(Op::estate, EBADF);
    }
    for (const std::int32_t number : numbers) {
        if (!sys::set_inherited(number, false)) return fail(Op::estate, EBADF);
    }
    return {};
}

bool is_readable_table(const wire::TableHeader& header) {
    return header.magic == wire::kTableMagic && header.version == wire::kTableVersion &&
           header.slot_record_bytes == sizeof(wire::SlotRecord) &&
           header.held_record_bytes == sizeof(wire::HeldRecord) &&
           header.max_slots == wire::kMaxSlots && header.max_held == wire::kMaxHeld;
}

}  // namespace

bool can_succeed(std::string_view versions) {
    return versions.substr(0, versions.find('/')) == wire::succession_versions();
}

Result<Estate> receive_estate(int file) {
    const auto words = read_whole(file);
    if (!words) return tl::unexpected(words.error());
    const auto view = wire::check_estate(std::as_bytes(std::span(*words)));
    if (!view) return tl::unexpected(view.error());
    if (auto claimed = claim(*view); !claimed) return tl::unexpected(claimed.error());
    Estate estate;
    const auto witness = window::move_out(view->header->witness);
    if (!witness) return tl::unexpected(witness.error());
    estate.witness = sys::UniqueFd(*witness);
    const auto moved = window::move_out(view->header->table);
    if (!moved) return tl::unexpected(moved.error());
    const sys::UniqueFd table(*moved);
    for (const wire::EstateEntry& entry : view->entries) {
        const auto fd = window::move_out(entry.fd);
        if (!fd) return tl::unexpected(fd.error());
        estate.items.push_back({.key = entry.key, .fd = sys::UniqueFd(*fd)});
    }
    const auto size = sys::file_size(table.get());
    if (!size) return tl::unexpected(size.error());
    if (*size != sizeof(wire::Table)) return fail(Op::estate, EPROTO);
    auto mapping = sys::map_shared(table.get(), sizeof(wire::Table), false);
    if (!mapping) return tl::unexpected(mapping.error());
    estate.table = std::move(*mapping);
    if (!is_readable_table(estate.old_table().header)) return fail(Op::estate, EPROTO);
    return estate;
}

}  // namespace cluster::keeper
