// The channels of a predecessor: what the keeper holds of them, and what had come before this process
// lived.

#include <cstddef>
#include <map>
#include <memory>
#include <utility>

#include "supervisor/channels.hpp"
#include "supervisor/wording.hpp"
#include "sys/file.hpp"

namespace cluster::supervisor {

void Channels::resume(std::vector<HeldDescriptor>& held) {
    std::map<Run, sys::UniqueFd> memories;
    for (HeldDescriptor& item : held) {
        if (item.key.kind != wire::HeldKind::channel_memory) continue;
        memories[{Slot{item.key.slot}, Generation{item.key.generation}}] = std::move(item.fd);
    }
    for (HeldDescriptor& item : held) {
        if (item.key.kind != wire::HeldKind::channel) continue;
        const Run run{Slot{item.key.slot}, Generation{item.key.generation}};
        const core::Place* const place = fleet_.find(run);
        if (place == nullptr) {
            keeper_.drop(item.key);
            continue;
        }
        add(*place, run, std::move(item.fd));
        if (auto memory = memories.extract(run)) attach(*find(run), std::move(memory.mapped()));
    }
    for (auto& [run, file] : memories) {
        if (resume_cut_off(run, std::move(file))) continue;
        keeper_.drop(key_of(wire::HeldKind::channel_memory, run));
    }
}

/// The predecessor's.
bool Channels::map_memory(Entry& entry, sys::UniqueFd file) {
    const auto size = sys::file_size(file.get());
    if (!size) return false;
    auto mapping = sys::map_shared(file.get(), *size, true);
    if (!mapping) return false;
    const auto memory =
        channel::Memory::attach({mapping->as<std::byte>(), static_cast<std::size_t>(*size)});
    if (!memory) return false;
    entry.opened = std::make_unique<Opened>(Opened{std::move(file), std::move(*mapping), *memory,
                                                   channel::Intake{*memory},
                                                   channel::Outlet{*memory, spec_.slow_reader}});
    return true;
}

/// Where the predecessor's memory cannot be used nothing may be written behind what that has sent.
void Channels::attach(Entry& entry, sys::UniqueFd file) {
    if (!map_memory(entry, std::move(file))) {
        entry.is_cut_off = true;
        return end(entry, "its memory cannot be used");
    }
    const channel::Record& record = entry.opened->memory.record();
    // It was about to be closed.
    if (record.cut_off != 0) return cut_off(entry, channel::CutOff{record.cut_off});
    router_.set_record(entry.run, entry.opened->memory.record());
}

/// The memory of a channel that is closed: of use, until its run is over, where we have closed it.
bool Channels::resume_cut_off(Run run, sys::UniqueFd file) {
    const core::Place* const place = fleet_.find(run);
    if (place == nullptr) return false;
    Entry entry;
    if (!map_memory(entry, std::move(file))) return false;
    const channel::CutOff why{entry.opened->memory.record().cut_off};
    if (why == channel::CutOff::none) return false;
    entry.run = run;
    entry.is_node = channel_mode(fleet_.spec_of(*place).launch) == core::ChannelMode::node;
    entry.ended = cut_off_text(why);
    entry.is_cut_off = true;
    entries_[run.slot] = std::move(entry);
    return true;
}

void Channels::begin(Instant now) {
    now_ = now;
    std::vector<Run> runs;
    for (const auto& [slot, entry] : entries_) {
        if (entry.opened != nullptr && entry.ended.empty()) runs.push_back(entry.run);
    }
    for (const Run run : runs) {
        Entry& entry = *find(run);
        if (const auto line = entry.opened->intake.line_cut_off()) router_.complete(run, *line);
        router_.settle_sum(run, entry.opened->intake);
        if (entry.opened->memory.record().said_ready != 0) ready_.push_back(run);
        apply_lines(entry);
        if (entry.opened->outlet.is_empty() || entry.is_dirty) continue;
        entry.is_dirty = true;
        dirty_.push_back(run);
    }
}

}  // namespace cluster::supervisor
